internal import Primitives

/// How a model answers a task.
public enum AnswerMethod: String, CaseIterable, Sendable, Codable {
  /// It writes an answer.
  case generated
  /// Of the recipe's choices it takes the one that it finds likeliest.
  case likelihood
  /// One beside the other.
  case both
}

extension TaskRecipe {
  /// Both where the recipe has choices, else generated.
  public var defaultMethod: AnswerMethod { choices.isEmpty ? .generated : .both }

  /// Rows to be answered by a model: those of a data file, or training rows that this recipe made (`prompt` and `completion`),
  /// whose completion then is the target.
  ///
  /// - Parameter limit: Only the first rows; nil: all.
  /// - Throws: ``EvaluationError``
  public func evaluationItems(path: String, limit: Int? = nil) throws -> [Item] {
    let rows = try DataFile.rows(path: path)
    return try rows.prefix(limit ?? rows.count).map { row in
      let hasFields = prompt.fields.allSatisfy { row.value[$0] != nil }
      guard !hasFields, let prompt = row.value["prompt"]?.stringValue,
        let completion = row.value["completion"]?.stringValue
      else { return try item(row) }
      return Item(
        place: row.place, prompt: prompt, completion: completion, target: completion,
        choices: try choices.map { ($0.label, try $0.text.filled(from: row)) })
    }
  }

  /// The recipe with the metrics that answers of this kind have: for likelihoods the share of rows whose right choice is preferred,
  /// by each ``ChoiceRule``.
  ///
  /// - Throws: ``EvaluationError/noChoices(task:)``
  func answered(by method: AnswerMethod) throws -> TaskRecipe {
    guard method != .generated else { return self }
    guard !choices.isEmpty else { throw EvaluationError.noChoices(task: name) }
    let names = Set(metrics.map(\.name))
    let likelihoods = [
      ("likelihood", ChoiceRule.sum), ("likelihood_per_token", .perToken), ("likelihood_per_byte", .perByte),
    ].filter { !names.contains($0.0) }.map { Metric(name: $0.0, scorer: .likelihood($0.1)) }
    return with(metrics: method == .both ? metrics + likelihoods : likelihoods)
  }

  /// Which choice is the right one: that whose label, or text, is the target.
  func isTarget(_ choice: (label: String, text: String), of item: Item) -> Bool {
    item.target.map { $0.utf8.elementsEqual(choice.label.utf8) || $0.utf8.elementsEqual(choice.text.utf8) } ?? false
  }
}
