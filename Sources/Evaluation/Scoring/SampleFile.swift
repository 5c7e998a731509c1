internal import Primitives

/// A run's scores by item, as ``EvaluationResult/samples`` writes them.
public struct SampleFile: Sendable {
  public let path: String
  let items: [Item]
  /// Those that every item has, in the first item's order.
  public let metrics: [String]

  struct Item: Sendable {
    let place: RowPlace
    let prompt: String?
    let target: String?
    let scores: [String: ItemScore.Value]
  }

  /// - Throws: ``EvaluationError``
  public init(path: String) throws {
    self.path = path
    var names: [String]?
    items = try DataFile.rows(path: path).map { row in
      guard let value = row.value["scores"] else { throw EvaluationError.missingField(row.place, field: "scores") }
      guard case .object(let members) = value else { throw row.wrongType("scores", expected: "an object") }
      var scores: [String: ItemScore.Value] = [:]
      for (name, value) in members {
        if let flag = value.boolValue {
          scores[name] = .flag(flag)
        } else if let number = value.doubleValue, number.isFinite {
          scores[name] = .number(number)
        } else {
          throw EvaluationError.wrongType(
            row.place, field: "scores.\(name)", expected: "true, false or a number", found: value.kind)
        }
      }
      names = names.map { $0.filter { scores[$0] != nil } } ?? members.map(\.key)
      return Item(
        place: row.place, prompt: try row.optionalText("prompt"), target: try row.optionalText("target"), scores: scores
      )
    }
    metrics = names ?? []
  }
}
