import TestSupport
import Testing
import Tickets

/// The mask equals a naive stable sort's, whatever the values, sizes, amounts, threads and memory limits.
struct SelectionPropertyTests {
  /// What random weights look like; each meets another path of the scan.
  enum Kind: CaseIterable, Sendable {
    /// Continuous, few ties.
    case gaussianLike
    /// A handful of magnitudes: ties everywhere.
    case quantised
    /// Mostly unchanged weights.
    case mostlyZero
    case subnormal
    case allEqual
    /// All of one bin of upper bits, distinct below.
    case oneBin
    /// Every exponent.
    case wide
    /// Pieces of all the others.
    case mixed
  }

  static func value(_ kind: Kind, _ generator: inout SeededGenerator) -> (base: Float, tuned: Float) {
    let sign: Float = generator.next(below: 2) == 0 ? 1 : -1
    let unit = Float(generator.next(below: 1 << 24)) / Float(1 << 24)
    switch kind {
    case .gaussianLike:
      let sum = (0..<4).reduce(Float(0)) { total, _ in total + Float(generator.next(below: 1 << 20)) }
      let base = (sum / Float(1 << 20) - 2) * 0.1
      return (base, base + sign * unit * unit * 1e-3)
    case .quantised:
      let base = Float(generator.next(below: 16)) / 8 - 1
      return (base, base + sign * Float(generator.next(below: 4)) / 64)
    case .mostlyZero:
      let base = sign * unit
      return generator.next(below: 10) == 0 ? (base, base * 1.01) : (base, base)
    case .subnormal:
      return (
        sign * Float(bitPattern: UInt32(generator.next(below: 200))),
        -sign * Float(bitPattern: UInt32(generator.next(below: 1 << 17)))
      )
    case .allEqual: return (sign, sign + (generator.next(below: 2) == 0 ? 0.25 : -0.25))
    case .oneBin: return (sign * 0, sign * (1 + unit / 256))
    case .wide:
      let bits = UInt32(generator.next(below: 0x7F00_0000))
      return generator.next(below: 2) == 0 ? (sign * 0, sign * Float(bitPattern: bits)) : (Float(bitPattern: bits), 0)
    case .mixed:
      let kinds: [Kind] = [.gaussianLike, .quantised, .mostlyZero, .subnormal, .allEqual, .oneBin, .wide]
      return value(kinds[Int(generator.next(below: 7))], &generator)
    }
  }

  static func sources(
    _ kind: Kind, sizes: [Int], seed: UInt64
  ) -> (base: MemoryWeights, tuned: MemoryWeights, names: [String]) {
    var generator = SeededGenerator(seed: seed)
    let names = projectionNames(sizes.count)
    var base: [String: [Float]] = [:]
    var tuned: [String: [Float]] = [:]
    for (name, size) in zip(names, sizes) {
      let pairs = (0..<size).map { _ in value(kind, &generator) }
      base[name] = pairs.map(\.base)
      tuned[name] = pairs.map(\.tuned)
    }
    return (MemoryWeights(tensors: base), MemoryWeights(tensors: tuned), names)
  }

  static func amounts(_ total: Int, _ generator: inout SeededGenerator) -> [Int] {
    let fixed = [0, 1, 2, total / 100, total / 10, total / 2, total - total / 10, total - 2, total - 1, total]
    let random = (0..<4).map { _ in Int(generator.next(below: UInt64(total + 1))) }
    return Array(Set(fixed + random).filter { (0...total).contains($0) }).sorted()
  }

  static func check(
    _ kind: Kind, sizes: [Int], seed: UInt64, tunings: [TicketSelection.Tuning],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let (base, tuned, names) = sources(kind, sizes: sizes, seed: seed)
    let ranking = naiveRanking(base: base, tuned: tuned, names: names)
    var generator = SeededGenerator(seed: ~seed)
    for keep in amounts(ranking.count, &generator) {
      let expected = ranking.prefix(keep).sorted()
      for tuning in tunings {
        let mask = try TicketSelection.select(
          base: base, tuned: tuned, names: names.reversed(), amount: .count(keep), unchanged: .fillInOrder,
          tuning: tuning)
        #expect(mask.keptCount == keep, sourceLocation: sourceLocation)
        #expect(
          mask.flatIndices == expected, "\(kind), \(sizes), keep \(keep), \(tuning)", sourceLocation: sourceLocation)
      }
    }
  }

  static let tunings = [
    TicketSelection.Tuning(workerCount: 1), TicketSelection.Tuning(workerCount: 3),
    TicketSelection.Tuning(workerCount: 2, candidateLimit: 0),
    TicketSelection.Tuning(workerCount: 2, candidateLimit: 50),
    TicketSelection.Tuning(workerCount: 2, leastForSample: 1),
    TicketSelection.Tuning(workerCount: 1, candidateLimit: 400, leastForSample: 1),
  ]

  @Test(arguments: Kind.allCases)
  func smallTensors(kind: Kind) throws {
    for (seed, sizes) in [[1], [1, 1, 1], [2, 63, 64, 65], [5, 0, 7], [100, 1, 37, 500, 8, 9, 10, 11, 12]].enumerated()
    {
      try Self.check(kind, sizes: sizes, seed: UInt64(seed), tunings: Self.tunings)
    }
  }

  @Test(arguments: Kind.allCases)
  func severalChunks(kind: Kind) throws {
    try Self.check(kind, sizes: [3, 65_536, 65_537, 1, 140_000], seed: 11, tunings: Self.tunings)
  }

  @Test(arguments: 0..<10)
  func tenSeededSets(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let sizes = (0..<9).map { _ in 1 + Int(generator.next(below: 1 << (1 + generator.next(below: 15)))) }
    try Self.check(.mixed, sizes: sizes, seed: seed, tunings: Self.tunings)
  }

  /// One tensor of ten million; the ranking is checked by counting instead of sorting, which would take minutes.
  @Test(arguments: [Kind.gaussianLike, .quantised])
  func tenMillionWeights(kind: Kind) throws {
    #if DEBUG
    let size = 300_000  // Unoptimised loops would take minutes.
    #else
    let size = 10_000_000
    #endif
    let (base, tuned, names) = Self.sources(kind, sizes: [size, 3], seed: 5)
    let magnitudes = names.flatMap { name in
      zip(base.tensors[name] ?? [], tuned.tensors[name] ?? []).map { abs($1 - $0) }
    }
    let descending = magnitudes.sorted(by: >)
    let total = magnitudes.count
    for keep in [1, total / 10, total / 2, total - 1, total] {
      let mask = try TicketSelection.select(
        base: base, tuned: tuned, names: names, amount: .count(keep), unchanged: .fillInOrder)
      let threshold = descending[keep - 1]
      var ties = keep - magnitudes.count { $0 > threshold }
      var expected: [Int] = []
      for (index, magnitude) in magnitudes.enumerated() {
        if magnitude > threshold {
          expected.append(index)
        } else if magnitude == threshold, ties > 0 {
          expected.append(index)
          ties -= 1
        }
      }
      #expect(mask.flatIndices == expected, "\(kind), keep \(keep)")
    }
  }
}
