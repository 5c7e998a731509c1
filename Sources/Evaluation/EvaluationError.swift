public import Foundation

/// Where a row stands in its file.
public struct RowPlace: Equatable, Hashable, Sendable, CustomStringConvertible {
  public let path: String
  /// Counted from one, over rows only: blank lines are no rows.
  public let row: Int
  /// Counted from one: the line that the row begins on; nil inside a JSON array.
  public let line: Int?

  public init(path: String, row: Int, line: Int? = nil) {
    self.path = path
    self.row = row
    self.line = line
  }

  public var description: String {
    guard let line, line != row else { return "\(path): row \(row)" }
    return "\(path): row \(row) (line \(line))"
  }
}

/// What can be wrong with recipes, data and predictions.
public enum EvaluationError: Error, Equatable, Sendable {
  case unreadable(path: String, reason: String)
  case malformedFile(path: String, line: Int, reason: String)
  case malformedRow(RowPlace, reason: String)
  case noRows(path: String)
  case missingField(RowPlace, field: String)
  case wrongType(RowPlace, field: String, expected: String, found: String)
  /// The recipe has no use for what the row holds there.
  case unusedField(RowPlace, field: String)
  case unknownTask(String, known: [String])
  case invalidRecipe(path: String, line: Int, reason: String)
  case noMetric(task: String)
  case nothingToLearn(task: String)
  case noAnswerInTarget(RowPlace, metric: String)
  case noPrompt(RowPlace, metric: String)
  case noChoices(task: String)
  /// The model has no position left for an answer.
  case promptTooLong(RowPlace, tokens: Int, limit: Int)
  case emptyPrompt(RowPlace)
  case samplesExist(path: String)
  case otherRun(path: String, differences: [String])
  case differentLengths(first: String, firstCount: Int, second: String, secondCount: Int)
  case differentItems(RowPlace, RowPlace, field: String)
  case noCommonMetric(first: [String], second: [String], wanted: String?)
}

extension EvaluationError: CustomStringConvertible, LocalizedError {
  public var errorDescription: String? { description }

  public var description: String {
    switch self {
    case .unreadable(let path, let reason): "\(path): cannot be read: \(reason)"
    case .malformedFile(let path, let line, let reason): "\(path): line \(line): \(reason)"
    case .malformedRow(let place, let reason): "\(place): \(reason)"
    case .noRows(let path): "\(path): holds no rows; expected JSON Lines, a JSON array of objects, or CSV with a header"
    case .missingField(let place, let field): "\(place): field '\(field)' is missing; the task needs it in every row"
    case .wrongType(let place, let field, let expected, let found):
      "\(place): field '\(field)' must be \(expected), found \(found)"
    case .unusedField(let place, let field):
      "\(place): field '\(field)' is not empty, and the task's recipe does not use it; write a recipe that does"
    case .noAnswerInTarget(let place, let metric):
      "\(place): the target holds no answer of the kind that \(metric) compares; is this the right task?"
    case .noPrompt(let place, let metric): "\(place): field 'prompt' is missing; \(metric) looks at it too"
    default: fileDescription
    }
  }

  private var fileDescription: String {
    switch self {
    case .unknownTask(let name, let known):
      "unknown task '\(name)'; give the path of a recipe (.yaml), or one of \(known.joined(separator: ", "))"
    case .invalidRecipe(let path, let line, let reason): "\(path):\(line): \(reason)"
    case .noMetric(let task):
      "task \(task) has no metric that can score existing answers; its recipe only makes prompts"
    case .nothingToLearn(let task):
      "task \(task) has no completion to learn; add the key 'completion' to its recipe"
    case .differentLengths(let first, let firstCount, let second, let secondCount):
      "\(first) has \(firstCount) rows, \(second) has \(secondCount); compare runs over the same items"
    case .differentItems(let first, let second, let field):
      "\(first) and \(second) differ in '\(field)'; compare runs over the same items in the same order"
    case .noCommonMetric(let first, let second, let wanted):
      """
      \(wanted.map { "metric '\($0)' is not in both files" } ?? "no metric is in both files"): the first has \
      \(first.joined(separator: ", ")), the second \(second.joined(separator: ", "))
      """
    case .noChoices(let task):
      "task \(task) has no choices whose likelihood could be compared; add the key 'choices' to its recipe, or generate answers"
    case .promptTooLong(let place, let tokens, let limit):
      "\(place): the prompt has \(tokens) tokens and leaves no room for an answer within the \(limit) that the model was made for"
    case .emptyPrompt(let place): "\(place): the prompt is empty; a model needs at least one token to begin with"
    case .samplesExist(let path):
      "\(path) exists: go on where it ends with --resume, or name another file"
    case .otherRun(let path, let differences):
      "\(path) was made by another run (\(differences.joined(separator: "; "))); name another file, or remove it to begin anew"
    default: "the evaluation cannot go on"
    }
  }
}
