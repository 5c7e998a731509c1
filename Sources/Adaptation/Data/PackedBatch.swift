/// Sequences laid end to end, without padding.
///
/// Sequence `s` occupies packed positions `offsets[s]..<offsets[s + 1]`. Row `labelRows[j]` of the hidden states
/// predicts `labelTargets[j]`, the token right after it in the same sequence, which is a label. The last token of a
/// sequence predicts nothing.
public struct PackedBatch: Equatable, Sendable {
  /// [N]
  public private(set) var tokens: [Int32] = []
  /// [N], from zero in every sequence.
  public private(set) var positions: [Int32] = []
  /// [B + 1], ending in N.
  public private(set) var offsets: [Int32] = [0]
  /// [L], ascending packed positions.
  public private(set) var labelRows: [Int32] = []
  /// [L]
  public private(set) var labelTargets: [Int32] = []
  /// [L], the sequence within this batch that each label belongs to.
  public private(set) var labelSequence: [Int32] = []
  /// [B], counted from one, as in the file.
  public private(set) var rowNumbers: [Int] = []

  public init(_ rows: [TokenizedRow]) {
    for row in rows { append(row) }
  }

  public var sequenceCount: Int { rowNumbers.count }
  public var tokenCount: Int { tokens.count }
  public var labelCount: Int { labelRows.count }

  private mutating func append(_ row: TokenizedRow) {
    let start = tokens.count
    precondition(start + row.tokens.count <= Int(Int32.max), "a batch of more than \(Int32.max) tokens")
    for range in row.labelRanges {
      for index in range {
        labelRows.append(Int32(start + index - 1))
        labelTargets.append(row.tokens[index])
        labelSequence.append(Int32(sequenceCount))
      }
    }
    tokens += row.tokens
    positions += (0..<row.tokens.count).map { Int32($0) }
    offsets.append(Int32(tokens.count))
    rowNumbers.append(row.number)
  }
}

/// One optimizer step's rows as packed batches that fit in memory one at a time.
///
/// Losses are averaged over the whole step, so the totals stand here: divide by these, not by a micro-batch's own
/// counts.
public struct MicroBatches: Equatable, Sendable {
  public let batches: [PackedBatch]
  public let sequenceCount: Int
  public let tokenCount: Int
  public let labelCount: Int

  /// Splits `rows`, in their order, wherever the next one would exceed `maximumTokens`.
  ///
  /// A row is never split: one longer than `maximumTokens` gets a micro-batch of its own.
  public init(_ rows: [TokenizedRow], maximumTokens: Int? = nil) {
    batches = Self.groups(of: rows.map(\.tokens.count), maximumTokens: maximumTokens).map {
      PackedBatch(Array(rows[$0]))
    }
    sequenceCount = rows.count
    tokenCount = batches.reduce(0) { $0 + $1.tokenCount }
    labelCount = batches.reduce(0) { $0 + $1.labelCount }
  }

  /// Which rows, given by their lengths, go together.
  static func groups(of tokenCounts: [Int], maximumTokens: Int?) -> [Range<Int>] {
    let limit = maximumTokens ?? Int.max
    precondition(limit > 0, "micro-batches of \(limit) tokens")
    var groups: [Range<Int>] = []
    var filled = 0
    for (index, count) in tokenCounts.enumerated() {
      if let last = groups.last, count <= limit - filled {
        groups[groups.count - 1] = last.lowerBound..<(index + 1)
      } else {
        groups.append(index..<(index + 1))
        filled = 0
      }
      filled = min(limit, filled + count)
    }
    return groups
  }
}
