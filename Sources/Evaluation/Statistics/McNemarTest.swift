internal import Foundation

/// Whether two runs over the same items succeed equally often (McNemar 1947), by the exact binomial distribution.
public enum McNemarTest {
  /// min(1, 2 P(X <= min(b, c))) where X is binomial over b + c trials of probability 1/2; 1 without differing items.
  public static func exact(onlyFirst: Int, onlySecond: Int) -> Double {
    precondition(onlyFirst >= 0 && onlySecond >= 0, "\(onlyFirst) and \(onlySecond) differing items")
    let (n, smaller) = (onlyFirst + onlySecond, min(onlyFirst, onlySecond))
    var logTerm = -Double(n) * log(2)
    var sum = exp(logTerm)
    for k in 0..<smaller {
      logTerm += log(Double(n - k)) - log(Double(k + 1))
      sum += exp(logTerm)
    }
    return min(1, 2 * sum)
  }
}
