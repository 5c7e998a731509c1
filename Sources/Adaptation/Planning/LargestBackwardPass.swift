/// Length of a row.
public struct RowSize: Equatable, Sendable {
  /// Tokens, end-of-sequence included.
  public let tokens: Int
  /// Those of them that are to be learned.
  public let labels: Int

  public init(tokens: Int, labels: Int) {
    self.tokens = tokens
    self.labels = labels
  }

  package init(_ row: TokenizedRow) { self.init(tokens: row.tokens.count, labels: row.labelCount) }
}

/// What the largest of a phase's backward passes hold: each figure's maximum, which need not come from the same pass.
package struct LargestBackwardPass: Equatable, Sendable {
  /// Tokens run at once.
  package var tokens = 0
  /// Labels among them.
  package var labels = 0
  /// Passes that make one step.
  package var passes = 0
  /// Different numbers of tokens among all passes.
  package var shapes = 0

  package init(tokens: Int, labels: Int, passes: Int, shapes: Int) {
    self.tokens = tokens
    self.labels = labels
    self.passes = passes
    self.shapes = shapes
  }

  package init(_ order: BatchOrder, rows: [RowSize], maximumTokens: Int?) {
    var counts: Set<Int> = []
    order.forEachStep { chosen in
      let sizes = chosen.map { rows[$0] }
      let groups = MicroBatches.groups(of: sizes.map(\.tokens), maximumTokens: maximumTokens)
      passes = max(passes, groups.count)
      for group in groups {
        let count = sizes[group].reduce(0) { $0 + $1.tokens }
        counts.insert(count)
        tokens = max(tokens, count)
        labels = max(labels, sizes[group].reduce(0) { $0 + $1.labels })
      }
    }
    shapes = counts.count
  }

  /// At most, when steps like this one are split after `maximumTokens`; never below the longest row.
  package func limited(to maximumTokens: Int, longest: Int) -> LargestBackwardPass {
    guard maximumTokens < tokens else { return self }
    let limit = max(maximumTokens, longest)
    return LargestBackwardPass(tokens: min(tokens, limit), labels: min(labels, limit), passes: 2, shapes: .max)
  }
}
