internal import Foundation
internal import Primitives

/// A metric's value over many answers.
public struct Figure: Equatable, Sendable, Codable {
  public enum Interval: String, Sendable, Codable { case wilson, bootstrap }

  public let metric: String
  public let value: Double
  /// Answers that counted.
  public let n: Int
  /// Of these, how many hold; nil for metrics that are no proportions.
  public let successes: Int?
  /// The interval of 95 % confidence.
  public let low: Double
  public let high: Double
  public let interval: Interval
}

/// Answers scored by all metrics of a task.
public struct EvaluationResult: Sendable {
  /// How intervals are drawn.
  public struct Options: Equatable, Sendable {
    public var seed: UInt64 = 0
    public var resamples = Bootstrap.defaultResamples
    /// Adds each figure over full batches of this many rows, the rest left out, as the released evaluation has it.
    public var fullBatches: Int?

    public init() {}
  }

  public let task: TaskRecipe
  public let answers: [Answer]
  /// By metric, then by answer.
  public let scores: [[ItemScore]]
  public let figures: [Figure]
  /// What it took; nil for answers that existed.
  public internal(set) var work: EvaluationWork?

  /// - Throws: ``EvaluationError`` with the row of the first answer that cannot be scored.
  public init(task: TaskRecipe, answers: [Answer], options: Options = Options()) throws {
    guard !task.metrics.isEmpty else { throw EvaluationError.noMetric(task: task.name) }
    try self.init(scoring: answers, by: task, options)
  }

  /// The same for answers that a model has just given: without a metric they are a result too, for a judge to read.
  init(scoring answers: [Answer], by task: TaskRecipe, _ options: Options) throws {
    self.task = task
    self.answers = answers
    let scores = try task.metrics.map { metric in try answers.map(metric.score) }
    self.scores = scores
    var figures = zip(task.metrics, scores).map { Self.figure($0, $1, options, name: $0.name) }
    if let size = options.fullBatches {
      let count = answers.count / size * size
      figures += zip(task.metrics, scores).map {
        Self.figure($0, Array($1.prefix(count)), options, name: $0.name + "_full_batches")
      }
    }
    self.figures = figures
  }

  private static func figure(_ metric: Metric, _ scores: [ItemScore], _ options: Options, name: String) -> Figure {
    let flags = scores.compactMap { if case .flag(let flag) = $0.value { flag } else { nil } }
    if flags.count == scores.count, !flags.isEmpty {
      let successes = flags.count { $0 }
      let interval = WilsonInterval(successes: successes, trials: flags.count)
      return Figure(
        metric: name, value: Double(successes) / Double(flags.count), n: flags.count, successes: successes,
        low: interval.low, high: interval.high, interval: .wilson)
    }
    let mean = Bootstrap(resamples: options.resamples, seed: options.seed)
      .mean(of: scores.map(\.value.number), weights: scores.map(\.weight))
    let isPerplexity = metric.scorer == .perplexity
    func shown(_ value: Double) -> Double { isPerplexity ? exp(value) : value }
    return Figure(
      metric: name, value: shown(mean.value), n: scores.count, successes: nil, low: shown(mean.low),
      high: shown(mean.high), interval: .bootstrap)
  }

  /// One object an answer: `row`, what was given, `scores` by metric (true or false for proportions), and `details`.
  public var samples: [UInt8] {
    answers.indices.flatMap { index in
      Self.sample(answers[index], zip(task.metrics, scores).map { ($0.name, $1[index]) })
    }
  }

  /// One answer's object, on a line.
  static func sample(_ answer: Answer, _ scores: [(name: String, score: ItemScore)]) -> [UInt8] {
    func value(_ score: ItemScore) -> JSONValue {
      switch score.value {
      case .flag(let flag): .bool(flag)
      case .number(let number): .number(number)
      }
    }
    var members = answer.members
    members.append(("scores", .object(scores.map { ($0.name, value($0.score)) })))
    let details = scores.filter { !$0.score.details.isEmpty }
    if !details.isEmpty { members.append(("details", .object(details.map { ($0.name, .object($0.score.details)) }))) }
    return JSONLine.encoded(members)
  }
}
