/// Helpers for text held as UTF-8 bytes.
enum UTF8Text {
  static let replacementCharacter: [UInt8] = [0xEF, 0xBF, 0xBD]

  /// The scalar at `position` of valid UTF-8, and its length in bytes.
  @inline(__always)
  static func scalar(in bytes: UnsafeBufferPointer<UInt8>, at position: Int) -> (value: UInt32, length: Int) {
    let first = UInt32(bytes[position])
    if first < 0x80 { return (first, 1) }
    let second = UInt32(bytes[position + 1] & 0x3F)
    if first < 0xE0 { return ((first & 0x1F) << 6 | second, 2) }
    let third = UInt32(bytes[position + 2] & 0x3F)
    if first < 0xF0 { return ((first & 0x0F) << 12 | second << 6 | third, 3) }
    return ((first & 0x07) << 18 | second << 12 | third << 6 | UInt32(bytes[position + 3] & 0x3F), 4)
  }

  /// Start of the scalar that ends at `position`, which must lie beyond `lowerBound`.
  @inline(__always)
  static func start(before position: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int {
    var start = position - 1
    while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }

  static func append(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
    let value = scalar.value
    switch value {
    case ..<0x80:
      bytes.append(UInt8(value))
    case ..<0x800:
      bytes.append(UInt8(0xC0 | value >> 6))
      bytes.append(UInt8(0x80 | value & 0x3F))
    case ..<0x10000:
      bytes.append(UInt8(0xE0 | value >> 12))
      bytes.append(UInt8(0x80 | value >> 6 & 0x3F))
      bytes.append(UInt8(0x80 | value & 0x3F))
    default:
      bytes.append(UInt8(0xF0 | value >> 18))
      bytes.append(UInt8(0x80 | value >> 12 & 0x3F))
      bytes.append(UInt8(0x80 | value >> 6 & 0x3F))
      bytes.append(UInt8(0x80 | value & 0x3F))
    }
  }

  static func scalars(of bytes: [UInt8]) -> [Unicode.Scalar] {
    Array(String(decoding: bytes, as: UTF8.self).unicodeScalars)
  }

  static func isValid(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBufferPointer { buffer in
      var position = 0
      while position < buffer.count {
        guard case .complete(let length) = sequence(in: buffer, at: position) else { return false }
        position += length
      }
      return true
    }
  }

  enum Sequence {
    case complete(length: Int)
    /// The longest start of a sequence that the next byte contradicts.
    case invalid(length: Int)
    /// The bytes end within a sequence that may still become valid.
    case truncated
  }

  /// What stands at `position`, after table 3-7 of the Unicode standard.
  static func sequence(in bytes: UnsafeBufferPointer<UInt8>, at position: Int) -> Sequence {
    let first = bytes[position]
    let length: Int
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch first {
    case ..<0x80: return .complete(length: 1)
    case 0xC2...0xDF: length = 2
    case 0xE0...0xEF:
      length = 3
      if first == 0xE0 { second = 0xA0...0xBF }
      if first == 0xED { second = 0x80...0x9F }
    case 0xF0...0xF4:
      length = 4
      if first == 0xF0 { second = 0x90...0xBF }
      if first == 0xF4 { second = 0x80...0x8F }
    default: return .invalid(length: 1)
    }
    for offset in 1..<length {
      guard position + offset < bytes.count else { return .truncated }
      let allowed = offset == 1 ? second : 0x80...0xBF
      guard allowed.contains(bytes[position + offset]) else { return .invalid(length: offset) }
    }
    return .complete(length: length)
  }

  /// Moves text out of `pending`: complete characters as they are, each invalid sequence as U+FFFD. A sequence that
  /// may still be completed stays, unless `isFinal`.
  static func drain(_ pending: inout [UInt8], isFinal: Bool) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(pending.count)
    let consumed = pending.withUnsafeBufferPointer { buffer in
      var position = 0
      while position < buffer.count {
        switch sequence(in: buffer, at: position) {
        case .complete(let length):
          text.append(contentsOf: buffer[position..<position + length])
          position += length
        case .invalid(let length):
          text.append(contentsOf: replacementCharacter)
          position += length
        case .truncated:
          guard isFinal else { return position }
          text.append(contentsOf: replacementCharacter)
          return buffer.count
        }
      }
      return position
    }
    pending.removeFirst(consumed)
    return text
  }
}
