import Synchronization

/// The passes that find the k largest magnitudes and set their bits in the plan's words.
///
/// Usually ``markBySample(_:)`` needs a single one. Where a sample does not tell:
///
/// 1. Count magnitudes by their upper 15 bits; the bin that holds rank k is the *threshold bin*.
/// 2. Usually that bin has few members: one more pass sets the bits of all higher bins and remembers the members,
///    which are then ranked in memory.
/// 3. Otherwise (many equal magnitudes, as bfloat16 weights have) their lower 16 bits are counted in a pass, which
///    gives the exact threshold; a pass sets what lies above it and counts each chunk's ties; and the ties' bits are set
///    in a last pass over those chunks that come before the k-th.
struct MagnitudeScan {
  let base: any WeightSource
  let tuned: any WeightSource
  let plan: ChunkPlan
  let workers: [ScanWorker]
  let candidateLimit: Int
  let leastForSample: Int
  private let progress: (@Sendable (Double) -> Void)?
  /// Span of the whole work's fraction that the present pass covers.
  var span = 0.0..<0.5

  init(
    base: any WeightSource, tuned: any WeightSource, plan: ChunkPlan, tuning: TicketSelection.Tuning,
    progress: (@Sendable (Double) -> Void)?
  ) {
    self.base = base
    self.tuned = tuned
    self.plan = plan
    candidateLimit = tuning.candidateLimit
    leastForSample = tuning.leastForSample
    self.progress = progress
    workers = (0..<max(1, min(tuning.workerCount, plan.chunks.count))).map { _ in ScanWorker() }
  }

  mutating func mark(_ keep: Int, unchanged: TicketSelection.UnchangedWeights) throws {
    if try markBySample(keep) { return }
    span = 0.5..<0.7
    let bins = try countUpper()
    guard keep > 0 else { return }
    guard let threshold = Threshold(keep: keep, bins: bins) else {
      throw TicketsError.weightsChangedDuringSelection
    }
    let upperBin = UInt32(threshold.bin)
    if threshold.members <= candidateLimit {
      span = 0.7..<1
      let candidates = try markAbove(upperBin: upperBin)
      let lower = countLower(of: candidates)
      let exact = try exactThreshold(in: lower, upperBin: upperBin, keep: keep, threshold, unchanged)
      mark(candidates, exact: exact)
    } else {
      span = 0.7..<0.8
      let lower = try countLower(upperBin: upperBin)
      let exact = try exactThreshold(in: lower, upperBin: upperBin, keep: keep, threshold, unchanged)
      let magnitude = upperBin << 16 | UInt32(exact.bin)
      span = 0.8..<0.9
      let ties = try markAbove(magnitude: magnitude, includingTies: exact.wanted == exact.members)
      span = 0.9..<1
      if exact.wanted < exact.members { try markFirst(exact.wanted, ties: ties, magnitude: magnitude) }
    }
  }

  // MARK: - Thresholds

  /// The bin that holds rank k when bins are walked from the highest magnitude down.
  private struct Threshold {
    let bin: Int
    let members: Int
    /// How many of the members are to be kept; at least one.
    let wanted: Int

    init?(keep: Int, bins: [Int]) {
      var above = 0
      for bin in bins.indices.reversed() {
        if above + bins[bin] >= keep {
          self.bin = bin
          members = bins[bin]
          wanted = keep - above
          return
        }
        above += bins[bin]
      }
      return nil
    }
  }

  /// The threshold by lower bits inside the threshold's bin.
  private func exactThreshold(
    in lower: [Int], upperBin: UInt32, keep: Int, _ threshold: Threshold,
    _ unchanged: TicketSelection.UnchangedWeights
  ) throws -> Threshold {
    guard let exact = Threshold(keep: threshold.wanted, bins: lower) else {
      throw TicketsError.weightsChangedDuringSelection
    }
    if upperBin == 0, exact.bin == 0, unchanged == .refuse {
      throw TicketsError.fewerChangedThanRequested(changed: keep - exact.wanted, requested: keep, total: plan.count)
    }
    return exact
  }

  // MARK: - Passes

  private func countUpper() throws -> [Int] {
    for worker in workers { worker.clear(MagnitudeKernels.upperBinCount) }
    try forEachChunk { worker, _, base, tuned, count, excluded in
      MagnitudeKernels.countUpper(base: base, tuned: tuned, count: count, excluded: excluded, into: worker.bins)
    }
    let bins = sum(MagnitudeKernels.upperBinCount)
    let firstNonFinite = Int(MagnitudeKernels.nonFinite >> 16)
    guard bins[firstNonFinite...].allSatisfy({ $0 == 0 }) else { throw try nonFiniteError() }
    return bins
  }

  private func countLower(upperBin: UInt32) throws -> [Int] {
    for worker in workers { worker.clear(MagnitudeKernels.lowerBinCount) }
    try forEachChunk { worker, _, base, tuned, count, excluded in
      MagnitudeKernels.countLower(
        base: base, tuned: tuned, count: count, excluded: excluded, upperBin: upperBin, into: worker.bins)
    }
    return sum(MagnitudeKernels.lowerBinCount)
  }

  /// Sets the bits of all magnitudes in bins above `upperBin`, and returns that bin's members chunk by chunk: the
  /// lower half of the magnitude over the offset in the chunk, 16 bits each.
  private func markAbove(upperBin: UInt32) throws -> [[UInt32]] {
    let found = Mutex([[UInt32]](repeating: [], count: plan.chunks.count))
    try forEachChunk { _, chunk, base, tuned, count, excluded in
      guard let words = plan.words(of: plan.chunks[chunk]) else { return }
      var candidates: [UInt32] = []
      MagnitudeKernels.classify(
        base: base, tuned: tuned, count: count, excluded: excluded, lower: upperBin << 16,
        upper: (upperBin + 1) << 16, words: words
      ) { position, bits in
        var rest = bits
        while rest != 0 {
          let offset = position &* 64 &+ rest.trailingZeroBitCount
          let magnitude = MagnitudeKernels.magnitude(base, tuned, offset)
          candidates.append(magnitude << 16 | UInt32(truncatingIfNeeded: offset))
          rest &= rest &- 1
        }
      }
      let chunkCandidates = candidates
      found.withLock { $0[chunk] = chunkCandidates }
    }
    return found.withLock { $0 }
  }

  private func countLower(of candidates: [[UInt32]]) -> [Int] {
    var bins = [Int](repeating: 0, count: MagnitudeKernels.lowerBinCount)
    for chunk in candidates {
      for candidate in chunk { bins[Int(candidate >> 16)] &+= 1 }
    }
    return bins
  }

  /// Sets the bits of the candidates above the threshold, and of the first of those that equal it.
  private func mark(_ candidates: [[UInt32]], exact: Threshold) {
    var wanted = exact.wanted
    for (chunk, candidates) in zip(plan.chunks, candidates) {
      guard let words = plan.words(of: chunk) else { continue }
      for candidate in candidates {
        let lower = Int(candidate >> 16)
        guard lower > exact.bin || (lower == exact.bin && wanted > 0) else { continue }
        if lower == exact.bin { wanted -= 1 }
        let offset = Int(candidate & 0xFFFF)
        words[offset / 64] |= 1 << UInt64(offset % 64)
      }
    }
  }

  /// Sets the bits of all magnitudes above `magnitude`, and its own too when told so; else returns how many ties each
  /// chunk has.
  private func markAbove(magnitude: UInt32, includingTies: Bool) throws -> [Int] {
    let found = Mutex([Int](repeating: 0, count: plan.chunks.count))
    try forEachChunk { _, chunk, base, tuned, count, excluded in
      guard let words = plan.words(of: plan.chunks[chunk]) else { return }
      var ties = 0
      MagnitudeKernels.classify(
        base: base, tuned: tuned, count: count, excluded: excluded, lower: magnitude,
        upper: includingTies ? magnitude : magnitude + 1, words: words
      ) { _, bits in ties &+= bits.nonzeroBitCount }
      let chunkTies = ties
      found.withLock { $0[chunk] = chunkTies }
    }
    return found.withLock { $0 }
  }

  /// Sets the bits of the first `wanted` weights of exactly this magnitude.
  private func markFirst(_ wanted: Int, ties: [Int], magnitude: UInt32) throws {
    var quotas: [Int] = []
    var left = wanted
    for count in ties {
      guard left > 0 else { break }
      quotas.append(min(count, left))
      left -= min(count, left)
    }
    let chunkQuotas = quotas
    try forEachChunk(0..<chunkQuotas.count, where: { chunkQuotas[$0] > 0 }) {
      worker, chunk, base, tuned, count, excluded in
      guard let words = plan.words(of: plan.chunks[chunk]) else { return }
      var quota = chunkQuotas[chunk]
      MagnitudeKernels.classify(
        base: base, tuned: tuned, count: count, excluded: excluded, lower: magnitude, upper: magnitude + 1,
        words: worker.words
      ) { position, bits in
        var rest = bits
        while rest != 0, quota > 0 {
          words[position] |= rest & (~rest &+ 1)
          rest &= rest &- 1
          quota -= 1
        }
      }
    }
  }

  // MARK: - Reading

  typealias ChunkBody =
    @Sendable (
      _ worker: ScanWorker, _ chunk: Int, _ base: UnsafePointer<Float>, _ tuned: UnsafePointer<Float>, _ count: Int,
      _ excluded: UnsafePointer<UInt64>?
    ) throws -> Void

  func forEachChunk(
    _ chunks: Range<Int>? = nil, where isWanted: @Sendable (Int) -> Bool = { _ in true }, _ body: ChunkBody
  ) throws {
    let chunks = chunks ?? 0..<plan.chunks.count
    try ParallelChunks.forEach(
      chunks, workers: workers, finished: { report($0, of: chunks.count) }
    ) { worker, number in
      guard isWanted(number) else { return }
      let chunk = plan.chunks[number]
      let name = plan.tensors[chunk.tensor].name
      try base.withFloats(of: name, range: chunk.range, scratch: worker.base) { old in
        try tuned.withFloats(of: name, range: chunk.range, scratch: worker.tuned) { new in
          try plan.withExcluded(of: chunk) { try body(worker, number, old, new, chunk.range.count, $0) }
        }
      }
    }
  }

  /// A run of weights from every chunk, one in `share`; runs begin on word boundaries, like what is excluded.
  func forEachChunk(
    sampling share: Int,
    _ body:
      @Sendable (
        _ worker: ScanWorker, _ base: UnsafePointer<Float>, _ tuned: UnsafePointer<Float>, _ count: Int,
        _ excluded: UnsafePointer<UInt64>?
      ) throws -> Void
  ) throws {
    try ParallelChunks.forEach(0..<plan.chunks.count, workers: workers) { worker, number in
      let chunk = plan.chunks[number]
      let wordCount = chunk.range.count / 64
      guard wordCount > 0 else { return }
      let runWords = max(1, wordCount / share)
      // Another place in every chunk, spread evenly by the golden ratio.
      let place = Double(number) * 0.618_033_988_749_895
      let firstWord = Int((place - place.rounded(.down)) * Double(wordCount - runWords + 1))
      let start = chunk.range.lowerBound + 64 * firstWord
      let run = ChunkPlan.Chunk(tensor: chunk.tensor, range: start..<(start + 64 * runWords))
      let name = plan.tensors[run.tensor].name
      try base.withFloats(of: name, range: run.range, scratch: worker.base) { old in
        try tuned.withFloats(of: name, range: run.range, scratch: worker.tuned) { new in
          try plan.withExcluded(of: run) { try body(worker, old, new, run.range.count, $0) }
        }
      }
    }
  }

  /// Every hundredth of a pass.
  private func report(_ done: Int, of total: Int) {
    guard let progress, done % max(1, total / 100) == 0 else { return }
    progress(span.lowerBound + (span.upperBound - span.lowerBound) * Double(done) / Double(total))
  }

  func sum(_ binCount: Int) -> [Int] {
    var bins = [Int](repeating: 0, count: binCount)
    for worker in workers {
      for bin in bins.indices { bins[bin] += worker.bins[bin] }
    }
    return bins
  }

  /// Finds the first value, in canonical order, that is not finite.
  func nonFiniteError() throws -> TicketsError {
    let worker = workers[0]
    for chunk in plan.chunks {
      let name = plan.tensors[chunk.tensor].name
      let error: TicketsError? = try base.withFloats(of: name, range: chunk.range, scratch: worker.base) { old in
        try tuned.withFloats(of: name, range: chunk.range, scratch: worker.tuned) { new in
          MagnitudeKernels.firstNonFinite(base: old, tuned: new, count: chunk.range.count).map { offset in
            .notFinite(
              tensor: name, index: chunk.range.lowerBound + offset,
              source: !old[offset].isFinite ? .base : !new[offset].isFinite ? .tuned : .difference)
          }
        }
      }
      if let error { return error }
    }
    return .weightsChangedDuringSelection
  }
}

/// One thread's buffers.
final class ScanWorker: @unchecked Sendable {
  // Sendable: each worker is used by one thread at a time.
  let base = UnsafeMutableBufferPointer<Float>.allocate(capacity: ChunkPlan.chunkSize)
  let tuned = UnsafeMutableBufferPointer<Float>.allocate(capacity: ChunkPlan.chunkSize)
  let bins = UnsafeMutablePointer<Int>.allocate(capacity: MagnitudeKernels.lowerBinCount)
  let words = UnsafeMutablePointer<UInt64>.allocate(capacity: ChunkPlan.chunkSize / 64)

  func clear(_ binCount: Int) { bins.initialize(repeating: 0, count: binCount) }

  deinit {
    base.deallocate()
    tuned.deallocate()
    bins.deallocate()
    words.deallocate()
  }
}
