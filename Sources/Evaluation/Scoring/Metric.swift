internal import Primitives

/// One figure of a task: how an answer is scored.
public struct Metric: Equatable, Sendable {
  public enum Scorer: Equatable, Sendable {
    /// The answer extracted from the prediction equals the one extracted from the target.
    case match(AnswerExtraction)
    /// Equal in ``SQLNormalForm``.
    case sqlMatch
    /// F1 of ROUGE-1, or ROUGE-L.
    case rouge(longestCommonSubsequence: Bool)
    /// Whether the answer refuses; with the prompt, whether prompt and answer together hold the words.
    case refusal(RefusalWords, withPrompt: Bool)
    /// exp of the loss a token, over all tokens of all rows.
    case perplexity
    /// The continuation that the model finds likeliest, by this rule, is the right one.
    case likelihood(ChoiceRule)
  }

  public let name: String
  public let scorer: Scorer

  public init(name: String, scorer: Scorer) {
    self.name = name
    self.scorer = scorer
  }

  /// - Throws: ``EvaluationError/noAnswerInTarget(_:metric:)``, ``EvaluationError/noPrompt(_:metric:)``,
  ///   ``EvaluationError/missingField(_:field:)``
  public func score(_ answer: Answer) throws -> ItemScore {
    switch scorer {
    case .match(let extraction): return try match(answer, extraction)
    case .sqlMatch:
      let (target, prediction) = try texts(answer)
      return ItemScore(.flag(SQLNormalForm.of(target).utf8.elementsEqual(SQLNormalForm.of(prediction).utf8)))
    case .rouge(let longestCommonSubsequence):
      let (target, prediction) = try texts(answer)
      let score =
        longestCommonSubsequence
        ? Rouge.longestCommonSubsequence(target: target, prediction: prediction)
        : Rouge.unigrams(target: target, prediction: prediction)
      return ItemScore(
        .number(score.f1), details: [("precision", .number(score.precision)), ("recall", .number(score.recall))])
    case .refusal(let words, let withPrompt):
      let prediction = try text(answer.prediction, "prediction", answer)
      guard withPrompt else { return refusal(words.match(in: prediction)) }
      guard let prompt = answer.prompt else { throw EvaluationError.noPrompt(answer.place, metric: name) }
      return refusal(words.match(in: prompt + prediction))
    case .perplexity:
      guard let logprob = answer.logprob, let count = answer.tokenCount else {
        throw EvaluationError.missingField(answer.place, field: answer.logprob == nil ? "logprob" : "count")
      }
      return ItemScore(.number(count > 0 ? -logprob / Double(count) : 0), weight: Double(count))
    case .likelihood(let rule): return try likelihood(answer, rule)
    }
  }

  private func likelihood(_ answer: Answer, _ rule: ChoiceRule) throws -> ItemScore {
    guard let choices = answer.choices else { throw EvaluationError.missingField(answer.place, field: "choices") }
    guard choices.contains(where: \.isTarget) else {
      throw EvaluationError.noAnswerInTarget(answer.place, metric: name)
    }
    let preferred = rule.preferred(
      logprobs: choices.map(\.logprob), tokenCounts: choices.map(\.tokenCount), byteCounts: choices.map(\.byteCount)
    ).map { choices[$0] }
    return ItemScore(
      .flag(preferred?.isTarget ?? false), details: [("prediction", preferred.map { .string($0.label) } ?? .null)])
  }

  private func match(_ answer: Answer, _ extraction: AnswerExtraction) throws -> ItemScore {
    let (target, prediction) = try texts(answer)
    guard let expected = extraction.answer(in: target) else {
      throw EvaluationError.noAnswerInTarget(answer.place, metric: name)
    }
    let found = extraction.answer(in: prediction)
    // Bytes, because Swift takes canonically equivalent texts for equal.
    let isEqual = found.map { $0.utf8.elementsEqual(expected.utf8) } ?? false
    return ItemScore(
      .flag(isEqual), details: [("target", .string(expected)), ("prediction", found.map { .string($0) } ?? .null)])
  }

  private func texts(_ answer: Answer) throws -> (target: String, prediction: String) {
    (try text(answer.target, "target", answer), try text(answer.prediction, "prediction", answer))
  }

  private func refusal(_ word: String?) -> ItemScore {
    ItemScore(.flag(word != nil), details: [("word", word.map { .string($0) } ?? .null)])
  }

  private func text(_ value: String?, _ field: String, _ answer: Answer) throws -> String {
    guard let value else { throw EvaluationError.missingField(answer.place, field: field) }
    return value
  }
}
