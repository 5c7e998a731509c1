/// GPT-2's alphabet, which writes every byte as one printable character.
enum ByteAlphabet {
  /// The scalar for each byte.
  static let scalars: [Unicode.Scalar] = {
    var scalars: [Unicode.Scalar] = []
    var next: UInt32 = 0x100
    for byte in UInt8.min...UInt8.max {
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: scalars.append(Unicode.Scalar(byte))
      default:
        scalars.append(Unicode.Scalar(next) ?? " ")
        next += 1
      }
    }
    return scalars
  }()

  /// The byte for each scalar below 0x180, -1 where there is none.
  private static let inverse: [Int16] = {
    var inverse = [Int16](repeating: -1, count: 0x180)
    for (byte, scalar) in scalars.enumerated() { inverse[Int(scalar.value)] = Int16(byte) }
    return inverse
  }()

  /// The bytes that `text` stands for, nil when it holds a character outside the alphabet.
  static func bytes(of text: [UInt8]) -> [UInt8]? {
    text.withUnsafeBufferPointer { buffer in
      var bytes: [UInt8] = []
      bytes.reserveCapacity(buffer.count)
      var position = 0
      while position < buffer.count {
        let (scalar, length) = UTF8Text.scalar(in: buffer, at: position)
        guard scalar < 0x180, inverse[Int(scalar)] >= 0 else { return nil }
        bytes.append(UInt8(truncatingIfNeeded: inverse[Int(scalar)]))
        position += length
      }
      return bytes
    }
  }

  /// Appends the characters for `bytes`.
  static func append(_ bytes: some Swift.Sequence<UInt8>, to text: inout [UInt8]) {
    for byte in bytes { UTF8Text.append(scalars[Int(byte)], to: &text) }
  }
}
