public import Foundation
internal import Reports

/// Sizes micro-batches so that a run's planned peak stays below a limit.
package struct MemoryBudget {
  /// Bytes.
  package let limit: Int
  /// Share of the limit that a plan may fill: planned and measured peaks differ by up to a few percent.
  private static let usableShare = 0.97
  private let model: MemoryModel

  package init(limit: Int, model: MemoryModel) {
    self.limit = limit
    self.model = model
  }

  package struct Choice: Equatable {
    /// Tokens run at once; nil: no step has to be split.
    package let microBatchTokens: Int?
    package let peakBytes: Int
  }

  /// The largest micro-batches that fit; a larger limit never makes them smaller.
  ///
  /// - Parameters:
  ///   - whole: the largest backward pass when nothing is split.
  ///   - longest: tokens of the longest row, which cannot be split.
  /// - Throws: ``MemoryBudgetError`` when a row by itself takes more.
  package func choose(whole: LargestBackwardPass, longest: Int) throws -> Choice {
    func peak(_ tokens: Int) throws -> Int { try model.plan(whole.limited(to: tokens, longest: longest)).peakBytes }
    let undivided = try peak(whole.tokens)
    let usable = Int(Double(limit) * Self.usableShare)
    if undivided <= usable { return Choice(microBatchTokens: nil, peakBytes: undivided) }
    let least = try peak(longest)
    guard least <= usable, longest < whole.tokens else {
      throw try refusal(whole: whole, longest: longest, least: least)
    }
    var fits = longest
    var exceeds = whole.tokens
    while exceeds - fits > 1 {
      let middle = fits + (exceeds - fits) / 2
      if try peak(middle) <= usable { fits = middle } else { exceeds = middle }
    }
    return Choice(microBatchTokens: fits, peakBytes: try peak(fits))
  }

  private func refusal(whole: LargestBackwardPass, longest: Int, least: Int) throws -> MemoryBudgetError {
    let pass = whole.limited(to: longest, longest: longest)
    let phase = try model.plan(pass).largest
    func needed(_ planned: Int) -> Int { Int((Double(planned) / Self.usableShare).rounded(.up)) + 1 }
    return MemoryBudgetError(
      budget: limit, needed: needed(least), longest: longest, phase: phase?.name ?? "",
      withRecomputation: try model.recomputing.map { needed(try $0.plan(pass).peakBytes) })
  }
}

/// Not even one row at a time fits into the memory allowed.
public struct MemoryBudgetError: Error, Equatable, Sendable, CustomStringConvertible, LocalizedError {
  /// Bytes allowed.
  public let budget: Int
  /// Bytes that one row at a time takes.
  public let needed: Int
  /// Tokens of the longest row.
  public let longest: Int
  /// The phase that takes most.
  public let phase: String
  /// Bytes with recomputed activations; nil where they are recomputed already.
  public let withRecomputation: Int?

  public var description: String {
    let way =
      withRecomputation.map {
        $0 <= budget ? "--recompute needs \(NumberText.bytes($0))" : "even --recompute needs \(NumberText.bytes($0))"
      } ?? "activations are recomputed already"
    return "the memory budget of \(NumberText.bytes(budget)) is too small: \(phase) needs \(NumberText.bytes(needed)) "
      + "even with one row of \(longest) tokens at a time; \(way); allow more or lower --max-length"
  }

  public var errorDescription: String? { description }
}
