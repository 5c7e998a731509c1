/// Numbers below 2^31, each with an optional mark, in few bytes and without loss: the coding byte (0 Rice, 1 rANS) and the
/// coding's body. See docs/adapter-format.md.
package enum NumberStream {
  private enum Coding: UInt8 { case rice, rans }

  /// In whichever coding is shorter.
  package static func encode(_ symbols: [UInt32]) -> [UInt8] {
    symbols.withUnsafeBufferPointer { symbols in
      let rans = RansCode.encode(symbols)
      if let rice = RiceCode.plan(symbols), rice.byteCount <= rans.count {
        return [Coding.rice.rawValue] + RiceCode.encode(symbols, parameter: rice.parameter)
      }
      return [Coding.rans.rawValue] + rans
    }
  }

  /// - Throws: ``StreamProblem`` when the bytes are not a stream of `count` symbols.
  package static func decode(_ stream: [UInt8], count: Int) throws -> [UInt32] {
    let padded = stream + [UInt8](repeating: 0, count: RansCode.overrun)
    return try [UInt32](unsafeUninitializedCapacity: count) { buffer, initialized in
      try padded.withUnsafeBytes {
        try decode(UnsafeRawBufferPointer(rebasing: $0[..<stream.count]), into: .init(rebasing: buffer[..<count]))
      }
      initialized = count
    }
  }

  /// - Parameter stream: readable for ``RansCode/overrun`` bytes beyond its end.
  /// - Throws: ``StreamProblem``; whatever the bytes are, nothing else is touched.
  static func decode(_ stream: UnsafeRawBufferPointer, into symbols: UnsafeMutableBufferPointer<UInt32>) throws {
    guard let first = stream.first else { throw StreamProblem.tooShort }
    let body = UnsafeRawBufferPointer(rebasing: stream.dropFirst())
    switch Coding(rawValue: first) {
    case .rice: try RiceCode.decode(body, into: symbols)
    case .rans: try RansCode.decode(body, into: symbols)
    case nil: throw StreamProblem.unknownCoding(first)
    }
  }
}
