public import Checkpoints
import Torch

/// Lossy value codings. They store the update `u = trained - base`, computed in float32 and rounded; the adapter's trained weight is
/// by definition `base + u`, computed in float32 and rounded to nearest even into the base's element type.
extension Adapter {
  /// Writes the same adapter with another, lossy value coding.
  ///
  /// - Throws: `adapterIsLossy` when its values are not exact; what ``verify(base:digests:)`` throws; `updateNotHeld`;
  ///   `adapterMalformed`; `CheckpointError`.
  public func encode(as coding: ValueCoding, base: Checkpoint, output directory: String, overwrite: Bool = false) throws
    -> Adapter
  {
    try FileSystem.checkPublishable(directory, overwrite: overwrite)
    guard !configuration.valueCoding.isLossy else {
      throw TicketsError.adapterIsLossy(adapter: path, coding: configuration.valueCoding)
    }
    try verify(base: base)
    let content = Content(
      method: configuration.method, sparsity: configuration.sparsity, scopedCount: configuration.scopedCount,
      baseFingerprint: configuration.baseFingerprint, baseByteCount: configuration.baseByteCount, coding: coding,
      training: configuration.training)
    let digests = configuration.baseTensors.mapValues(\.sha256)
    return try Self.write(
      to: directory, base: base, content: content, tensors: try tensorNames.map { try base.description(of: $0) },
      overwrite: overwrite, sha256: { digests[$0] ?? "" }, indices: { try indices(of: tensorNames[$0]) ?? [] }
    ) { tensor, _ in
      guard let entries = try entries(of: tensor.name) else { return [] }
      return entries.trained(from: try entries.gather(from: base))
    }
  }

  /// Updates as a lossy coding stores them, the trained weights they stand for, and how far these are from the given ones.
  ///
  /// - Parameters:
  ///   - base: the base's weights at the indices, as stored; `trained` likewise.
  /// - Throws: `updateNotHeld`.
  static func rounded(
    _ tensor: TensorDescription, _ indices: [Int32], base: [UInt8], trained: [UInt8], coding: ValueCoding
  ) throws -> (values: StoredValues, trained: [UInt8], errors: ValueError.Sums) {
    let (before, wanted) = (widened(base, as: tensor.dtype), widened(trained, as: tensor.dtype))
    func check(_ numbers: [Float]) throws {
      guard let position = numbers.firstIndex(where: { !$0.isFinite }) else { return }
      throw TicketsError.updateNotHeld(tensor: tensor.name, index: Int(indices[position]), coding: coding)
    }
    let updates = zip(wanted, before).map { $0 - $1 }
    try check(updates)
    let values = StoredValues.rounding(updates, as: coding)
    let kept = values.updates ?? updates
    try check(kept)
    let stored = storedValues(zip(before, kept).map { $0 + $1 }, as: tensor.dtype)
    let after = widened(stored, as: tensor.dtype)
    try check(after)
    return (values, stored, ValueError.Sums(base: before, trained: wanted, stored: after))
  }

  /// Differences of bit patterns between the base's weights and those that base and updates give.
  func differences(_ values: StoredValues, at indices: [Int32], of name: String, base: Checkpoint?) throws -> [UInt32] {
    guard let updates = values.updates, let base else {
      throw TicketsError.adapterNeedsBase(adapter: path, coding: configuration.valueCoding)
    }
    try checkFits(base, names: [name])
    let tensor = try base.description(of: name)
    let stored = try Self.storedWeights(of: base, tensor: tensor, indices: indices)
    let trained = Self.storedValues(zip(widened(stored, as: tensor.dtype), updates).map { $0 + $1 }, as: tensor.dtype)
    return patternDifferences(base: stored, trained: trained, dtype: tensor.dtype)
  }
}
