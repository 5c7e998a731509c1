internal import Checkpoints
internal import Synchronization
public import Tickets
internal import Torch

extension Merge {
  /// Why the result is not sparse, nil when it is.
  public var obstacleToSparse: String? {
    if let other = plan.inputs.first(where: { $0.ticket == nil && $0.path != recipe.base }) {
      return "\(other.path) is no LoTA adapter"
    }
    if let dtype = recipe.dtype { return "dtype \(dtype.configurationName) changes every weight" }
    let normalizes = (try? plan.settings(of: plan.reference.tensors.first?.name ?? ""))?.normalizes ?? true
    return recipe.method.obstacleToSparse(normalizes: normalizes)
  }

  /// Merges adapters into an adapter, without a model in between: memory grows with the adapters alone. Base and result give the
  /// model that ``writeModel(to:overwrite:progress:)`` writes, bit for bit. The directory appears only when it is complete.
  ///
  /// - Throws: ``MergeError/notSparse(reason:)``, ``MergeError/nothingChanged``; as ``writeModel(to:overwrite:progress:)``.
  @discardableResult
  public func writeAdapter(to directory: String, overwrite: Bool = false) throws -> Adapter {
    if let obstacle = obstacleToSparse { throw MergeError.notSparse(reason: obstacle) }
    guard let base = plan.base else { throw MergeError.notSparse(reason: "it has no base") }
    try FileSystem.checkPublishable(directory, overwrite: overwrite)
    let adapters = plan.inputs.compactMap(\.ticket)
    let names = TicketScope.canonicalOrder(Array(Set(adapters.flatMap(\.tensorNames))))
    let merged = Mutex<[String: SparseTensor]>([:])
    try Adapter.inParallel(names.count) { position in
      let tensor = try plan.mergeEntries(of: try base.description(of: names[position]))
      merged.withLock { $0[names[position]] = tensor }
    }
    let tensors = merged.withLock { $0 }
    let changed = names.filter { tensors[$0]?.indices.isEmpty == false }
    guard !changed.isEmpty else { throw MergeError.nothingChanged }
    let kept = changed.reduce(0) { $0 + (tensors[$1]?.indices.count ?? 0) }
    return try Adapter.writeMerged(
      to: directory, base: base, like: adapters,
      provenance: Adapter.Provenance(method: "merged", training: ["recipe": recipe.yaml]),
      scopedCount: max(kept, adapters.map(\.configuration.scopedCount).max() ?? 0),
      tensors: try changed.map { try base.description(of: $0) }, overwrite: overwrite,
      indices: { tensors[changed[$0]]?.indices ?? [] }, values: { tensor, _ in tensors[tensor.name]?.stored ?? [] })
  }
}

/// The merged weights of one tensor that differ from the base's.
struct SparseTensor: Sendable {
  let indices: [Int32]
  /// As the base stores them.
  let stored: [UInt8]
}

extension MergePlan {
  /// Merges one tensor's entries: the dense kernels, over those weights alone that some adapter changes.
  func mergeEntries(of tensor: TensorDescription) throws -> SparseTensor {
    let taking = inputs(of: tensor.name)
    let entries = try taking.map { try $0.ticket?.entries(of: tensor.name, base: reference) }
    let union = Self.union(entries.compactMap { $0?.indices })
    guard !union.isEmpty else { return SparseTensor(indices: [], stored: []) }
    let stored = try Adapter.storedWeights(of: reference, tensor: tensor, indices: union)
    let scratch = Scratch(inputs: taking.count, chunkLength: union.count, cutoffs: 0)
    stored.withUnsafeBytes {
      FloatCodec.decode($0, as: tensor.dtype, into: UnsafeMutableBufferPointer(start: scratch.base, count: union.count))
    }
    for (position, entries) in entries.enumerated() {
      scratch.tuned[position].update(from: scratch.base, count: union.count)
      if let entries { Self.change(scratch.tuned[position], entries, union) }
    }
    try combine(tensor, taking, scratch, indices: union)
    let values = UnsafeBufferPointer(start: UnsafePointer(scratch.result), count: union.count)
    let merged = [UInt8](unsafeUninitializedCapacity: stored.count) { buffer, initialized in
      FloatCodec.encode(
        values, as: tensor.dtype, into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: stored.count))
      initialized = stored.count
    }
    return Self.differing(union, stored, merged, size: tensor.dtype.byteCount)
  }

  private func combine(
    _ tensor: TensorDescription, _ taking: [MergeInput], _ scratch: Scratch, indices: [Int32]
  ) throws {
    let settings = try settings(of: tensor.name)
    let weights = settings.inputs.map { Float($0.weight) }
    let tuned = taking.indices.map { UnsafePointer(scratch.tuned[$0]) }
    let count = indices.count
    guard case .taskVectors(_, let electsSign, let sign) = recipe.method.combination else {
      return LinearKernel(weights: weights, normalizes: settings.normalizes).combine(
        tuned, count: count, into: scratch.result)
    }
    for (position, input) in taking.enumerated() {
      let deltas = scratch.deltas[position]
      guard !TaskVectorKernel.subtract(scratch.base, from: tuned[position], count: count, into: deltas) else {
        continue
      }
      let place = (0..<count).first { !deltas[$0].isFinite } ?? 0
      throw MergeError.notFinite(tensor: tensor.name, index: Int(indices[place]), input: input.path)
    }
    let kernel = TaskVectorKernel(
      weights: weights.map { sign * $0 }, isPlain: weights.map { _ in true }, electsSign: electsSign,
      normalizes: settings.normalizes, lambda: Float(settings.lambda))
    kernel.combine(
      base: scratch.base, tuned: tuned, deltas: taking.indices.map { UnsafePointer(scratch.deltas[$0]) }, count: count,
      into: scratch.result)
  }

  /// Ascending indices that are in any of the lists.
  static func union(_ lists: [[Int32]]) -> [Int32] {
    guard let first = lists.first else { return [] }
    return lists.dropFirst().reduce(first) { left, right in
      [Int32](unsafeUninitializedCapacity: left.count + right.count) { buffer, count in
        left.withUnsafeBufferPointer { left in
          right.withUnsafeBufferPointer { right in
            var (mine, theirs, place) = (0, 0, 0)
            while mine < left.count, theirs < right.count {
              let (one, other) = (left[mine], right[theirs])
              buffer[place] = min(one, other)
              place &+= 1
              // Which comes first is a coin's toss: without branches.
              mine &+= one <= other ? 1 : 0
              theirs &+= other <= one ? 1 : 0
            }
            for rest in [left[mine...], right[theirs...]] {
              for index in rest {
                buffer[place] = index
                place += 1
              }
            }
            count = place
          }
        }
      }
    }
  }

  /// Turns base weights at `places` into tuned ones.
  private static func change(_ values: UnsafeMutablePointer<Float>, _ entries: AdapterEntries, _ places: [Int32]) {
    places.withUnsafeBufferPointer { places in
      entries.indices.withUnsafeBufferPointer { indices in
        entries.differences.withUnsafeBufferPointer { differences in
          var place = 0
          for position in 0..<indices.count {
            while places[place] < indices[position] { place &+= 1 }
            values[place] = AdapterEntries.tuned(values[place], by: differences[position], entries.dtype)
          }
        }
      }
    }
  }

  private static func differing(_ places: [Int32], _ old: [UInt8], _ new: [UInt8], size: Int) -> SparseTensor {
    let isKept = old.withUnsafeBytes { old in
      new.withUnsafeBytes { new in
        places.indices.map { position -> Bool in
          let offset = position &* size
          return size == 4
            ? old.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
              != new.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            : old.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
              != new.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
        }
      }
    }
    let count = isKept.reduce(0) { $0 &+ ($1 ? 1 : 0) }
    guard count < places.count else { return SparseTensor(indices: places, stored: new) }
    let kept = places.indices.filter { isKept[$0] }
    let stored = [UInt8](unsafeUninitializedCapacity: count * size) { buffer, initialized in
      new.withUnsafeBytes { new in
        guard let source = new.baseAddress, let start = buffer.baseAddress else { return }
        let target = UnsafeMutableRawPointer(start)
        for (place, position) in kept.enumerated() {
          (target + place &* size).copyMemory(from: source + position &* size, byteCount: size)
        }
      }
      initialized = count * size
    }
    return SparseTensor(indices: kept.map { places[$0] }, stored: stored)
  }
}
