import Checkpoints
import Torch

/// The two streams of one tensor's entries: where they are, and by how much they differ from the base.
enum EntryCode {
  /// Indices as the gaps between them: how many weights lie between one entry and the next, or before the first.
  static func encode(indices: [Int32]) -> [UInt8] {
    var next: Int32 = 0
    return NumberStream.encode(
      indices.map { index in
        defer { next = index &+ 1 }
        return UInt32(bitPattern: index &- next)
      })
  }

  /// - Parameter differences: below 2^width.
  static func encode(differences: [UInt32], width: UInt32) -> [UInt8] {
    NumberStream.encode(differences.map { PatternDifference.symbol($0, width: width) })
  }

  /// - Parameters:
  ///   - stream: readable for ``overrun`` bytes beyond its end.
  ///   - count: number of entries.
  ///   - elementCount: number of the tensor's weights.
  /// - Throws: ``StreamProblem``.
  static func decodeIndices(_ stream: UnsafeRawBufferPointer, count: Int, elementCount: Int) throws -> [Int32] {
    try [Int32](unsafeUninitializedCapacity: count) { buffer, initialized in
      try buffer.withMemoryRebound(to: UInt32.self) { gaps in
        let gaps = UnsafeMutableBufferPointer(rebasing: gaps[..<count])
        try NumberStream.decode(stream, into: gaps)
        var next = 0
        var marks: UInt32 = 0
        for position in 0..<count {
          marks |= gaps[position]
          let index = next &+ Int(gaps[position])
          gaps[position] = UInt32(truncatingIfNeeded: index)
          next = index &+ 1
        }
        guard marks & SymbolTokens.mark == 0, next <= elementCount else { throw StreamProblem.symbolOutOfRange }
      }
      initialized = count
    }
  }

  /// Differences, below 2^width each.
  static func decodeDifferences(_ stream: UnsafeRawBufferPointer, count: Int, width: UInt32) throws -> [UInt32] {
    try [UInt32](unsafeUninitializedCapacity: count) { buffer, initialized in
      let symbols = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      try NumberStream.decode(stream, into: symbols)
      var all: UInt32 = 0
      for position in 0..<count {
        all |= symbols[position]
        symbols[position] = PatternDifference.difference(symbols[position], width: width)
      }
      guard PatternDifference.isValid(all, width: width) else { throw StreamProblem.symbolOutOfRange }
      initialized = count
    }
  }

  static let overrun = RansCode.overrun
}
