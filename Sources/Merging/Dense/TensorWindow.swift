internal import Checkpoints
internal import Tickets
internal import Torch

/// One tensor of the base and of the inputs, read chunk by chunk; kept in memory where several passes read it and it is small.
final class TensorWindow: @unchecked Sendable {
  // Sendable: a chunk belongs to one thread at a time.
  /// Weights as float32.
  struct View {
    let base: UnsafePointer<Float>
    let tuned: [UnsafePointer<Float>]
  }

  let name: String
  let chunks: TensorChunks
  private let reference: Checkpoint?
  private let inputs: [TensorInput]
  private let kept: UnsafeMutablePointer<Float>?
  private let isRead: UnsafeMutablePointer<Bool>
  private let stride: Int

  /// - Parameter limit: bytes that may be kept.
  init(name: String, chunks: TensorChunks, reference: Checkpoint?, inputs: [TensorInput], limit: Int) {
    self.name = name
    self.chunks = chunks
    self.reference = reference
    self.inputs = inputs
    stride = chunks.elementCount + Scratch.padding
    let count = (inputs.count + 1) * stride
    kept = 4 * count <= limit ? .allocate(capacity: count) : nil
    isRead = .allocate(capacity: chunks.count)
    isRead.initialize(repeating: false, count: chunks.count)
  }

  deinit {
    kept?.deallocate()
    isRead.deallocate()
  }

  func read(_ chunk: Int, _ scratch: Scratch) throws -> View {
    let range = chunks.range(chunk)
    var (base, tuned) = (scratch.base, Array(scratch.tuned[..<inputs.count]))
    if let kept {
      base = kept + range.lowerBound
      tuned = inputs.indices.map { kept + ($0 + 1) * stride + range.lowerBound }
    }
    if kept == nil || !isRead[chunk] {
      if let reference {
        try reference.readFloats(
          of: name, range: range, into: UnsafeMutableBufferPointer(start: base, count: range.count))
      }
      for (input, target) in zip(inputs, tuned) { try input.read(name, range, base: base, into: target) }
      isRead[chunk] = true
    }
    return View(base: base, tuned: tuned.map { UnsafePointer($0) })
  }
}
