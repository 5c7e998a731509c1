internal import Checkpoints
internal import Torch

/// Keys and values of every layer for S sequences of at most T tokens: two tensors `[S, T, K, E]` a layer.
package final class KeyValueCache {
  private(set) var keys: [Tensor]
  private(set) var values: [Tensor]
  /// Tokens held, by slot.
  private(set) var lengths: [Int32]
  package private(set) var capacity: Int

  private let keyValueHeads: Int
  private let headSize: Int

  package init(model: LanguageModel, slots: Int, capacity: Int) throws {
    let configuration = model.configuration
    keyValueHeads = configuration.keyValueHeadCount
    headSize = configuration.headSize
    self.capacity = max(1, capacity)
    lengths = Array(repeating: 0, count: slots)
    let shape = [slots, self.capacity, keyValueHeads, headSize]
    keys = try (0..<configuration.layerCount).map { _ in try Tensor.empty(shape, model.dtype, on: model.device) }
    values = try (0..<configuration.layerCount).map { _ in try Tensor.empty(shape, model.dtype, on: model.device) }
  }

  /// Makes room for `length` tokens a slot, at least doubling.
  func reserve(_ length: Int) throws {
    guard length > capacity else { return }
    let larger = max(length, 2 * capacity)
    func grown(_ old: Tensor) throws -> Tensor {
      let fresh = try Tensor.empty([lengths.count, larger, keyValueHeads, headSize], old.dtype, on: old.device)
      try fresh.narrow(1, 0..<capacity).copy(from: old)
      return fresh
    }
    for layer in keys.indices {
      keys[layer] = try grown(keys[layer])
      values[layer] = try grown(values[layer])
    }
    capacity = larger
  }

  /// Stores a whole prompt's keys and values, rows `[T, K E]` each, in an empty slot.
  func store(keys newKeys: Tensor, values newValues: Tensor, layer: Int, slot: Int) throws {
    let count = newKeys.shape[0]
    let shape = [count, keyValueHeads, headSize]
    func put(_ rows: Tensor, in cache: Tensor) throws {
      try cache.rows(slot..<(slot + 1)).narrow(1, 0..<count).view(shape).copy(from: try rows.view(shape))
    }
    try put(newKeys, in: keys[layer])
    try put(newValues, in: values[layer])
  }

  /// Gives a slot the first `length` keys and values of another.
  func copy(_ length: Int, from source: Int, to target: Int) throws {
    for held in keys + values {
      try held.rows(target..<(target + 1)).narrow(1, 0..<length)
        .copy(from: try held.rows(source..<(source + 1)).narrow(1, 0..<length))
    }
    setLength(length, slot: target)
  }

  func setLength(_ length: Int, slot: Int) { lengths[slot] = Int32(clamping: length) }
}
