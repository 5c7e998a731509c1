/// A model that a stage begins with or leaves: a directory, and adapters over it.
public struct ModelState: Codable, Equatable, Sendable {
  /// Tells it from all others: a digest of everything that went into it.
  public var key: String
  public var model: String
  /// In the order of their training.
  public var adapters: [String] = []

  /// Options that name it.
  var arguments: [String] { ["--model", model] + adapters.flatMap { ["--adapter", $0] } }
}

/// What a finished stage leaves, as `record.json` holds it.
public struct StageRecord: Codable, Equatable, Sendable {
  public var key: String
  public var stage: String
  public var label: String
  public var seed: UInt64
  /// The command that made it, without the program's name and with its final paths.
  public var command: [String]
  /// Values of settings that were chosen.
  public var chosen: [String: String]
  public var seconds: Double
  public var peakMemoryBytes: Int
  /// Of what the stage made: adapter, or model.
  public var bytes: Int
  /// Weights trained: entries of the ticket, numbers of low-rank matrices; of a merge those that it changes. nil: all.
  public var trained: Int?
  /// The loss of development rows while it trained.
  public var curve: [CurvePoint]
  public var made: Made

  public enum Made: String, Codable, Sendable { case adapter, model }

  public struct CurvePoint: Codable, Equatable, Sendable {
    public var step: Int
    public var task: String
    /// Mean of -log p over the labels.
    public var tokenLoss: Double
  }

  /// The loss of a task's development rows after the last step.
  public func finalLoss(of task: String) -> Double? { curve.last { $0.task == task }?.tokenLoss }
}
