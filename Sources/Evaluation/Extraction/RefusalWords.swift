/// Words by which a refusal to answer is recognised.
public struct RefusalWords: Equatable, Sendable {
  /// What a refusal begins with, white space before it aside.
  public let prefixes: [String]
  /// What a refusal holds anywhere.
  public let keywords: [String]

  public init(prefixes: [String], keywords: [String]) {
    self.prefixes = prefixes
    self.keywords = keywords
  }

  /// The first prefix, else keyword, of the list that the text has; compared without ASCII letter case, and with
  /// typographic apostrophes as straight ones.
  public func match(in text: String) -> String? {
    let bytes = Self.folded(trimmed(text))
    return prefixes.first { bytes.starts(with: Self.folded($0)) }
      ?? keywords.first { firstOccurrence(of: Self.folded($0), in: bytes[...]) != nil }
  }

  private static func folded(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    for scalar in text.unicodeScalars {
      if scalar == "\u{2019}" || scalar == "\u{2018}" {
        bytes.append(UInt8(ascii: "'"))
      } else {
        bytes.append(contentsOf: Array(String(scalar).utf8).map(lowercased))
      }
    }
    return bytes
  }
}
