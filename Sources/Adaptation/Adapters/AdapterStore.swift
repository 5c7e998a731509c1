internal import Decoder
public import Tickets
internal import Torch

/// Adapters kept in memory by name, and switched over one live model.
///
/// Only the tickets' weights are written. What stood there before is kept, so that the base comes back bit for bit. The
/// model must hold its base's weights when the store is made, and nothing else may write to it. Not thread-safe.
public final class AdapterStore {
  /// Names of all adapters, sorted.
  public var names: [String] { adapters.keys.sorted() }
  /// Names of the adapters that the model's weights hold now, in the order they were asked for.
  public private(set) var active: [String] = []

  private let loaded: LoadedModel
  private var adapters: [String: [AdapterEntries]] = [:]
  private var replaced: [Replaced] = []

  /// The weights that stood where an active ticket stands now.
  private struct Replaced {
    let parameter: Parameter
    /// int32 `[k]`
    let index: Tensor
    /// `[k]`, in the model's type.
    let values: Tensor
  }

  public init(_ loaded: LoadedModel) { self.loaded = loaded }

  /// Opens an adapter, checks that it belongs to the model's base, and keeps its entries in memory.
  ///
  /// - Throws: ``AdapterStoreError`` for a name that is taken or unfit, or a PEFT adapter; `TicketsError` or
  ///   `CheckpointError` for an adapter that is damaged or belongs to another base.
  public func add(_ directory: String, named name: String) throws {
    guard AdapterReference.isUsable(name: name) else { throw AdapterStoreError.unusableName(name) }
    guard adapters[name] == nil else { throw AdapterStoreError.nameTaken(name) }
    guard !LoRAAdapter.isPEFT(directory) else { throw AdapterStoreError.notSparse(directory) }
    let adapter = try Adapter(directory: directory)
    try adapter.verify(base: loaded.base)
    adapters[name] = try adapter.tensorNames.compactMap { try adapter.entries(of: $0) }
  }

  /// Makes exactly these adapters active, or none. When it throws, weights and ``active`` are what they were.
  ///
  /// - Throws: ``AdapterStoreError/unknownName(_:known:)``; `TicketsError.adaptersOverlap` when two tickets share weights.
  public func activate(_ wanted: [String]) throws {
    var distinct: [String] = []
    for name in wanted where !distinct.contains(name) { distinct.append(name) }
    let chosen = try distinct.map { name in
      guard let entries = adapters[name] else { throw AdapterStoreError.unknownName(name, known: names) }
      return (name, entries)
    }
    try Self.checkDisjoint(chosen)
    let previous = active
    do {
      try restore()
      for (_, entries) in chosen { try write(entries) }
      active = distinct
    } catch {
      try restore()
      for name in previous { try write(adapters[name] ?? []) }
      active = previous
      throw error
    }
  }

  /// Gives the model its base's weights back, bit for bit.
  public func deactivateAll() throws { try activate([]) }

  private func write(_ adapter: [AdapterEntries]) throws {
    let model = loaded.model
    for entries in adapter {
      guard let parameter = model.parameter(named: entries.name) else { continue }
      let index = try Tensor.from(entries.indices, on: model.device)
      let stored = try Tensor.empty(index.shape, entries.dtype)
      try entries.values.withUnsafeBytes { try stored.copyBytes(from: $0) }
      let values = try stored.converted(to: model.dtype, on: model.device)
      let before = try Tensor.empty(index.shape, model.dtype, on: model.device)
      try before.gather(from: parameter.value, at: index)
      replaced.append(Replaced(parameter: parameter, index: index, values: before))
      try parameter.value.scatter(values, at: index)
    }
  }

  private func restore() throws {
    while let last = replaced.last {
      try last.parameter.value.scatter(last.values, at: last.index)
      replaced.removeLast()
    }
    active = []
  }

  private static func checkDisjoint(_ adapters: [(name: String, entries: [AdapterEntries])]) throws {
    for (position, second) in adapters.enumerated() {
      for first in adapters[..<position] {
        for mine in first.entries {
          guard let theirs = second.entries.first(where: { $0.name == mine.name }) else { continue }
          let count = sharedCount(mine.indices, theirs.indices)
          guard count == 0 else {
            throw TicketsError.adaptersOverlap(
              first: first.name, second: second.name, tensor: mine.name, count: count)
          }
        }
      }
    }
  }

  /// - Parameters: both ascending.
  private static func sharedCount(_ first: [Int32], _ second: [Int32]) -> Int {
    var (left, right, shared) = (0, 0, 0)
    while left < first.count, right < second.count {
      let (mine, theirs) = (first[left], second[right])
      if mine == theirs { shared += 1 }
      if mine <= theirs { left += 1 }
      if theirs <= mine { right += 1 }
    }
    return shared
  }
}

public enum AdapterStoreError: Error, Equatable, Sendable {
  case unknownName(String, known: [String])
  case nameTaken(String)
  case unusableName(String)
  /// A PEFT adapter, which changes whole matrices.
  case notSparse(String)
}

extension AdapterStoreError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unknownName(let name, let known):
      known.isEmpty
        ? "no adapter is called '\(name)', and none is loaded: load one first"
        : "no adapter is called '\(name)': use \(known.joined(separator: ", "))"
    case .nameTaken(let name): "an adapter called '\(name)' is loaded already: choose another name"
    case .unusableName(let name):
      "'\(name)' cannot name an adapter: use one word without spaces, '=' and '/', as in NAME=DIR"
    case .notSparse(let directory):
      "\(directory) is a PEFT adapter; only lota's sparse ones can be switched: use it with lota generate --adapter"
    }
  }
}
