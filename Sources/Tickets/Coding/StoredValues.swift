import Checkpoints

/// What a record stores of a tensor's changes, one value for each entry.
enum StoredValues: Equatable, Sendable {
  /// Of bit patterns, below 2^width.
  case differences([UInt32])
  /// Updates as bfloat16 patterns.
  case bfloat16([UInt16])
  /// Updates as steps from -127 to 127, and the size of a step for each block of ``blockCount``.
  case int8(scales: [Float], steps: [Int8])

  static let blockCount = 256
  static let largestStep: Float = 127

  /// Updates, as near as a lossy coding holds them; ties go to even.
  ///
  /// - Precondition: the coding is not exact.
  static func rounding(_ updates: [Float], as coding: ValueCoding) -> StoredValues {
    coding == .int8 ? quantizing(updates) : .bfloat16(updates.map(FloatCodec.narrowBFloat16))
  }

  private static func quantizing(_ updates: [Float]) -> StoredValues {
    var scales: [Float] = []
    var steps = [Int8](repeating: 0, count: updates.count)
    for start in stride(from: 0, to: updates.count, by: blockCount) {
      let block = start..<min(start + blockCount, updates.count)
      let scale = block.reduce(0) { max($0, abs(updates[$1])) } / largestStep
      scales.append(scale)
      guard scale > 0 else { continue }
      for position in block {
        let step = (updates[position] / scale).rounded(.toNearestOrEven)
        steps[position] = Int8(max(-largestStep, min(largestStep, step)))
      }
    }
    return .int8(scales: scales, steps: steps)
  }

  /// In float32, as the adapter's definition of the trained weights has them; nil where differences are stored.
  var updates: [Float]? {
    switch self {
    case .differences: nil
    case .bfloat16(let patterns): patterns.map(FloatCodec.widenBFloat16)
    case .int8(let scales, let steps): steps.indices.map { scales[$0 / Self.blockCount] * Float(steps[$0]) }
    }
  }

  // MARK: - Bytes

  /// - Parameter width: bits of a pattern.
  func encoded(width: UInt32) -> [UInt8] {
    switch self {
    case .differences(let differences): return EntryCode.encode(differences: differences, width: width)
    case .bfloat16(let patterns):
      let largest = patterns.reduce(0) { max($0, $1 & 0x7FFF) }
      let symbols = patterns.map { UInt32(largest - $0 & 0x7FFF) << 1 | UInt32($0 >> 15) }
      return [UInt8(largest & 255), UInt8(largest >> 8)] + NumberStream.encode(symbols)
    case .int8(let scales, let steps):
      let bytes = scales.flatMap { scale in
        [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: scale.bitPattern >> $0) }
      }
      return bytes + NumberStream.encode(steps.map(Self.symbol))
    }
  }

  /// - Parameter stream: readable for `EntryCode.overrun` bytes beyond its end.
  /// - Throws: ``StreamProblem``.
  static func decode(_ stream: UnsafeRawBufferPointer, as coding: ValueCoding, count: Int, width: UInt32) throws
    -> StoredValues
  {
    switch coding {
    case .exact: .differences(try EntryCode.decodeDifferences(stream, count: count, width: width))
    case .bfloat16: try decodeBFloat16(stream, count: count)
    case .int8: try decodeInt8(stream, count: count)
    }
  }

  private static func decodeBFloat16(_ stream: UnsafeRawBufferPointer, count: Int) throws -> StoredValues {
    guard stream.count >= 2 else { throw StreamProblem.tooShort }
    let largest = UInt32(UInt16(littleEndian: stream.loadUnaligned(as: UInt16.self)))
    let symbols = try symbols(stream, from: 2, count: count)
    // Infinities and NaN begin at 0x7F80.
    guard largest < 0x7F80, symbols.allSatisfy({ $0 >> 1 <= largest }) else { throw StreamProblem.symbolOutOfRange }
    return .bfloat16(symbols.map { UInt16(largest - $0 >> 1) | UInt16($0 & 1) << 15 })
  }

  private static func decodeInt8(_ stream: UnsafeRawBufferPointer, count: Int) throws -> StoredValues {
    let blocks = (count + blockCount - 1) / blockCount
    guard stream.count >= 4 * blocks else { throw StreamProblem.tooShort }
    let scales = (0..<blocks).map {
      Float(bitPattern: UInt32(littleEndian: stream.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
    }
    let symbols = try symbols(stream, from: 4 * blocks, count: count)
    guard scales.allSatisfy({ ($0 * largestStep).isFinite && $0.sign == .plus }), symbols.allSatisfy({ $0 <= 2 * 127 })
    else {
      throw StreamProblem.symbolOutOfRange
    }
    return .int8(scales: scales, steps: symbols.map(step))
  }

  private static func symbols(_ stream: UnsafeRawBufferPointer, from start: Int, count: Int) throws -> [UInt32] {
    try [UInt32](unsafeUninitializedCapacity: count) { buffer, initialized in
      try NumberStream.decode(
        UnsafeRawBufferPointer(rebasing: stream[start...]), into: UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      )
      initialized = count
    }
  }

  static func symbol(_ step: Int8) -> UInt32 { step >= 0 ? UInt32(step) << 1 : UInt32(-Int32(step)) << 1 - 1 }
  static func step(_ symbol: UInt32) -> Int8 {
    Int8(truncatingIfNeeded: Int32(bitPattern: symbol >> 1 ^ (0 &- (symbol & 1))))
  }
}
