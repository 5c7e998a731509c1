public import Tokenizers

/// A row's tokens as text, each with whether it is learned.
public struct TokenView: Equatable, Sendable {
  public struct Token: Equatable, Sendable {
    public let id: Int
    /// What the token adds to the text; empty where it only begins a character that later tokens complete.
    public let text: String
    public let isLabel: Bool
  }

  /// From one, as in the file.
  public let row: Int
  public let tokens: [Token]

  public init(_ row: TokenizedRow, tokenizer: Tokenizer) {
    self.row = row.number
    var decoder = StreamingDecoder(tokenizer)
    var labels = row.labelRanges[...]
    var tokens: [Token] = []
    for (index, id) in row.tokens.enumerated() {
      if let range = labels.first, range.upperBound <= index { labels = labels.dropFirst() }
      let text = decoder.append(Int(id)) + (index == row.tokens.count - 1 ? decoder.finish() : "")
      tokens.append(Token(id: Int(id), text: text, isLabel: labels.first?.contains(index) == true))
    }
    self.tokens = tokens
  }

  /// The rows of `path` whose numbers are in `numbers`.
  ///
  /// - Throws: ``TrainingDataError``; ``RowSelectionError`` when the file has fewer rows.
  public static func read(
    path: String, format: RowFormat?, rows numbers: RowSelection, tokenizer: Tokenizer, chat: (any ChatRendering)?
  ) throws -> [TokenView] {
    let rowTokenizer = RowTokenizer(encoder: tokenizer, chat: chat)
    var scanner = try RowScanner(path: path)
    var parser = RowParser(format: format)
    var views: [TokenView] = []
    var last = 0
    while last < numbers.last, let (location, bytes) = try scanner.next() {
      last = location.row
      // The first row decides the format.
      guard numbers.contains(location.row) || location.row == 1 else { continue }
      let row = try parser.parse(bytes, at: location)
      guard numbers.contains(location.row) else { continue }
      views.append(TokenView(try rowTokenizer.tokenize(row, at: location), tokenizer: tokenizer))
    }
    guard last >= numbers.last else { throw RowSelectionError.beyondTheFile(path: path, row: numbers.last, rows: last) }
    return views
  }
}

/// Row numbers as a user writes them: `1,5-7`.
public struct RowSelection: Equatable, Sendable {
  private let ranges: [ClosedRange<Int>]

  /// nil for anything else than positive numbers and ascending ranges of them.
  public init?(_ text: String) {
    var ranges: [ClosedRange<Int>] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false)
        .map { $0.allSatisfy { ("0"..."9").contains($0) } ? Int($0) : nil }
      guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil, first > 0, last >= first else {
        return nil
      }
      ranges.append(first...last)
    }
    self.ranges = ranges
  }

  public func contains(_ row: Int) -> Bool { ranges.contains { $0.contains(row) } }
  var last: Int { ranges.map(\.upperBound).max() ?? 0 }
}

/// A row is asked for that is not there.
public enum RowSelectionError: Error, Equatable, Sendable, CustomStringConvertible {
  case beyondTheFile(path: String, row: Int, rows: Int)

  public var description: String {
    switch self {
    case .beyondTheFile(let path, let row, let rows):
      "\(path): row \(row) is asked for, and the file has \(rows); choose --rows from 1 to \(rows)"
    }
  }
}
