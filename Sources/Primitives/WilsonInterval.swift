/// The range in which a success rate lies with 95 % confidence, given a count (Wilson 1927).
public struct WilsonInterval: Equatable, Sendable {
  public let low: Double
  public let high: Double

  /// Without trials the rate may be anything.
  public init(successes: Int, trials: Int) {
    precondition(trials >= 0 && (0...trials).contains(successes), "\(successes) successes of \(trials)")
    guard trials > 0 else {
      low = 0
      high = 1
      return
    }
    let z = 1.959963984540054
    let (n, rate) = (Double(trials), Double(successes) / Double(trials))
    let denominator = 1 + z * z / n
    let center = (rate + z * z / (2 * n)) / denominator
    let half = z * (rate * (1 - rate) / n + z * z / (4 * n * n)).squareRoot() / denominator
    low = successes == 0 ? 0 : max(0, center - half)
    high = successes == trials ? 1 : min(1, center + half)
  }
}
