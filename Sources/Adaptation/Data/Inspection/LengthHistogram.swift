/// How many rows have how many tokens, in bins of equal width.
public struct LengthHistogram: Equatable, Sendable, Encodable {
  public struct Bin: Equatable, Sendable, Encodable {
    /// Tokens, both included.
    public let from: Int
    public let through: Int
    public let rows: Int
  }

  public let bins: [Bin]
  public let shortest: Int
  public let median: Int
  /// Nineteen of twenty rows have at most this many tokens.
  public let percentile95: Int
  public let longest: Int

  private static let mostBins = 12

  /// - Parameter lengths: in tokens, not all absent.
  init(_ lengths: [Int]) {
    let sorted = lengths.sorted()
    shortest = sorted.first ?? 0
    longest = sorted.last ?? 0
    median = Self.rank(sorted, 0.5)
    percentile95 = Self.rank(sorted, 0.95)
    let width = Self.width(spanning: longest)
    var counts = [Int](repeating: 0, count: longest / width + 1)
    for length in sorted { counts[length / width] += 1 }
    bins = counts.enumerated().map { Bin(from: $0 * width, through: ($0 + 1) * width - 1, rows: $1) }
  }

  /// The smallest value that a share of all values does not exceed.
  private static func rank(_ sorted: [Int], _ share: Double) -> Int {
    guard !sorted.isEmpty else { return 0 }
    return sorted[max(0, min(sorted.count, Int((share * Double(sorted.count)).rounded(.up))) - 1)]
  }

  /// 1, 2 or 5 times a power of ten.
  private static func width(spanning longest: Int) -> Int {
    var power = 1
    while true {
      for factor in [1, 2, 5] where longest / (factor * power) < mostBins { return factor * power }
      let (next, overflow) = power.multipliedReportingOverflow(by: 10)
      if overflow { return longest + 1 }
      power = next
    }
  }
}
