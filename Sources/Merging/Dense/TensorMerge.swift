internal import Checkpoints
internal import Primitives
internal import Tickets
internal import Torch

/// Merges one tensor: passes over its chunks, several threads at a time, first for what must be known of the whole tensor.
///
/// Chunks do not depend on the number of threads, and neither does the result.
struct TensorMerge {
  let method: MergeMethod
  let settings: TensorSettings
  let window: TensorWindow
  let workers: [Scratch]
  /// For messages and random streams, one for each input.
  let paths: [String]
  /// Whether an input was made sparse by training already.
  let isTicket: [Bool]
  let seed: UInt64

  private var chunks: TensorChunks { window.chunks }
  private var inputs: Range<Int> { paths.indices }

  /// Calls `write` with every chunk's result, in no certain order.
  func run(_ write: @Sendable (Range<Int>, UnsafePointer<Float>) throws -> Void) throws {
    switch method.combination {
    case .linear:
      let kernel = LinearKernel(weights: settings.inputs.map { Float($0.weight) }, normalizes: settings.normalizes)
      try forEachChunk { _, range, scratch, view in
        kernel.combine(view.tuned, count: range.count, into: scratch.result)
        try write(range, scratch.result)
      }
    case .spherical:
      let sums = try chunkResults { _, range, _, view in
        SphericalKernel.Sums(view.base, view.tuned[0], count: range.count)
      }
      let kernel = SphericalKernel(sums.reduce(into: SphericalKernel.Sums()) { $0 += $1 }, arc: settings.arc)
      try forEachChunk { _, range, scratch, view in
        kernel.combine(view.base, view.tuned[0], count: range.count, into: scratch.result)
        try write(range, scratch.result)
      }
    case .taskVectors(_, let electsSign, let sign):
      try addTaskVectors(electsSign: electsSign, sign: sign, write)
    }
  }

  private func addTaskVectors(
    electsSign: Bool, sign: Float, _ write: @Sendable (Range<Int>, UnsafePointer<Float>) throws -> Void
  ) throws {
    let keeps = try keeps()
    let kernel = TaskVectorKernel(
      weights: settings.inputs.map { sign * Float($0.weight) }, isPlain: keeps.map(\.isPlain), electsSign: electsSign,
      normalizes: settings.normalizes, lambda: Float(settings.lambda))
    try forEachChunk { _, range, scratch, view in
      try subtract(inputs, range, scratch, view)
      for input in inputs {
        keeps[input].apply(
          to: scratch.deltas[input], first: range.lowerBound, count: range.count, rowLength: chunks.rowLength)
      }
      kernel.combine(
        base: view.base, tuned: view.tuned, deltas: inputs.map { UnsafePointer(scratch.deltas[$0]) },
        count: range.count, into: scratch.result)
      try write(range, scratch.result)
    }
  }

  // MARK: - What stays

  private func keeps() throws -> [Keep] {
    let cutoffs = try cutoffs()
    var keeps = inputs.map { Keep(rule: rule(of: $0, cutoffs)) }
    switch settings.rescale {
    case .none: break
    case .probability:
      for input in inputs { keeps[input].dividesByProbability = true }
    case .norm:
      let touched = inputs.filter { density(of: $0) < 1 }
      guard !touched.isEmpty else { break }
      let rules = keeps
      let sums = try chunkResults { _, range, scratch, view in
        try subtract(inputs, range, scratch, view)
        return touched.map { input in
          let deltas = scratch.deltas[input]
          let before = Self.magnitudes(deltas, range.count)
          rules[input].apply(to: deltas, first: range.lowerBound, count: range.count, rowLength: chunks.rowLength)
          return (before, Self.magnitudes(deltas, range.count))
        }
      }
      for (position, input) in touched.enumerated() {
        let before = sums.reduce(0) { $0 + $1[position].0 }
        let after = sums.reduce(0) { $0 + $1[position].1 }
        if before >= 1e-7, after >= 1e-7 { keeps[input].factor = Float(before / after) }
      }
    }
    return keeps
  }

  private static func magnitudes(_ values: UnsafePointer<Float>, _ count: Int) -> Double {
    (0..<count).reduce(0) { $0 + Double(abs(values[$1])) }
  }

  private func density(of input: Int) -> Double { isTicket[input] ? 1 : settings.inputs[input].density }

  private func stream(of input: Int) -> RandomStream {
    RandomStream(seed: seed, purpose: "merge \(window.name) of \(paths[input])")
  }

  private func rule(of input: Int, _ cutoffs: [Int: [Cutoff]]) -> Keep.Rule {
    let density = density(of: input)
    guard let sparsification = method.sparsification, density < 1 else { return .all }
    switch sparsification {
    case .magnitude, .breadcrumbs:
      guard let found = cutoffs[input] else { return density <= 0 ? .nothing : .all }
      return found.count == 1 ? .largest(found[0]) : .band(outer: found[0], inner: found[1])
    case .random: return density <= 0 ? .nothing : .random(stream(of: input), density: density)
    case .magnitudeSampling:
      let epsilon = settings.inputs[input].epsilon
      return density <= 0 ? .nothing : .sampled(stream(of: input), density: density, epsilon: epsilon)
    }
  }

  // MARK: - Ranks

  /// How many of the largest each cutoff of an input holds.
  private func wantedCounts(of input: Int) -> [Int] {
    let (density, total) = (density(of: input), chunks.elementCount)
    guard density > 0, density < 1, total > 0 else { return [] }
    // As mergekit counts; but a tensor is never emptied.
    let kept = max(1, Int(density * Double(total)))
    guard method.sparsification == .breadcrumbs else { return [kept] }
    let outliers = Int(settings.inputs[input].gamma * Double(total))
    let dropped = max(0, total - kept - outliers)
    return [total - dropped, total - dropped - kept]
  }

  private func cutoffs() throws -> [Int: [Cutoff]] {
    guard method.sparsification == .magnitude || method.sparsification == .breadcrumbs else { return [:] }
    var found: [Int: [Cutoff]] = [:]
    for input in inputs {
      let counts = wantedCounts(of: input)
      if counts.isEmpty { continue }
      found[input] = counts.map { $0 <= 0 ? .nothing : .everything }
    }
    var searches = found.keys.sorted().flatMap { input in
      wantedCounts(of: input).enumerated().filter { $1 > 0 && $1 < chunks.elementCount }.map {
        (input: input, place: $0, ranks: MagnitudeRanks(wanted: $1))
      }
    }
    guard !searches.isEmpty else { return found }
    let touched = Array(Set(searches.map(\.input))).sorted()
    let sources = searches.map(\.input)
    try count(touched, sources.count) { number, deltas, count, bins in
      MagnitudeRanks.countUpper(deltas(sources[number]), count: count, into: bins)
    } take: {
      searches[$0].ranks.takeUpper($1)
    }
    let halves = searches.map(\.ranks)
    try count(touched, sources.count) { number, deltas, count, bins in
      halves[number].countLower(deltas(sources[number]), count: count, into: bins)
    } take: {
      searches[$0].ranks.takeLower($1)
    }
    for search in searches {
      let ranks = search.ranks
      let lastTie = ranks.mustChoose ? try tie(ranks.ties, of: search.input, pattern: ranks.pattern) : .max
      found[search.input]?[search.place] = Cutoff(pattern: ranks.pattern, lastTie: lastTie)
    }
    return found
  }

  /// Counts magnitudes of all chunks into bins, one set for each search.
  private func count(
    _ touched: [Int], _ searches: Int,
    _ add: @Sendable (Int, (Int) -> UnsafePointer<Float>, Int, UnsafeMutablePointer<UInt32>) -> Void,
    take: (Int, UnsafeBufferPointer<UInt32>) -> Void
  ) throws {
    for worker in workers { worker.counts.update(repeating: 0) }
    try forEachChunk { _, range, scratch, view in
      try subtract(touched, range, scratch, view)
      guard let bins = scratch.counts.baseAddress else { return }
      for search in 0..<searches {
        add(search, { UnsafePointer(scratch.deltas[$0]) }, range.count, bins + search * MagnitudeRanks.binCount)
      }
    }
    for search in 0..<searches {
      let bins = (search * MagnitudeRanks.binCount)..<((search + 1) * MagnitudeRanks.binCount)
      let sum = UnsafeMutableBufferPointer(rebasing: workers[0].counts[bins])
      for worker in workers.dropFirst() { for bin in bins { sum[bin - bins.lowerBound] &+= worker.counts[bin] } }
      take(search, UnsafeBufferPointer(sum))
    }
  }

  /// The index of the entry that is the `number`-th, from 1, with a magnitude of exactly `pattern`.
  private func tie(_ number: Int, of input: Int, pattern: UInt32) throws -> Int {
    let counts = try chunkResults { _, range, scratch, view in
      try subtract([input], range, scratch, view)
      let deltas = scratch.deltas[input]
      return (0..<range.count).reduce(0) { $0 + (deltas[$1].bitPattern & 0x7FFF_FFFF == pattern ? 1 : 0) }
    }
    var left = number
    for (chunk, count) in counts.enumerated() {
      guard left > count else {
        let (scratch, range) = (workers[0], chunks.range(chunk))
        try subtract([input], range, scratch, try window.read(chunk, scratch))
        for index in 0..<range.count where scratch.deltas[input][index].bitPattern & 0x7FFF_FFFF == pattern {
          left -= 1
          if left == 0 { return range.lowerBound + index }
        }
        return range.upperBound - 1
      }
      left -= count
    }
    return .max
  }

  // MARK: - Chunks

  private func subtract(
    _ inputs: some Sequence<Int>, _ range: Range<Int>, _ scratch: Scratch, _ view: TensorWindow.View
  ) throws {
    for input in inputs {
      let deltas = scratch.deltas[input]
      guard !TaskVectorKernel.subtract(view.base, from: view.tuned[input], count: range.count, into: deltas) else {
        continue
      }
      let index = (0..<range.count).first { !deltas[$0].isFinite } ?? 0
      throw MergeError.notFinite(tensor: window.name, index: range.lowerBound + index, input: paths[input])
    }
  }

  private func forEachChunk(
    _ body: @Sendable (Int, Range<Int>, Scratch, TensorWindow.View) throws -> Void
  ) throws {
    let used = Array(workers.prefix(max(1, chunks.count)))
    try ParallelChunks.forEach(0..<chunks.count, workers: used) { scratch, chunk in
      try body(chunk, chunks.range(chunk), scratch, try window.read(chunk, scratch))
    }
  }

  private func chunkResults<Result>(
    _ body: @Sendable (Int, Range<Int>, Scratch, TensorWindow.View) throws -> Result
  ) throws -> [Result] {
    let results = ChunkResults<Result>(count: chunks.count)
    try forEachChunk { chunk, range, scratch, view in results.set(try body(chunk, range, scratch, view), at: chunk) }
    return results.values
  }
}

/// One value for each chunk.
private final class ChunkResults<Value>: @unchecked Sendable {
  // Sendable: every place is written by one thread, and read when all are done.
  private let places: UnsafeMutableBufferPointer<Value?>

  init(count: Int) {
    places = .allocate(capacity: count)
    places.initialize(repeating: nil)
  }

  deinit {
    places.deinitialize()
    places.deallocate()
  }

  func set(_ value: Value, at place: Int) { places[place] = value }
  var values: [Value] { places.compactMap { $0 } }
}
