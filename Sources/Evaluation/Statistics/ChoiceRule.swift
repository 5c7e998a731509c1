/// Which of several continuations a model prefers.
public enum ChoiceRule: String, CaseIterable, Sendable, Codable {
  /// The greatest log-probability.
  case sum
  /// The greatest log-probability a token.
  case perToken = "per-token"
  /// The greatest log-probability a byte of UTF-8.
  case perByte = "per-byte"

  /// The index of the preferred continuation, the first of equal ones; nil without any.
  public func preferred(logprobs: [Double], tokenCounts: [Int], byteCounts: [Int]) -> Int? {
    precondition(
      logprobs.count == tokenCounts.count && logprobs.count == byteCounts.count, "\(logprobs.count) continuations")
    let values = logprobs.indices.map { index in
      switch self {
      case .sum: logprobs[index]
      case .perToken: logprobs[index] / Double(max(1, tokenCounts[index]))
      case .perByte: logprobs[index] / Double(max(1, byteCounts[index]))
      }
    }
    guard let best = values.max() else { return nil }
    return values.firstIndex(of: best)
  }
}
