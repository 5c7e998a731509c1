/// Everything that a finished plan has found.
public struct ExperimentResults: Equatable, Sendable {
  public let plan: ExperimentPlan
  public let graph: StageGraph
  /// By position in the graph.
  public let records: [Int: StageRecord]
  /// Stages run to choose a setting; the best of them are stages of the graph too.
  public let candidates: [CandidateResult]
  /// The base's first.
  public let scores: [ModelScores]
  public let overlaps: [StageOverlap]

  /// nil: the base's.
  public func score(_ instance: Int?, _ task: String) -> TaskScore? {
    scores.first { $0.instance == instance }?.tasks[task]
  }
}

public struct CandidateResult: Equatable, Sendable {
  public let instance: Int
  public let values: [String: String]
  public let record: StageRecord
  /// By which it was judged: the mean of -log p over the labels of development rows; of a merge, the mean over its tasks.
  public let loss: Double
}

/// A model's scores on the test rows of every task.
public struct ModelScores: Equatable, Sendable {
  /// Position in the graph; nil: the base.
  public let instance: Int?
  public let tasks: [String: TaskScore]
}

/// A model on a task's test rows.
public struct TaskScore: Codable, Equatable, Sendable {
  public var rows: Int
  public var labels: Int
  /// Mean of -log p over the labels.
  public var tokenLoss: Double
  /// Mean over the rows of the sum of -log p.
  public var rowLoss: Double
  public var metric: MetricValue?
}

/// A figure of a task recipe.
public struct MetricValue: Codable, Equatable, Sendable {
  public var name: String
  public var value: Double
  /// 95 %.
  public var low: Double
  public var high: Double
  public var rows: Int
}
