/// How a symbol splits into a token, which is entropy-coded, and extra bits, which are stored as they are.
///
/// A symbol is a number below 2^31 with a mark in bit 31. Numbers below 16 are their own token; above, a token stands for a
/// quarter of an octave, and the extra bits say where in it. The mark moves a token up by 128.
enum SymbolTokens {
  static let count = 256
  static let mark: UInt32 = 1 << 31
  /// Extra bits of the largest number.
  static let maximumWidth = 28

  /// Number of extra bits a token; nil where no symbol has the token.
  static func width(of token: Int) -> Int? {
    let plain = token & 127
    guard plain < 124 else { return nil }
    return plain < 16 ? 0 : 2 + (plain - 16) / 4
  }

  /// The smallest symbol of a token.
  static func base(of token: Int) -> UInt32? {
    guard let width = width(of: token) else { return nil }
    let plain = UInt32(token & 127)
    let value = plain < 16 ? plain : (4 + (plain - 16) % 4) << UInt32(width)
    return token < 128 ? value : value | mark
  }

  @inline(__always)
  static func token(of symbol: UInt32) -> Int {
    let value = symbol & ~mark
    let marked = Int(symbol >> 31) &<< 7
    guard value >= 16 else { return Int(value) | marked }
    let exponent = 31 &- value.leadingZeroBitCount
    return (16 &+ (exponent &- 4) &* 4 &+ Int(value &>> UInt32(exponent &- 2) & 3)) | marked
  }
}

/// Per token what a decoder adds and reads.
struct TokenTable: Sendable {
  let bases: [UInt32]
  let widths: [UInt8]

  static let shared = TokenTable()

  private init() {
    bases = (0..<SymbolTokens.count).map { SymbolTokens.base(of: $0) ?? 0 }
    widths = (0..<SymbolTokens.count).map { UInt8(SymbolTokens.width(of: $0) ?? 0) }
  }
}
