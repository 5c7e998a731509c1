/// Memory of one thread: a chunk of the base, of every input, of its task vector, and of the result.
///
/// Arrays have room for whole vectors beyond their end.
final class Scratch: @unchecked Sendable {
  // Sendable: one thread at a time.
  let base: UnsafeMutablePointer<Float>
  let tuned: [UnsafeMutablePointer<Float>]
  let deltas: [UnsafeMutablePointer<Float>]
  let result: UnsafeMutablePointer<Float>
  private let memory: UnsafeMutablePointer<Float>
  /// Counts of magnitudes, ``MagnitudeRanks/binCount`` for each cutoff that is looked for.
  let counts: UnsafeMutableBufferPointer<UInt32>

  static let padding = 16

  init(inputs: Int, chunkLength: Int, cutoffs: Int) {
    let stride = Self.stride(chunkLength)
    let count = Self.arrayCount(inputs: inputs) * stride
    memory = .allocate(capacity: count)
    memory.initialize(repeating: 0, count: count)
    base = memory
    result = memory + stride
    let start = memory + 2 * stride
    tuned = (0..<inputs).map { start + $0 * stride }
    deltas = (0..<inputs).map { start + (inputs + $0) * stride }
    counts = .allocate(capacity: cutoffs * MagnitudeRanks.binCount)
    counts.initialize(repeating: 0)
  }

  deinit {
    memory.deallocate()
    counts.deallocate()
  }

  private static func stride(_ chunkLength: Int) -> Int { (chunkLength + 2 * padding) / padding * padding }
  private static func arrayCount(inputs: Int) -> Int { 2 + 2 * inputs }

  static func byteCount(inputs: Int, chunkLength: Int, cutoffs: Int) -> Int {
    4 * (arrayCount(inputs: inputs) * stride(chunkLength) + cutoffs * MagnitudeRanks.binCount)
  }
}
