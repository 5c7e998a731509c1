/// A row for errors: its number, and its file where that is not the run's data.
public struct RowReference: Equatable, Sendable, CustomStringConvertible {
  /// Counted from one, as in the file.
  public let number: Int
  public let file: String?

  public init(number: Int, file: String? = nil) {
    self.number = number
    self.file = file
  }

  public var description: String { file.map { "\(number) of \($0)" } ?? "\(number)" }
}

/// A row as token ids, with the tokens that are to be learned.
public struct TokenizedRow: Equatable, Sendable {
  /// Counted from one, as in the file.
  public let number: Int
  public let tokens: [Int32]
  /// Indices into `tokens` that are labels: ascending, disjoint, and never 0, since nothing predicts a first token.
  public let labelRanges: [Range<Int>]
  /// Where that is not the run's data, but replayed.
  public let file: String?

  public init(number: Int, tokens: [Int32], labelRanges: [Range<Int>], file: String? = nil) {
    var end = 0
    for range in labelRanges {
      precondition(
        range.lowerBound >= end && range.upperBound <= tokens.count, "labels \(labelRanges) of \(tokens.count) tokens")
      end = range.upperBound
    }
    self.number = number
    self.tokens = tokens
    self.file = file
    self.labelRanges = labelRanges.map { max($0.lowerBound, 1)..<max($0.upperBound, 1) }.filter { !$0.isEmpty }
  }

  public var reference: RowReference { RowReference(number: number, file: file) }

  public var labelCount: Int { labelRanges.reduce(0) { $0 + $1.count } }

  /// The first `length` tokens, with the labels among them.
  public func truncated(to length: Int) -> TokenizedRow {
    guard length < tokens.count else { return self }
    let ranges = labelRanges.map { min($0.lowerBound, length)..<min($0.upperBound, length) }
    return TokenizedRow(number: number, tokens: Array(tokens.prefix(length)), labelRanges: ranges, file: file)
  }
}
