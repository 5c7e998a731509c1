import Foundation

/// When to try again, and how long to wait before.
package struct RetryPolicy: Sendable {
  /// Tries after the first one.
  package var retries: Int
  /// Before the first retry; doubles with every further one.
  package var baseSeconds: Double
  package var longestSeconds: Double
  /// Longest that a server may ask to wait.
  package var longestRetryAfterSeconds: Double
  private let sleep: @Sendable (Double) -> Void

  package init(
    retries: Int = 5, baseSeconds: Double = 1, longestSeconds: Double = 60, longestRetryAfterSeconds: Double = 600,
    sleep: @escaping @Sendable (Double) -> Void = { Thread.sleep(forTimeInterval: $0) }
  ) {
    precondition(retries >= 0 && baseSeconds >= 0, "\(retries) retries from \(baseSeconds) s")
    self.retries = retries
    self.baseSeconds = baseSeconds
    self.longestSeconds = longestSeconds
    self.longestRetryAfterSeconds = longestRetryAfterSeconds
    self.sleep = sleep
  }

  package static func isTransient(status: Int) -> Bool { [408, 429, 500, 502, 503, 504].contains(status) }

  /// Seconds before the retry that follows `failures` failures; nil: give up.
  ///
  /// - Parameter asked: what the server asks for.
  package func delay(afterFailures failures: Int, asked: Double? = nil) -> Double? {
    guard failures <= retries else { return nil }
    if let asked {
      return asked <= longestRetryAfterSeconds ? asked : nil
    }
    // Half to whole, so that several clients do not come back together.
    let delay = min(longestSeconds, baseSeconds * pow(2, Double(failures - 1)))
    return delay * Double.random(in: 0.5...1)
  }

  package func wait(_ seconds: Double) { sleep(seconds) }
}
