package import Checkpoints

extension Adapter {
  /// Writes an adapter made of others of the same base, whose digests it takes over: verify them first.
  ///
  /// - Parameters:
  ///   - tensors: of the base, those that change, in canonical order.
  ///   - indices: by position in `tensors`.
  ///   - values: as ``write(to:base:mask:provenance:fingerprint:coding:overwrite:values:)``.
  package static func writeMerged(
    to directory: String, base: Checkpoint, like adapters: [Adapter], provenance: Provenance, scopedCount: Int,
    tensors: [TensorDescription], overwrite: Bool, indices: (Int) throws -> [Int32],
    values: (_ tensor: TensorDescription, _ indices: [Int32]) throws -> [UInt8]
  ) throws -> Adapter {
    let known = adapters.reduce(into: [String: String]()) { known, adapter in
      known.merge(adapter.configuration.baseTensors.mapValues(\.sha256)) { first, _ in first }
    }
    let fingerprint = try adapters.first?.configuration.baseFingerprint ?? ModelFingerprint(base).value
    let kept = try tensors.indices.reduce(0) { $0 + (try indices($1).count) }
    let content = Content(
      method: provenance.method, sparsity: scopedCount > 0 ? 1 - Double(kept) / Double(scopedCount) : 0,
      scopedCount: scopedCount, baseFingerprint: fingerprint,
      baseByteCount: base.tensors.reduce(0) { $0 + $1.byteCount }, coding: .exact, training: provenance.training)
    return try write(
      to: directory, base: base, content: content, tensors: tensors, overwrite: overwrite,
      sha256: { try known[$0] ?? ModelFingerprint.digest(of: $0, in: base) }, indices: indices, values: values)
  }
}
