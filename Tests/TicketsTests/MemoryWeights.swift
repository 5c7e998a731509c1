import Tickets

/// Tensors held in memory, each as one row unless a shape is given.
struct MemoryWeights: WeightSource {
  var tensors: [String: [Float]]
  var shapes: [String: [Int]] = [:]

  struct Missing: Error, Equatable { let name: String }

  func shape(of name: String) throws -> [Int] {
    guard let values = tensors[name] else { throw Missing(name: name) }
    return shapes[name] ?? [values.count]
  }

  func readFloats(of name: String, range: Range<Int>, into buffer: UnsafeMutableBufferPointer<Float>) throws {
    guard let values = tensors[name] else { throw Missing(name: name) }
    values.withUnsafeBufferPointer { values in
      _ = buffer.update(from: values[range])
    }
  }
}

/// Names in canonical order: layer by layer, projection by projection.
func projectionNames(_ count: Int) -> [String] {
  let projections = TicketScope.Projection.allCases
  return (0..<count).map {
    TicketScope.Weight(layer: $0 / projections.count, projection: projections[$0 % projections.count]).name
  }
}

/// The definition: concatenate in the order of `names`, sort stably by descending magnitude, keep the first k.
///
/// Sorting pairs of magnitude and position makes the sort stable by construction.
func naiveRanking(base: MemoryWeights, tuned: MemoryWeights, names: [String]) -> [Int] {
  let magnitudes = names.flatMap { name in
    zip(base.tensors[name] ?? [], tuned.tensors[name] ?? []).map { abs($1 - $0) }
  }
  return magnitudes.indices.sorted {
    magnitudes[$0] != magnitudes[$1] ? magnitudes[$0] > magnitudes[$1] : $0 < $1
  }
}

extension Mask {
  /// Set positions in the concatenation of all tensors.
  var flatIndices: [Int] {
    var start = 0
    var indices: [Int] = []
    for entry in entries {
      indices += entry.bits.setIndices.map { $0 + start }
      start += entry.bits.count
    }
    return indices
  }
}
