internal import Checkpoints
internal import Synchronization
internal import Tickets

/// How the tickets of several adapters meet, layer by layer.
public struct TicketOverlap: Codable, Equatable, Sendable {
  public struct Counts: Codable, Equatable, Sendable {
    /// Weights that some adapter changes.
    public internal(set) var changed = 0
    /// Weights that several adapters change.
    public internal(set) var shared = 0
    /// Of the shared, those that adapters move in opposite directions.
    public internal(set) var conflicts = 0

    static func += (left: inout Counts, right: Counts) {
      left.changed += right.changed
      left.shared += right.shared
      left.conflicts += right.conflicts
    }
  }

  /// Of layer 0 and on.
  public let layers: [Counts]
  /// Of tensors outside the layers.
  public let others: Counts
  public var total: Counts { layers.reduce(into: others) { $0 += $1 } }
}

extension Merge {
  /// What the LoTA adapters among the inputs share.
  ///
  /// - Throws: `TicketsError` for a damaged adapter.
  public func ticketOverlap() throws -> TicketOverlap {
    let adapters = plan.inputs.compactMap(\.ticket)
    let names = TicketScope.canonicalOrder(Array(Set(adapters.flatMap(\.tensorNames))))
    let found = Mutex<[String: TicketOverlap.Counts]>([:])
    try Adapter.inParallel(names.count) { position in
      let counts = try overlap(of: names[position], adapters)
      found.withLock { $0[names[position]] = counts }
    }
    var layers = [TicketOverlap.Counts](repeating: .init(), count: plan.layerCount)
    var others = TicketOverlap.Counts()
    for (name, counts) in found.withLock({ $0 }) {
      if let layer = TensorSettings.layer(of: name), layer < layers.count {
        layers[layer] += counts
      } else {
        others += counts
      }
    }
    return TicketOverlap(layers: layers, others: others)
  }

  private func overlap(of name: String, _ adapters: [Adapter]) throws -> TicketOverlap.Counts {
    let entries = try adapters.compactMap { try $0.entries(of: name, base: plan.reference) }
    let union = MergePlan.union(entries.map(\.indices))
    let tensor = try plan.reference.description(of: name)
    let stored = try Adapter.storedWeights(of: plan.reference, tensor: tensor, indices: union)
    var base = [Float](repeating: 0, count: union.count)
    base.withUnsafeMutableBufferPointer { values in
      stored.withUnsafeBytes { FloatCodec.decode($0, as: tensor.dtype, into: values) }
    }
    var users = [UInt8](repeating: 0, count: union.count)
    var (up, down) = (users, users)
    for entries in entries {
      var place = 0
      for (position, index) in entries.indices.enumerated() {
        while union[place] < index { place += 1 }
        let tuned = AdapterEntries.tuned(base[place], by: entries.differences[position], entries.dtype)
        users[place] &+= 1
        if tuned > base[place] { up[place] = 1 }
        if tuned < base[place] { down[place] = 1 }
      }
    }
    var counts = TicketOverlap.Counts()
    counts.changed = union.count
    for place in union.indices where users[place] > 1 {
      counts.shared += 1
      if up[place] & down[place] == 1 { counts.conflicts += 1 }
    }
    return counts
  }
}
