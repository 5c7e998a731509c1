public import Foundation

/// Where a row stands in its file.
public struct RowLocation: Equatable, Hashable, Sendable, CustomStringConvertible {
  public let path: String
  /// Counted from one, over rows only: blank lines are no rows.
  public let row: Int
  /// Counted from one: the line that the row begins on.
  public let line: Int

  public init(path: String, row: Int, line: Int) {
    self.path = path
    self.row = row
    self.line = line
  }

  public var description: String {
    line == row ? "\(path): row \(row)" : "\(path): row \(row) (line \(line))"
  }
}

/// What can be wrong with a file of training rows.
public enum TrainingDataError: Error, Equatable, Sendable {
  case unreadable(path: String, reason: String)
  case noRows(path: String)
  case unknownFormatName(String)
  case unknownFormat(RowLocation, fields: [String])
  case invalidUTF8(RowLocation, byte: Int)
  case malformedJSON(RowLocation, reason: String)
  case notAnObject(RowLocation, found: String)
  case missingField(RowLocation, field: String, format: RowFormat)
  case wrongType(RowLocation, field: String, expected: String, found: String)
  case noLabels(RowLocation, reason: String)
  case rowTooLong(RowLocation, tokens: Int, limit: Int)
  case everyRowDropped(path: String, rows: Int, limit: Int, longest: Int)
  case noEndOfSequence(path: String)
  case noChatTemplate(RowLocation)
  case chatTemplateFailed(RowLocation, reason: String)
  /// The template renders the conversation before `message` (from zero) differently once more messages follow.
  case chatTemplateNotIncremental(RowLocation, message: Int)
  /// Each of the assistant's turns is found by what stands before it, which would take too long.
  case tooManyTurns(RowLocation, turns: Int, byteCount: Int)
}

extension TrainingDataError: CustomStringConvertible, LocalizedError {
  public var errorDescription: String? { description }

  public var description: String {
    switch self {
    case .unreadable(let path, let reason):
      "\(path): cannot be read: \(reason)"
    case .noRows(let path):
      "\(path): holds no rows; expected JSON Lines, one object a line"
    case .unknownFormatName(let name):
      "unknown row format '\(name)'; use one of \(RowFormat.allCases.map(\.rawValue).joined(separator: ", "))"
    case .noEndOfSequence(let path):
      """
      \(path): the tokenizer names no end-of-sequence token, which must end every row; \
      set eos_token in tokenizer_config.json
      """
    case .everyRowDropped(let path, let rows, let limit, let longest):
      """
      \(path): none of its \(rows) rows is left within \(limit) tokens (the longest has \(longest)); \
      raise --max-length or choose to truncate
      """
    default: rowDescription
    }
  }

  private var rowDescription: String {
    switch self {
    case .unknownFormat(let location, let fields):
      """
      \(location): fields \(Self.list(fields)) match no row format; expected prompt and completion, messages, \
      instruction and output, or text
      """
    case .invalidUTF8(let location, let byte):
      "\(location): is not valid UTF-8 at byte \(byte) of the row; save the file as UTF-8"
    case .malformedJSON(let location, let reason):
      "\(location): malformed JSON: \(reason)"
    case .notAnObject(let location, let found):
      "\(location): expected an object, found \(found)"
    case .missingField(let location, let field, let format):
      "\(location): field '\(field)' is missing; every row of format \(format.rawValue) needs it"
    case .wrongType(let location, let field, let expected, let found):
      "\(location): field '\(field)' must be \(expected), found \(found)"
    case .noLabels(let location, let reason):
      "\(location): nothing to learn: \(reason)"
    case .rowTooLong(let location, let tokens, let limit):
      "\(location): \(tokens) tokens exceed the limit of \(limit); raise --max-length, or choose to drop or truncate"
    case .noChatTemplate(let location):
      """
      \(location): messages need a chat template, and the model's tokenizer has none; \
      use prompt and completion instead
      """
    case .chatTemplateFailed(let location, let reason):
      "\(location): the chat template refused the messages: \(reason)"
    case .chatTemplateNotIncremental(let location, let message):
      """
      \(location): the chat template renders what precedes message \(message + 1) differently once it is there, \
      so its tokens cannot be told apart; use prompt and completion instead
      """
    case .tooManyTurns(let location, let turns, let byteCount):
      """
      \(location): \(byteCount) bytes in a conversation with \(turns) of the assistant's turns are more than can be \
      told apart, each by all that stands before it; split the row
      """
    case .unreadable, .noRows, .unknownFormatName, .noEndOfSequence, .everyRowDropped:
      "the file has no usable rows"
    }
  }

  private static func list(_ names: [String]) -> String {
    names.isEmpty ? "(none)" : names.map { "'\($0)'" }.joined(separator: ", ")
  }
}
