public import Checkpoints
import Foundation
import Synchronization
import Torch

/// How two adapters of one base agree.
public struct AdapterComparison: Equatable, Sendable {
  /// Weights of one tensor, or of all together.
  public struct Counts: Equatable, Sendable {
    public internal(set) var first = 0
    public internal(set) var second = 0
    /// Trained by both.
    public internal(set) var both = 0
    /// Trained by both, moved in opposite directions.
    public internal(set) var conflicts = 0
    /// Sums over the updates `trained - base`: of products, and of squares.
    var product = 0.0
    var firstSquares = 0.0
    var secondSquares = 0.0

    /// Shared weights by weights in either; 1 when both are empty.
    public var jaccard: Double {
      first + second == both ? 1 : Double(both) / Double(first + second - both)
    }

    /// Cosine of the two updates as vectors over all weights; nil when it is not defined, or the base was not given.
    public var cosine: Double? {
      firstSquares > 0 && secondSquares > 0 ? product / (firstSquares * secondSquares).squareRoot() : nil
    }

    static func += (left: inout Counts, right: Counts) {
      left.first += right.first
      left.second += right.second
      left.both += right.both
      left.conflicts += right.conflicts
      left.product += right.product
      left.firstSquares += right.firstSquares
      left.secondSquares += right.secondSquares
    }
  }

  /// In canonical order, tensors that either changes.
  public let tensors: [(name: String, counts: Counts)]

  public var total: Counts { tensors.reduce(into: Counts()) { $0 += $1.counts } }

  /// - Parameter base: both adapters' base, for the cosine, which needs the updates' sizes, and for lossy value codings.
  /// - Throws: `basesDiffer`, `adapterMalformed`, `adapterNeedsBase`, and what `Adapter.verify` throws.
  public init(_ first: Adapter, _ second: Adapter, base: Checkpoint? = nil) throws {
    let names = TicketScope.canonicalOrder(Array(Set(first.tensorNames + second.tensorNames)))
    for name in first.tensorNames {
      guard let mine = first.configuration.baseTensors[name], let theirs = second.configuration.baseTensors[name] else {
        continue
      }
      guard mine.sha256 == theirs.sha256, mine.shape == theirs.shape, mine.dtype == theirs.dtype else {
        throw TicketsError.basesDiffer(first: first.path, second: second.path, tensor: name)
      }
    }
    if let base { try Adapter.verify([first, second], base: base) }
    let results = Mutex<[String: Counts]>([:])
    try Adapter.inParallel(names.count) { position in
      let name = names[position]
      let counts = try Self.compare(
        try first.entries(of: name, base: base), try second.entries(of: name, base: base), base: base)
      results.withLock { $0[name] = counts }
    }
    let counts = results.withLock { $0 }
    tensors = names.map { ($0, counts[$0] ?? Counts()) }
  }

  private static func compare(_ first: AdapterEntries?, _ second: AdapterEntries?, base: Checkpoint?) throws -> Counts {
    var counts = Counts()
    counts.first = first?.indices.count ?? 0
    counts.second = second?.indices.count ?? 0
    let mine = try first.map { try Updates($0, base: base) }
    let theirs = try second.map { try Updates($0, base: base) }
    counts.firstSquares = mine?.squares ?? 0
    counts.secondSquares = theirs?.squares ?? 0
    guard let first, let second, let mine, let theirs else { return counts }
    var (left, right) = (0, 0)
    while left < first.indices.count, right < second.indices.count {
      let (index, other) = (first.indices[left], second.indices[right])
      if index == other {
        counts.both += 1
        if mine.directions[left] * theirs.directions[right] < 0 { counts.conflicts += 1 }
        if !mine.values.isEmpty, !theirs.values.isEmpty { counts.product += mine.values[left] * theirs.values[right] }
      }
      if index <= other { left += 1 }
      if other <= index { right += 1 }
    }
    return counts
  }

  /// By entry: which way, relative to the base weight's sign, and how far.
  private struct Updates {
    let directions: [Int8]
    /// Empty without a base.
    let values: [Double]
    var squares: Double { values.reduce(0) { $0 + $1 * $1 } }

    init(_ entries: AdapterEntries, base: Checkpoint?) throws {
      let width = PatternDifference.width(of: entries.dtype) ?? 32
      // A change of sign leads to the other side of zero, whatever the difference of the magnitudes.
      directions = entries.differences.map { difference in
        let symbol = PatternDifference.symbol(difference, width: width)
        return symbol & SymbolTokens.mark != 0 || symbol & 1 != 0 ? -1 : symbol == 0 ? 0 : 1
      }
      guard let base else {
        values = []
        return
      }
      let stored = try entries.gather(from: base)
      let before = widened(stored, as: entries.dtype)
      let after = widened(entries.trained(from: stored), as: entries.dtype)
      values = zip(after, before).map { Double($0) - Double($1) }
    }
  }

  public static func == (left: AdapterComparison, right: AdapterComparison) -> Bool {
    left.tensors.map(\.name) == right.tensors.map(\.name) && left.tensors.map(\.counts) == right.tensors.map(\.counts)
  }
}
