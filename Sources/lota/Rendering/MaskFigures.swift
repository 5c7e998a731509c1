import Foundation
import Tickets

/// What `mask inspect` reports.
struct MaskFigures: Encodable {
  struct Row: Encodable {
    let layer: Int
    /// By projection: q, k, v, o, gate, up, down.
    let density: [String: Double]
  }

  let kept: Int
  let scoped: Int
  let sparsity: Double
  let base: String?
  let layers: [Row]

  init(_ mask: Mask) {
    kept = mask.keptCount
    scoped = mask.scopedCount
    sparsity = mask.sparsity
    base = mask.baseFingerprint
    var table: [Int: [String: Double]] = [:]
    for entry in mask.entries {
      guard let place = TicketScope.Weight(name: entry.name) else { continue }
      let density = Double(entry.bits.populationCount) / Double(max(1, entry.bits.count))
      table[place.layer, default: [:]][place.projection.shortName] = density
    }
    layers = table.sorted { $0.key < $1.key }.map { Row(layer: $0.key, density: $0.value) }
  }

  var text: String {
    let projections = TicketScope.Projection.allCases.map(\.shortName)
    var lines = [
      "kept \(kept) of \(scoped) scoped weights (sparsity \(sparsity))", "base \(base ?? "unknown")", "",
      "layer" + projections.map { $0.leftPadded(to: 9) }.joined(),
    ]
    for row in layers {
      let cells = projections.map { (row.density[$0].map { Format.percent($0, digits: 2) } ?? "-").leftPadded(to: 9) }
      lines.append("\(row.layer)".leftPadded(to: 5) + cells.joined())
    }
    return lines.joined(separator: "\n")
  }
}

/// What `mask overlap` reports.
struct OverlapFigures: Encodable {
  let first: Int
  let second: Int
  let both: Int
  let scoped: Int
  let jaccard: Double

  init(_ overlap: MaskOverlap) {
    first = overlap.tensors.reduce(0) { $0 + $1.first }
    second = overlap.tensors.reduce(0) { $0 + $1.second }
    both = overlap.tensors.reduce(0) { $0 + $1.both }
    scoped = overlap.tensors.reduce(0) { $0 + $1.scoped }
    let either = first + second - both
    jaccard = either == 0 ? 1 : Double(both) / Double(either)
  }

  var text: String {
    """
    first   \(first) of \(scoped)
    second  \(second) of \(scoped)
    both    \(both)
    Jaccard \(String(format: "%.6f", jaccard))
    """
  }
}

extension String {
  func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
  func rightPadded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
