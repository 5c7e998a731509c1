/// How far an evaluation by a model has come, and what it has taken.
public struct EvaluationWork: Equatable, Sendable, Codable {
  /// Rows answered, those of an earlier, interrupted run included.
  public var done = 0
  public let total: Int
  /// Rows that an earlier run had answered.
  public let resumed: Int
  public var promptTokens = 0
  /// Without those that ended an answer.
  public var generatedTokens = 0
  public var seconds = 0.0

  init(total: Int, resumed: Int) {
    self.total = total
    self.resumed = resumed
    done = resumed
  }

  /// By the rows of this run; nil before the first. Long prompts come first, so that it errs on the long side.
  public var secondsLeft: Double? {
    done > resumed ? seconds / Double(done - resumed) * Double(total - done) : nil
  }
}
