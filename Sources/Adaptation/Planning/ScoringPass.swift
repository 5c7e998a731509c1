/// What the largest of the passes that score held-out rows hold: each figure's maximum, which need not come from the same pass.
package struct ScoringPass: Equatable, Sendable {
  /// Tokens run at once.
  package private(set) var tokens = 0
  /// Labels among them.
  package private(set) var labels = 0
  /// Different numbers of tokens among all passes.
  package private(set) var shapes = 0

  /// - Parameter files: rows of each; those of two are never scored at once.
  package init(_ files: [[RowSize]], maximumTokens: Int) {
    var counts: Set<Int> = []
    for rows in files {
      for group in MicroBatches.groups(of: rows.map(\.tokens), maximumTokens: maximumTokens) {
        let count = rows[group].reduce(0) { $0 + $1.tokens }
        counts.insert(count)
        tokens = max(tokens, count)
        labels = max(labels, rows[group].reduce(0) { $0 + $1.labels })
      }
    }
    shapes = counts.count
  }
}
