package import Primitives

/// One answer's score by one metric.
public struct ItemScore: Sendable {
  public enum Value: Equatable, Sendable {
    case flag(Bool)
    case number(Double)

    /// 0 or 1 for flags.
    public var number: Double {
      switch self {
      case .flag(let flag): flag ? 1 : 0
      case .number(let number): number
      }
    }
  }

  public let value: Value
  /// How much it counts in the mean.
  public let weight: Double
  /// How the score came about.
  package let details: [JSONValue.Member]

  package init(_ value: Value, weight: Double = 1, details: [JSONValue.Member] = []) {
    self.value = value
    self.weight = weight
    self.details = details
  }
}
