internal import Reports

/// What a run says while it runs, as one line of text. Where and how it is shown is the caller's.
public struct ProgressLine: Equatable, Sendable {
  public var record: MetricsRecord
  public var stepCount: Int
  /// Of the steps so far, tokens over seconds.
  public var tokensPerSecond: Double
  public var secondsLeft: Double?

  public init(record: MetricsRecord, stepCount: Int, tokensPerSecond: Double, secondsLeft: Double?) {
    self.record = record
    self.stepCount = stepCount
    self.tokensPerSecond = tokensPerSecond
    self.secondsLeft = secondsLeft
  }

  /// `calibration  step  12/300  loss 41.23  per token 1.872  293 tokens/s  4 min 12 s left`
  public var text: String {
    let total = "\(stepCount)"
    let step = String(repeating: " ", count: max(0, total.count - "\(record.step)".count)) + "\(record.step)"
    var parts = [
      record.phase.rawValue, "step \(step)/\(total)", "loss \(NumberText.significant(record.loss, 4))",
      "per token \(NumberText.fixed(record.tokenLoss, 3))", "\(NumberText.fixed(tokensPerSecond, 0)) tokens/s",
    ]
    if record.step < stepCount, let secondsLeft { parts.append("\(NumberText.duration(secondsLeft)) left") }
    return parts.joined(separator: "  ")
  }
}

/// Speed and remaining time from the steps seen so far.
public struct ProgressMeter: Sendable {
  private var stepCount: Int
  private var tokens = 0
  private var seconds = 0.0
  private var steps = 0

  public init(stepCount: Int) { self.stepCount = stepCount }

  /// Counts the step in and gives the line to show.
  public mutating func advance(_ record: MetricsRecord) -> ProgressLine {
    tokens += record.tokens
    seconds += record.seconds
    steps += 1
    let left = seconds / Double(steps) * Double(max(0, stepCount - record.step))
    return ProgressLine(
      record: record, stepCount: stepCount, tokensPerSecond: seconds > 0 ? Double(tokens) / seconds : 0,
      secondsLeft: left.isFinite ? left : nil)
  }
}
