/// What an experiment trains, in which order, and what it scores.
///
/// Files are named relative to the plan's own directory. Training settings are options of `lota train` without their dashes.
public struct ExperimentPlan: Equatable, Sendable {
  public var name: String
  /// The base: a model directory.
  public var model: String
  public var seeds: [UInt64]
  public var tasks: [Task]
  /// Of every stage that trains, unless it says otherwise.
  public var training: [Setting]
  /// Steps between two scores of the development rows while a stage trains; nil: after its last step alone.
  public var curveInterval: Int?
  public var stages: [Stage]
  public var table: [TableRow]

  /// A kind of rows, scored after every stage.
  public struct Task: Equatable, Sendable {
    public var name: String
    /// Rows to train on; nil: the task is scored alone.
    public var train: String?
    /// Rows that settings are chosen by.
    public var development: String?
    /// Rows whose loss is reported.
    public var test: String
    public var evaluation: Evaluation?
  }

  /// Answers that a model writes, scored by a task recipe.
  public struct Evaluation: Equatable, Sendable {
    /// Name or file.
    public var recipe: String
    public var data: String
    public var limit: Int?
    /// nil: the recipe's first.
    public var metric: String?
  }

  /// A step of the plan: a model and what was made of it.
  public struct Stage: Equatable, Sendable {
    public var name: String
    /// The stage that this one goes on from; nil: the base.
    public var from: String?
    public var action: Action
    /// Its own in place of the plan's ``ExperimentPlan/curveInterval``.
    public var curveInterval: Int?
    /// The line in the plan.
    public var line: Int
  }

  public enum Action: Equatable, Sendable {
    case train(task: String, settings: [Setting])
    /// Of the stages named.
    case merge(inputs: [String], settings: [Setting])
  }

  /// An option with one value, or several to run through.
  public struct Setting: Equatable, Sendable {
    public var name: String
    public var value: Value

    public init(name: String, value: Value) {
      self.name = name
      self.value = value
    }

    public enum Value: Equatable, Sendable {
      /// Several: the option is repeated. None: the option is a flag.
      case fixed([String])
      /// A flag that is not given.
      case off
      /// A stage of its own for each.
      case vary([String])
      /// The value with the least loss on the task's development rows, found with the first seed.
      case choose([String])
    }
  }

  /// A row of the table of results: a stage on task A, and one that goes on from it on task B.
  public struct TableRow: Equatable, Sendable {
    public var title: String
    public var first: String
    public var second: String

    public init(title: String, first: String, second: String) {
      self.title = title
      self.first = first
      self.second = second
    }
  }

  public func task(_ name: String) -> Task? { tasks.first { $0.name == name } }
  public func stage(_ name: String) -> Stage? { stages.first { $0.name == name } }
}

extension ExperimentPlan.Stage {
  /// The task that it trains.
  public var task: String? { if case .train(let task, _) = action { task } else { nil } }

  public var settings: [ExperimentPlan.Setting] {
    switch action {
    case .train(_, let settings), .merge(_, let settings): settings
    }
  }

  /// Names of the stages that it merges.
  public var merged: [String] { if case .merge(let inputs, _) = action { inputs } else { [] } }

  /// What it reads besides ``from``: inputs of a merge, and stages named by a setting (`@NAME/mask`).
  var references: [String] {
    merged
      + settings.flatMap { setting -> [String] in
        guard case .fixed(let values) = setting.value else { return [] }
        return values.compactMap { StageReference($0)?.stage }
      }
  }
}

/// `@STAGE/mask`, `@STAGE/adapter` or `@STAGE/model`: what another stage has made.
struct StageReference: Equatable {
  enum Part: String { case mask, adapter, model }

  let stage: String
  let part: Part

  init?(_ text: String) {
    guard text.hasPrefix("@"), let slash = text.lastIndex(of: "/"),
      let part = Part(rawValue: String(text[text.index(after: slash)...]))
    else { return nil }
    stage = String(text[text.index(after: text.startIndex)..<slash])
    self.part = part
  }
}
