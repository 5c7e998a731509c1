/// A figure measured with several seeds.
public struct SeedFigure: Equatable, Sendable {
  public let values: [Double]

  /// nil for none.
  public init?(_ values: [Double]) {
    guard !values.isEmpty else { return nil }
    self.values = values
  }

  public var mean: Double { values.reduce(0, +) / Double(values.count) }

  /// Half the width of Student's interval of 95 % for the mean; nil for fewer than two seeds.
  public var halfWidth: Double? {
    guard values.count > 1 else { return nil }
    let mean = mean
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)
    let quantile = Self.quantiles[min(values.count - 2, Self.quantiles.count - 1)]
    return quantile * (variance / Double(values.count)).squareRoot()
  }

  /// Student's 97.5 % points for 1 to 20 degrees of freedom; with more the last is taken, which is wider.
  private static let quantiles = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086,
  ]
}
