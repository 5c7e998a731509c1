import Primitives

extension TicketSelection {
  /// A ticket of exactly k weights, each set of k weights equally likely: calibration with no data at all.
  ///
  /// The weights are visited in canonical order and one stream, seeded with `seed`, decides each of them (Knuth's
  /// algorithm S): the ticket depends on the tensors' names and shapes and the seed only, not on the platform.
  ///
  /// - Parameter excluding: weights that may not be selected.
  /// - Throws: `sparsityOutOfRange`, `countOutOfRange`, `shapeMismatch`, `capacityTooSmall`.
  public static func random(
    shapes: [String: [Int]], amount: Amount, quota: Quota = .global, seed: UInt64, excluding: Mask? = nil,
    baseFingerprint: String? = nil
  ) throws -> Mask {
    var stream = RandomStream(seed: seed, purpose: "random-ticket")
    guard quota == .perTensor else {
      return try random(
        shapes: shapes, amount: amount, &stream, excluding: excluding, baseFingerprint: baseFingerprint)
    }
    return try perTensor(Array(shapes.keys), amount: amount, baseFingerprint: baseFingerprint) { name in
      try random(shapes: [name: shapes[name] ?? []], amount: amount, &stream, excluding: excluding)
    }
  }

  private static func random(
    shapes: [String: [Int]], amount: Amount, _ stream: inout RandomStream, excluding: Mask?,
    baseFingerprint: String? = nil
  ) throws -> Mask {
    let tensors = try plannedTensors(names: Array(shapes.keys), excluding: excluding) { shapes[$0] ?? [] }
    let keep = try checkedCount(amount, of: tensors)
    let plan = ChunkPlan(tensors: tensors)

    var wanted = keep
    var left = plan.count - tensors.reduce(0) { $0 + ($1.excluded?.populationCount ?? 0) }
    for chunk in plan.chunks {
      guard wanted > 0, let words = plan.words(of: chunk) else { break }
      plan.withExcluded(of: chunk) { excluded in
        for offset in 0..<chunk.range.count {
          let bit = UInt64(1) << UInt64(offset % 64)
          if let excluded, excluded[offset / 64] & bit != 0 { continue }
          if stream.below(left) < wanted {
            words[offset / 64] |= bit
            wanted -= 1
          }
          left -= 1
        }
      }
    }
    return try plan.mask(sparsity: amount.sparsity(of: plan.count), baseFingerprint: baseFingerprint)
  }
}
