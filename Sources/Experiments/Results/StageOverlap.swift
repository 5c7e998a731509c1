internal import Tickets

/// How many weights the tickets of two stages share.
public struct StageOverlap: Equatable, Sendable {
  /// Positions in the graph.
  public let first: Int
  public let second: Int
  public let shared: Int
  /// Shared weights over weights in either.
  public let jaccard: Double

  /// Every pair of tickets of one seed.
  static func all(_ graph: StageGraph, masks: [Int: String]) throws -> [StageOverlap] {
    var overlaps: [StageOverlap] = []
    for seed in Set(graph.instances.map(\.seed)).sorted() {
      let tickets = try masks.keys.sorted().filter { graph.instances[$0].seed == seed }.compactMap { index in
        try masks[index].map { (index, try Mask(path: $0)) }
      }
      for (position, (first, mask)) in tickets.enumerated() {
        for (second, other) in tickets.dropFirst(position + 1) {
          let overlap = try mask.overlap(with: other).total
          overlaps.append(
            StageOverlap(first: first, second: second, shared: overlap.both, jaccard: overlap.jaccard))
        }
      }
    }
    return overlaps
  }
}
