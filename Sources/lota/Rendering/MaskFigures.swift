import Foundation
import Reports
import Tickets

/// Densities by layer and projection.
enum DensityTable {
  struct Row: Encodable {
    let layer: Int
    /// By projection: q, k, v, o, gate, up, down.
    let density: [String: Double]
  }

  static func rows(_ density: MaskDensity) -> [Row] {
    density.layers.map { layer, _ in
      let cells = TicketScope.Projection.allCases.compactMap { projection in
        density.weights[TicketScope.Weight(layer: layer, projection: projection)].map {
          (projection.shortName, $0.density)
        }
      }
      return Row(layer: layer, density: Dictionary(uniqueKeysWithValues: cells))
    }
  }

  /// Of tensors outside the layers' projections.
  static func others(_ density: MaskDensity) -> [String: Double] {
    Dictionary(uniqueKeysWithValues: density.others.map { ($0.name, $0.cell.density) })
  }

  /// A line a tensor.
  static func lines(others: [String: Double], of what: String = "") -> [String] {
    others.sorted { $0.key < $1.key }.map { "\($0.key)  \(NumberText.percent($0.value, decimals: 2))\(what)" }
  }

  static func text(_ rows: [Row]) -> String {
    let projections = TicketScope.Projection.allCases.map(\.shortName)
    let lines = rows.map { row in
      let cells = projections.map {
        (row.density[$0].map { NumberText.percent($0, decimals: 2) } ?? "-").leftPadded(to: 9)
      }
      return "\(row.layer)".leftPadded(to: 5) + cells.joined()
    }
    return (["layer" + projections.map { $0.leftPadded(to: 9) }.joined()] + lines).joined(separator: "\n")
  }
}

/// What `mask inspect` reports.
struct MaskFigures: Encodable {
  let kept: Int
  let scoped: Int
  let sparsity: Double
  let base: String?
  let layers: [DensityTable.Row]
  /// Density of tensors outside the layers' projections.
  let others: [String: Double]

  init(_ mask: Mask) {
    kept = mask.keptCount
    scoped = mask.scopedCount
    sparsity = mask.sparsity
    base = mask.baseFingerprint
    let density = MaskDensity(mask)
    layers = DensityTable.rows(density)
    others = DensityTable.others(density)
  }

  var text: String {
    let head = ["kept \(kept) of \(scoped) scoped weights (sparsity \(sparsity))", "base \(base ?? "unknown")"]
    return (head + DensityTable.lines(others: others) + ["", DensityTable.text(layers)]).joined(separator: "\n")
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
    let total = overlap.total
    first = total.first
    second = total.second
    both = total.both
    scoped = total.scoped
    jaccard = total.jaccard
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
