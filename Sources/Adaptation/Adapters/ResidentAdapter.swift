internal import Checkpoints
internal import Decoder
internal import Synchronization
internal import Tickets

/// An adapter decoded into memory, ready to be put into a live model and taken out again: eight bytes an entry.
struct ResidentAdapter: Sendable {
  let adapter: Adapter
  let entries: [String: AdapterEntries]

  /// Decodes every record; verify the base first, which lossy value codings need.
  ///
  /// - Throws: `adapterMalformed`, naming the tensor.
  init(_ adapter: Adapter, base: Checkpoint) throws {
    self.adapter = adapter
    let table = Mutex<[String: AdapterEntries]>([:])
    try adapter.forEachTensor(base: base) { entries in table.withLock { $0[entries.name] = entries } }
    entries = table.withLock { $0 }
  }

  var byteCount: Int { entries.values.reduce(0) { $0 + 8 * $1.indices.count } }
}

extension AdapterTarget {
  /// Takes adapters out of the model and puts others in, tensor by tensor, in one pass over the weights that change.
  ///
  /// - Throws: ``AdapterStoreError/beyondTensor(_:index:elementCount:)``; on devices and in other element types ``TorchError`` and
  ///   ``CheckpointError``. The weights are then what they were.
  func swap(removing: [ResidentAdapter], adding: [ResidentAdapter]) throws {
    for adapter in removing + adding { for entries in adapter.entries.values { try check(entries) } }
    let names = TicketScope.canonicalOrder(Array(Set((removing + adding).flatMap(\.entries.keys))))
    @Sendable func change(_ name: String) throws {
      try self.change(
        name, removing: removing.compactMap { $0.entries[name] }, adding: adding.compactMap { $0.entries[name] })
    }
    // The engine's operations come from one thread at a time.
    let others = names.filter { !isChangedInPlace($0) }
    do {
      for name in others { try change(name) }
    } catch {
      for name in others {
        try self.change(
          name, removing: adding.compactMap { $0.entries[name] }, adding: removing.compactMap { $0.entries[name] })
      }
      throw error
    }
    let inPlace = names.filter(isChangedInPlace)
    try Adapter.inParallel(inPlace.count) { try change(inPlace[$0]) }
  }
}
