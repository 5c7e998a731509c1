internal import Primitives

/// What a task asks, what is a good answer, and how answers are scored; read from a YAML file.
public struct TaskRecipe: Equatable, Sendable {
  /// One of the answers among which the log-likelihood chooses.
  public struct Choice: Equatable, Sendable {
    /// Equal to the target where it is the right one.
    public let label: String
    /// The continuation of the prompt whose likelihood counts.
    public let text: TextTemplate
  }

  public let name: String
  public let summary: String
  public let prompt: TextTemplate
  /// What is learned; nil: the task is for evaluation alone.
  public let completion: TextTemplate?
  /// What answers are compared with; the completion unless given.
  public let target: TextTemplate?
  /// Fields that rows may have, but only empty.
  public let emptyFields: [String]
  public let choices: [Choice]
  /// Where a generated answer is cut at the latest, in tokens.
  public let maximumTokens: Int
  /// Texts that end a generated answer.
  public let stops: [String]
  /// The first is the one that counts.
  public internal(set) var metrics: [Metric]
  /// The recipe as it was read.
  public let text: String

  func with(metrics: [Metric]) -> TaskRecipe {
    var changed = self
    changed.metrics = metrics
    return changed
  }

  public static let defaultMaximumTokens = 256

  /// A built-in task by name, or the recipe in the file of this path (one that holds a slash or ends in .yaml or .yml).
  ///
  /// - Throws: ``EvaluationError``
  public static func named(_ name: String) throws -> TaskRecipe {
    if name.contains("/") || name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
      return try TaskRecipe(yaml: try DataFile.text(of: name), path: name)
    }
    guard let text = BuiltInTasks.recipes[name] else {
      throw EvaluationError.unknownTask(name, known: BuiltInTasks.names)
    }
    return try TaskRecipe(yaml: text, path: "task \(name)")
  }

  /// A row of the task's data with all templates filled.
  public struct Item: Equatable, Sendable {
    public let place: RowPlace
    public let prompt: String
    public let completion: String?
    public let target: String?
    public let choices: [(label: String, text: String)]

    public static func == (left: Item, right: Item) -> Bool {
      left.place == right.place && left.prompt == right.prompt && left.completion == right.completion
        && left.target == right.target && left.choices.elementsEqual(right.choices) { $0 == $1 }
    }
  }

  package func item(_ row: DataRow) throws -> Item {
    for field in emptyFields {
      if let text = row.value[field]?.stringValue, text.isEmpty { continue }
      guard row.value[field]?.isNull ?? true else { throw EvaluationError.unusedField(row.place, field: field) }
    }
    return Item(
      place: row.place, prompt: try prompt.filled(from: row), completion: try completion?.filled(from: row),
      target: try target?.filled(from: row),
      choices: try choices.map { ($0.label, try $0.text.filled(from: row)) })
  }

  /// The items of a data file.
  public func items(path: String) throws -> [Item] { try DataFile.rows(path: path).map(item) }

  /// The rows of a data file as training rows: one `{"prompt", "completion"}` object a line.
  public func trainingRows(path: String) throws -> (bytes: [UInt8], count: Int) {
    guard completion != nil else { throw EvaluationError.nothingToLearn(task: name) }
    var bytes: [UInt8] = []
    let items = try items(path: path)
    for item in items {
      guard let completion = item.completion else { continue }
      bytes += JSONLine.encoded([("prompt", .string(item.prompt)), ("completion", .string(completion))])
    }
    return (bytes, items.count)
  }
}
