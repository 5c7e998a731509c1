internal import Primitives

/// What is scored: an answer and what it is compared with. Read from a file of predictions, or made by a model.
public struct Answer: Equatable, Sendable {
  public var place: RowPlace
  public var prompt: String?
  public var target: String?
  public var prediction: String?
  /// Sum over the completion's tokens, natural logarithm.
  public var logprob: Double?
  /// Number of the completion's tokens.
  public var tokenCount: Int?
  /// Token ids of the prediction, without the token that ended it.
  public var tokens: [Int]?
  /// Likelihoods of the task's choices, in its order.
  public var choices: [ChoiceLikelihood]?

  public init(
    place: RowPlace, prompt: String? = nil, target: String? = nil, prediction: String? = nil, logprob: Double? = nil,
    tokenCount: Int? = nil
  ) {
    self.place = place
    self.prompt = prompt
    self.target = target
    self.prediction = prediction
    self.logprob = logprob
    self.tokenCount = tokenCount
  }
}

/// How likely a model finds one of a task's choices after the prompt.
public struct ChoiceLikelihood: Equatable, Sendable {
  public let label: String
  /// Sum over the choice's tokens, natural logarithm.
  public let logprob: Double
  public let tokenCount: Int
  /// Bytes of its text in UTF-8.
  public let byteCount: Int
  /// Whether it is the right one.
  public let isTarget: Bool

  public init(label: String, logprob: Double, tokenCount: Int, byteCount: Int, isTarget: Bool) {
    self.label = label
    self.logprob = logprob
    self.tokenCount = tokenCount
    self.byteCount = byteCount
    self.isTarget = isTarget
  }
}

// MARK: - As a row of a file

extension Answer {
  /// The members that hold what is known, `row` first.
  var members: [JSONValue.Member] {
    var members: [JSONValue.Member] = [("row", .integer(place.row))]
    if let prompt { members.append(("prompt", .string(prompt))) }
    if let target { members.append(("target", .string(target))) }
    if let prediction { members.append(("prediction", .string(prediction))) }
    if let tokens { members.append(("tokens", .array(tokens.map { .integer($0) }))) }
    if let logprob { members.append(("logprob", .number(logprob))) }
    if let tokenCount { members.append(("count", .integer(tokenCount))) }
    if let choices { members.append(("choices", .array(choices.map { .object($0.members) }))) }
    return members
  }

  /// - Throws: ``EvaluationError/wrongType(_:field:expected:found:)``
  init(_ row: DataRow) throws {
    self.init(
      place: row.place, prompt: try row.optionalText("prompt"), target: try row.optionalText("target"),
      prediction: try row.optionalText("prediction"), logprob: try row.optionalNumber("logprob"),
      tokenCount: try row.optionalCount("count", "a whole number of tokens"))
  }

  /// The same with what only a model's answers have; a file of predictions may hold other things under these names.
  init(sample row: DataRow) throws {
    try self.init(row)
    tokens = try row.optionalArray("tokens")?.map { element in
      guard let id = element.integerValue, id >= 0 else { throw row.wrongType("tokens", expected: "token ids") }
      return id
    }
    choices = try row.optionalArray("choices")?.map { try ChoiceLikelihood(DataRow(place: row.place, value: $0)) }
  }
}

extension ChoiceLikelihood {
  fileprivate var members: [JSONValue.Member] {
    [
      ("label", .string(label)), ("logprob", .number(logprob)), ("count", .integer(tokenCount)),
      ("bytes", .integer(byteCount)), ("right", .bool(isTarget)),
    ]
  }

  fileprivate init(_ row: DataRow) throws {
    func required<Value>(_ value: Value?, _ field: String) throws -> Value {
      guard let value else { throw EvaluationError.missingField(row.place, field: "choices.\(field)") }
      return value
    }
    label = try required(try row.optionalText("label"), "label")
    logprob = try required(try row.optionalNumber("logprob"), "logprob")
    tokenCount = try required(try row.optionalCount("count", "a whole number of tokens"), "count")
    byteCount = try required(try row.optionalCount("bytes", "a whole number"), "bytes")
    isTarget = try required(row.value["right"]?.boolValue, "right")
  }
}
