package import Checkpoints
package import Decoder
package import Tickets
internal import Torch

/// A model in memory as the target of adapters: which weights may be changed in place, and how.
///
/// On the CPU, where weights have the base's element type or are float32, differences are added to bit patterns in place and
/// only the ticket's entries are touched. Elsewhere trained values are computed from the base's file, converted and scattered.
package struct AdapterTarget: @unchecked Sendable {
  // Sendable: tensors are changed by one thread each.
  private struct Place {
    let start: UnsafeMutableRawPointer
    let elementCount: Int
    let form: PatternForm
  }

  private let model: LanguageModel
  private let base: Checkpoint
  private let places: [String: Place]

  package init(_ model: LanguageModel, base: Checkpoint) throws {
    self.model = model
    self.base = base
    var places: [String: Place] = [:]
    for parameter in model.parameters where base.contains(parameter.name) {
      let value = parameter.value
      guard value.device == .cpu, value.isContiguous,
        let form = PatternForm(base: try base.description(of: parameter.name).dtype, live: value.dtype)
      else { continue }
      try value.withBytes { bytes in
        guard let start = bytes.baseAddress else { return }
        places[parameter.name] = Place(start: start, elementCount: value.elementCount, form: form)
      }
    }
    self.places = places
  }

  /// Whether a tensor's weights are changed in place; then ``change(_:removing:adding:)`` may be called for several tensors at a
  /// time.
  func isChangedInPlace(_ name: String) -> Bool { places[name] != nil }

  /// Takes away and adds adapters' differences in one tensor.
  ///
  /// Where several are given, a part of the tensor that fits the cache gets all its changes before the next one is read.
  /// - Throws: ``AdapterStoreError/beyondTensor(_:index:elementCount:)`` before any weight changes; ``TorchError`` and
  ///   ``CheckpointError`` for tensors that are not changed in place.
  package func change(_ name: String, removing: [AdapterEntries] = [], adding: [AdapterEntries] = []) throws {
    for entries in removing + adding { try check(entries) }
    guard let place = places[name] else {
      for entries in removing { try scatter(entries, trained: false) }
      for entries in adding { try scatter(entries, trained: true) }
      return
    }
    let changes = removing.map { ($0, UInt32.max) } + adding.map { ($0, UInt32(1)) }
    let window = changes.count > 1 ? 1 << 15 : place.elementCount
    var next = [Int](repeating: 0, count: changes.count)
    for start in stride(from: 0, to: place.elementCount, by: max(1, window)) {
      for (which, change) in changes.enumerated() {
        next[which] = place.form.add(
          change.0, times: change.1, to: place.start, from: next[which], below: start + window)
      }
    }
  }

  /// An adapter that was verified against the base cannot reach beyond the tensor; a wrong one must not write there.
  func check(_ entries: AdapterEntries) throws {
    guard let first = entries.indices.first, let last = entries.indices.last else { return }
    let count = try places[entries.name]?.elementCount ?? base.description(of: entries.name).elementCount
    guard first >= 0, Int(last) < count else {
      throw AdapterStoreError.beyondTensor(entries.name, index: Int(first < 0 ? first : last), elementCount: count)
    }
  }

  /// Through the engine, from the base's file.
  private func scatter(_ entries: AdapterEntries, trained: Bool) throws {
    guard let parameter = model.parameter(named: entries.name) else { return }
    var stored = try entries.gather(from: base)
    if trained { stored = entries.trained(from: stored) }
    let values = try Tensor.empty([entries.indices.count], entries.dtype)
    try stored.withUnsafeBytes { try values.copyBytes(from: $0) }
    let wide = try values.converted(to: model.dtype, on: model.device)
    try parameter.value.scatter(wide, at: try Tensor.from(entries.indices, on: model.device))
  }
}

/// How a weight in memory holds the base's bit pattern.
enum PatternForm {
  case same32, same16
  /// A bfloat16 in the upper half of a float32.
  case upperHalf
  /// A float16 widened to float32.
  case widened16

  init?(base: DType, live: DType) {
    switch (base, live) {
    case (.float32, .float32): self = .same32
    case (.bfloat16, .bfloat16), (.float16, .float16): self = .same16
    case (.bfloat16, .float32): self = .upperHalf
    case (.float16, .float32): self = .widened16
    default: return nil
    }
  }

  /// Adds `factor` times the differences of the entries from position `first` on whose index is below `limit`.
  ///
  /// - Returns: the first position that was left.
  func add(
    _ entries: AdapterEntries, times factor: UInt32, to weights: UnsafeMutableRawPointer, from first: Int,
    below limit: Int
  ) -> Int {
    entries.indices.withUnsafeBufferPointer { indices in
      entries.differences.withUnsafeBufferPointer { differences in
        var position = first
        let words = weights.assumingMemoryBound(to: UInt32.self)
        let halves = weights.assumingMemoryBound(to: UInt16.self)
        let floats = weights.assumingMemoryBound(to: Float.self)
        while position < indices.count, Int(indices[position]) < limit {
          let index = Int(indices[position])
          let change = factor &* differences[position]
          switch self {
          case .same32: words[index] &+= change
          case .upperHalf: words[index] &+= change &<< 16
          case .same16: halves[index] &+= UInt16(truncatingIfNeeded: change)
          case .widened16:
            let pattern = FloatCodec.narrowFloat16(floats[index]) &+ UInt16(truncatingIfNeeded: change)
            floats[index] = FloatCodec.widenFloat16(pattern)
          }
          position &+= 1
        }
        return position
      }
    }
  }
}
