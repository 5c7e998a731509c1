/// Something about a file's rows that a user should know before training on them.
public struct DataFinding: Equatable, Sendable, Encodable {
  public enum Severity: String, Sendable, Encodable {
    /// Training refuses the rows, or learns something wrong from them.
    case error
    case warning
  }

  public enum Kind: String, CaseIterable, Sendable, Encodable {
    case unreadable
    case emptyCompletion = "empty-completion"
    case noLabels = "no-labels"
    case noEndToken = "no-end-token"
    case endNotLearned = "end-not-learned"
    case doubledBeginning = "doubled-bos"
    case doubledEnd = "doubled-eos"
    case everyRowOverlength = "every-row-over-length"
    case overlap
    case normalizedOverlap = "normalized-overlap"
    case promptOverlap = "prompt-overlap"
    case endIsNoStop = "end-is-no-stop"
    case overlength = "over-length"
    case noLabelsWithinLength = "no-labels-within-length"
    case mergedBoundary = "merged-boundary"
    case duplicate
    case contradiction

    public var severity: Severity {
      switch self {
      case .unreadable, .emptyCompletion, .noLabels, .noEndToken, .endNotLearned, .doubledBeginning, .doubledEnd,
        .everyRowOverlength, .overlap, .normalizedOverlap:
        .error
      case .promptOverlap, .endIsNoStop, .overlength, .noLabelsWithinLength, .mergedBoundary, .duplicate,
        .contradiction:
        .warning
      }
    }

    /// What it means, in one line.
    public var explanation: String {
      switch self {
      case .unreadable: "training refuses these rows"
      case .emptyCompletion: "the completion, or every assistant turn, is empty: training refuses these rows"
      case .noLabels: "no token is left to predict: training refuses these rows"
      case .noEndToken: "the tokenizer names no end-of-sequence token: set eos_token in tokenizer_config.json"
      case .endNotLearned: "a turn ends in plain text, so the model never learns to stop: use another chat template"
      case .doubledBeginning: "two beginning-of-sequence tokens one after another: write it once"
      case .doubledEnd: "the end token is written out in the row, and another follows: take it out of the text"
      case .everyRowOverlength: "no row is within --max-length: raise it, or choose to truncate"
      case .overlap: "row is also in a file it must not be in"
      case .normalizedOverlap: "row is in a file it must not be in, but for case, punctuation and white space"
      case .promptOverlap: "prompt is in a file it should not be in, with another completion"
      case .endIsNoStop: "a turn ends in a special token that the model's configuration does not stop at"
      case .overlength: "longer than --max-length: dropped by default"
      case .noLabelsWithinLength: "of those, no label is left when truncated"
      case .mergedBoundary: "prompt and completion as one text have other tokens; does the prompt end in white space?"
      case .duplicate: "the same as an earlier row"
      case .contradiction: "the prompt of an earlier row with another completion"
      }
    }
  }

  public let kind: Kind
  public let severity: Severity
  public let explanation: String
  /// Numbers from one; empty for what concerns no row in particular.
  public let rows: [Int]
  /// About the first of the rows, or the file they are compared with.
  public let detail: String?

  init(_ kind: Kind, rows: [Int], detail: String? = nil) {
    self.kind = kind
    severity = kind.severity
    explanation = kind.explanation
    self.rows = rows
    self.detail = detail
  }
}
