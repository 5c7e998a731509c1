package import Testing

/// Records an issue unless `body` ends within so much time, and gives its result. What never ends shows as a test that never does.
package func expectEnds<Result>(
  within seconds: Int = 10, _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Result
) rethrows -> Result {
  let start = ContinuousClock.now
  defer {
    let duration = start.duration(to: .now)
    if duration > .seconds(seconds) {
      Issue.record("\(what) took \(duration), at most \(seconds) s are allowed", sourceLocation: sourceLocation)
    }
  }
  return try body()
}
