internal import Tickets

/// Adapters kept in memory by name, and switched over one live model.
///
/// A switch touches the tickets' weights alone, and one pass over them does all of it. Differences are added to and taken away from
/// bit patterns, so that the base comes back bit for bit. The model must hold its base's weights when the store is made, and
/// nothing else may write to it. Not thread-safe.
public final class AdapterStore {
  /// Names of all adapters, sorted.
  public var names: [String] { adapters.keys.sorted() }
  /// Names of the adapters that the model's weights hold now, in the order they were asked for.
  public private(set) var active: [String] = []

  private let loaded: LoadedModel
  private let target: AdapterTarget
  private var adapters: [String: ResidentAdapter] = [:]

  /// - Throws: ``CheckpointError`` when the base's file cannot be read.
  public init(_ loaded: LoadedModel) throws {
    self.loaded = loaded
    target = try AdapterTarget(loaded.model, base: loaded.base)
  }

  /// Opens an adapter, checks that it belongs to the model's base, and keeps its entries in memory, eight bytes each.
  ///
  /// - Throws: ``AdapterStoreError`` for a name that is taken or unfit, or a PEFT adapter; `TicketsError` or
  ///   `CheckpointError` for an adapter that is damaged or belongs to another base.
  public func add(_ directory: String, named name: String) throws {
    guard AdapterReference.isUsable(name: name) else { throw AdapterStoreError.unusableName(name) }
    guard adapters[name] == nil else { throw AdapterStoreError.nameTaken(name) }
    guard !LoRAAdapter.isPEFT(directory) else { throw AdapterStoreError.notSparse(directory) }
    let adapter = try Adapter(directory: directory)
    try adapter.verify(base: loaded.base)
    adapters[name] = try ResidentAdapter(adapter, base: loaded.base)
  }

  /// Makes exactly these adapters active, or none. When it throws, weights and ``active`` are what they were.
  ///
  /// - Throws: ``AdapterStoreError/unknownName(_:known:)``; `TicketsError.adaptersOverlap` when two tickets share weights.
  public func activate(_ wanted: [String]) throws {
    var distinct: [String] = []
    for name in wanted where !distinct.contains(name) { distinct.append(name) }
    let chosen = try distinct.map { name in
      guard let adapter = adapters[name] else { throw AdapterStoreError.unknownName(name, known: names) }
      return (name: name, adapter: adapter)
    }
    try Self.checkDisjoint(chosen)
    try target.swap(
      removing: active.filter { !distinct.contains($0) }.compactMap { adapters[$0] },
      adding: chosen.filter { !active.contains($0.name) }.map(\.adapter))
    active = distinct
  }

  /// Gives the model its base's weights back, bit for bit.
  public func deactivateAll() throws { try activate([]) }

  private static func checkDisjoint(_ adapters: [(name: String, adapter: ResidentAdapter)]) throws {
    for (position, second) in adapters.enumerated() {
      for first in adapters[..<position] {
        for name in first.adapter.adapter.tensorNames {
          guard let mine = first.adapter.entries[name], let theirs = second.adapter.entries[name] else { continue }
          let count = mine.sharedCount(with: theirs)
          guard count == 0 else {
            throw TicketsError.adaptersOverlap(first: first.name, second: second.name, tensor: name, count: count)
          }
        }
      }
    }
  }
}

public enum AdapterStoreError: Error, Equatable, Sendable {
  case unknownName(String, known: [String])
  case nameTaken(String)
  case unusableName(String)
  /// A PEFT adapter, which changes whole matrices.
  case notSparse(String)
  /// Entries of another model's tensor.
  case beyondTensor(String, index: Int, elementCount: Int)
}

extension AdapterStoreError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unknownName(let name, let known):
      known.isEmpty
        ? "no adapter is called '\(name)', and none is loaded: load one first"
        : "no adapter is called '\(name)': use \(known.joined(separator: ", "))"
    case .beyondTensor(let tensor, let index, let count):
      "an adapter changes weight \(index) of tensor \(tensor), which has \(count): use the adapter with the base it was trained on"
    case .nameTaken(let name): "an adapter called '\(name)' is loaded already: choose another name"
    case .unusableName(let name):
      "'\(name)' cannot name an adapter: use one word without spaces, '=' and '/', as in NAME=DIR"
    case .notSparse(let directory):
      "\(directory) is a PEFT adapter; only lota's sparse ones can be switched: use it with lota generate --adapter"
    }
  }
}
