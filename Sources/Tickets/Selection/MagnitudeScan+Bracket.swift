import Synchronization

/// The way that usually needs one pass: a sample says between which magnitudes the threshold lies, and the pass counts what
/// is above and remembers what is between. Exact like the others, since the counts prove the guess right or refuse it.
extension MagnitudeScan {
  /// Upper bins, both included.
  private typealias Bracket = ClosedRange<UInt32>

  /// One weight in a hundred or so: cheap, and enough for a bracket of a few bins.
  private static let sampledShare = 128

  /// - Returns: false, with the words in no particular state, when the sample misled.
  mutating func markBySample(_ keep: Int) throws -> Bool {
    guard keep > 0, plan.count >= leastForSample, let bracket = try sampledBracket(keep) else { return false }
    span = 0..<0.5
    guard let found = try classify(bracket) else { return false }
    let between = found.reduce(0) { $0 + $1.candidates.count }
    let above = found.reduce(0) { $0 + $1.above }
    guard above < keep, keep <= above + between else { return false }
    mark(found.map(\.candidates), threshold: threshold(of: found, keep: keep - above))
    return true
  }

  // MARK: - The sample

  private func sampledBracket(_ keep: Int) throws -> Bracket? {
    for worker in workers { worker.clear(MagnitudeKernels.upperBinCount) }
    try forEachChunk(sampling: Self.sampledShare) { worker, base, tuned, count, excluded in
      MagnitudeKernels.countUpper(base: base, tuned: tuned, count: count, excluded: excluded, into: worker.bins)
    }
    let bins = sum(MagnitudeKernels.upperBinCount)
    let total = bins.reduce(0, +)
    let eligible = plan.count - plan.tensors.reduce(0) { $0 + ($1.excluded?.populationCount ?? 0) }
    guard total > 0, eligible > 0 else { return nil }
    let rank = Double(keep) * Double(total) / Double(eligible)
    // Neighbours resemble each other, so a sample of runs errs more than one of single weights: 6 deviations and 3 %.
    let margin = 6 * rank.squareRoot() + 0.03 * rank + 1
    guard let high = bin(atRank: rank - margin, in: bins), let low = bin(atRank: rank + margin, in: bins),
      low > 0, high < Int(MagnitudeKernels.nonFinite >> 16)
    else { return nil }
    let share = Double(bins[low...high].reduce(0, +)) / Double(total)
    guard share * Double(eligible) < 0.9 * Double(candidateLimit / 2) else { return nil }
    return UInt32(low)...UInt32(high)
  }

  /// The bin of a rank counted from the highest magnitude.
  private func bin(atRank rank: Double, in bins: [Int]) -> Int? {
    var above = 0
    for bin in bins.indices.reversed() {
      above += bins[bin]
      if Double(above) >= max(rank, 1) { return bin }
    }
    return nil
  }

  // MARK: - The pass

  private struct Found {
    var above = 0
    /// Magnitude over the offset in the chunk, 16 bits.
    var candidates: [UInt64] = []
  }

  /// Sets the bits of what lies above the bracket and returns what lies in it, chunk by chunk; nil when that is too much to
  /// remember.
  private func classify(_ bracket: Bracket) throws -> [Found]? {
    let found = Mutex([Found](repeating: Found(), count: plan.chunks.count))
    let remembered = Atomic<Int>(0)
    let isFinite = Atomic<Bool>(true)
    let limit = candidateLimit / 2
    try forEachChunk(where: { _ in remembered.load(ordering: .relaxed) <= limit }) {
      worker, chunk, base, tuned, count, excluded in
      guard let words = plan.words(of: plan.chunks[chunk]) else { return }
      if MagnitudeKernels.hasNonFinite(base: base, tuned: tuned, count: count) {
        isFinite.store(false, ordering: .relaxed)
      }
      var result = Found()
      result.candidates.reserveCapacity(count / 64)
      MagnitudeKernels.classify(
        base: base, tuned: tuned, count: count, excluded: excluded, lower: bracket.lowerBound << 16,
        upper: (bracket.upperBound + 1) << 16, words: words
      ) { position, bits in
        var rest = bits
        while rest != 0 {
          let offset = position &* 64 &+ rest.trailingZeroBitCount
          let magnitude = MagnitudeKernels.magnitude(base, tuned, offset)
          result.candidates.append(UInt64(magnitude) << 16 | UInt64(truncatingIfNeeded: offset))
          rest &= rest &- 1
        }
      }
      for position in 0..<BitMask.wordCount(for: count) { result.above += words[position].nonzeroBitCount }
      _ = remembered.add(result.candidates.count, ordering: .relaxed)
      let chunkResult = result
      found.withLock { $0[chunk] = chunkResult }
    }
    guard isFinite.load(ordering: .relaxed) else { throw try nonFiniteError() }
    return remembered.load(ordering: .relaxed) <= limit ? found.withLock { $0 } : nil
  }

  // MARK: - The threshold

  private struct ExactThreshold {
    let magnitude: UInt64
    /// How many of the weights that equal it are kept.
    let wanted: Int
  }

  /// By the upper bin first, then by the lower 16 bits of that bin's members.
  private func threshold(of found: [Found], keep: Int) -> ExactThreshold {
    var left = keep
    var prefix: UInt64 = 0
    for (shift, count) in [(UInt64(32), MagnitudeKernels.upperBinCount), (16, MagnitudeKernels.lowerBinCount)] {
      var bins = [Int](repeating: 0, count: count)
      for chunk in found {
        for candidate in chunk.candidates where shift == 32 || candidate >> 32 == prefix {
          bins[Int(candidate >> shift & UInt64(count - 1))] &+= 1
        }
      }
      var bin = count - 1
      while bin > 0, bins[bin] < left {
        left -= bins[bin]
        bin -= 1
      }
      prefix = prefix << 16 | UInt64(bin)
    }
    return ExactThreshold(magnitude: prefix, wanted: left)
  }

  private func mark(_ candidates: [[UInt64]], threshold: ExactThreshold) {
    var wanted = threshold.wanted
    for (chunk, candidates) in zip(plan.chunks, candidates) {
      guard let words = plan.words(of: chunk) else { continue }
      for candidate in candidates {
        let magnitude = candidate >> 16
        guard magnitude > threshold.magnitude || (magnitude == threshold.magnitude && wanted > 0) else { continue }
        if magnitude == threshold.magnitude { wanted -= 1 }
        let offset = Int(candidate & 0xFFFF)
        words[offset / 64] |= 1 << UInt64(offset % 64)
      }
    }
  }
}
