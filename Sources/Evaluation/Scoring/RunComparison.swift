/// Two runs over the same items, item by item, by one metric.
public struct RunComparison: Equatable, Sendable, Encodable {
  public enum Test: String, Sendable, Encodable {
    case exactMcNemar = "exact McNemar"
    case pairedBootstrap = "paired bootstrap"
  }

  public let metric: String
  public let n: Int
  /// Means of the two runs.
  public let first: Double
  public let second: Double
  /// Second less first, with its interval of 95 % confidence (paired bootstrap).
  public let difference: Double
  public let low: Double
  public let high: Double
  /// Items where only one run's score holds (is the higher).
  public let onlyFirst: Int
  public let onlySecond: Int
  public let test: Test
  /// Two-sided.
  public let p: Double

  /// - Parameter metric: nil: the first that both files have.
  /// - Throws: ``EvaluationError``
  public init(
    _ first: SampleFile, _ second: SampleFile, metric: String? = nil, seed: UInt64 = 0,
    resamples: Int = Bootstrap.defaultResamples
  ) throws {
    guard first.items.count == second.items.count else {
      throw EvaluationError.differentLengths(
        first: first.path, firstCount: first.items.count, second: second.path, secondCount: second.items.count)
    }
    for (left, right) in zip(first.items, second.items) {
      for (field, values) in [("target", (left.target, right.target)), ("prompt", (left.prompt, right.prompt))] {
        guard let one = values.0, let other = values.1 else { continue }
        guard one.utf8.elementsEqual(other.utf8) else {
          throw EvaluationError.differentItems(left.place, right.place, field: field)
        }
      }
    }
    let common = first.metrics.filter(second.metrics.contains)
    guard let name = metric.map({ common.contains($0) ? $0 : nil }) ?? common.first else {
      throw EvaluationError.noCommonMetric(first: first.metrics, second: second.metrics, wanted: metric)
    }
    let pairs = zip(first.items, second.items).compactMap { left, right in
      left.scores[name].flatMap { one in right.scores[name].map { (first: one, second: $0) } }
    }
    self.init(metric: name, pairs: pairs, bootstrap: Bootstrap(resamples: resamples, seed: seed))
  }

  init(metric: String, pairs: [(first: ItemScore.Value, second: ItemScore.Value)], bootstrap: Bootstrap) {
    let (one, other) = (pairs.map(\.first.number), pairs.map(\.second.number))
    let areFlags = pairs.allSatisfy {
      if case (.flag, .flag) = ($0.first, $0.second) { true } else { false }
    }
    let result = bootstrap.difference(first: one, second: other)
    self.metric = metric
    n = pairs.count
    first = one.reduce(0, +) / Double(max(1, n))
    second = other.reduce(0, +) / Double(max(1, n))
    (difference, low, high) = (result.value, result.low, result.high)
    onlyFirst = zip(one, other).count { $0 > $1 }
    onlySecond = zip(one, other).count { $0 < $1 }
    test = areFlags ? .exactMcNemar : .pairedBootstrap
    p = areFlags ? McNemarTest.exact(onlyFirst: onlyFirst, onlySecond: onlySecond) : result.p
  }
}
