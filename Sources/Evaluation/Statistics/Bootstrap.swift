internal import Primitives

/// Intervals by resampling items with replacement (Efron 1979): percentiles 2.5 and 97.5, linearly interpolated.
public struct Bootstrap: Equatable, Sendable {
  public static let defaultResamples = 10_000

  public let resamples: Int
  public let seed: UInt64

  public init(resamples: Int = Bootstrap.defaultResamples, seed: UInt64 = 0) {
    precondition(resamples > 0, "\(resamples) resamples")
    self.resamples = resamples
    self.seed = seed
  }

  public struct Estimate: Equatable, Sendable {
    public let value: Double
    public let low: Double
    public let high: Double
    /// Two-sided, of no difference from zero: twice the smaller share of resamples on one side of zero or at it, the
    /// observed sample counted as one more.
    public let p: Double
  }

  /// The weighted mean sum(w x) / sum(w); 0 where the weights are 0. Sums in float64.
  public func mean(of values: [Double], weights: [Double]) -> Estimate {
    precondition(values.count == weights.count, "\(values.count) values, \(weights.count) weights")
    let products = zip(values, weights).map { $0 * $1 }
    let value = Self.ratio(products.reduce(0, +), weights.reduce(0, +))
    guard values.count > 1 else { return Estimate(value: value, low: value, high: value, p: 1) }
    var means: [Double] = []
    means.reserveCapacity(resamples)
    var random = RandomStream(seed: seed, purpose: "bootstrap")
    for _ in 0..<resamples {
      var (sum, weight) = (0.0, 0.0)
      for _ in values.indices {
        let index = random.below(values.count)
        sum += products[index]
        weight += weights[index]
      }
      means.append(Self.ratio(sum, weight))
    }
    let (below, above) = (means.count { $0 <= 0 }, means.count { $0 >= 0 })
    let p = min(1, 2 * Double(min(below, above) + 1) / Double(resamples + 1))
    means.sort()
    return Estimate(
      value: value, low: Self.percentile(means, 0.025), high: Self.percentile(means, 0.975), p: p)
  }

  /// The mean of second less first, item by item.
  public func difference(first: [Double], second: [Double]) -> Estimate {
    precondition(first.count == second.count, "\(first.count) and \(second.count) items")
    return mean(of: zip(first, second).map { $1 - $0 }, weights: first.map { _ in 1 })
  }

  private static func ratio(_ sum: Double, _ weight: Double) -> Double { weight > 0 ? sum / weight : 0 }

  private static func percentile(_ sorted: [Double], _ fraction: Double) -> Double {
    let position = fraction * Double(sorted.count - 1)
    let lower = Int(position)
    let upper = min(lower + 1, sorted.count - 1)
    return sorted[lower] + (sorted[upper] - sorted[lower]) * (position - Double(lower))
  }
}
