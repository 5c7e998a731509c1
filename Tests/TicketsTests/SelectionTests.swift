import Synchronization
import TestSupport
import Testing
import Tickets

struct SelectionTests {
  let names = projectionNames(2)

  private func select(
    _ base: [[Float]], _ tuned: [[Float]], _ amount: TicketSelection.Amount, excluding: Mask? = nil,
    unchanged: TicketSelection.UnchangedWeights = .refuse, tuning: TicketSelection.Tuning = .init()
  ) throws -> Mask {
    let names = projectionNames(base.count)
    return try TicketSelection.select(
      base: MemoryWeights(tensors: Dictionary(uniqueKeysWithValues: zip(names, base))),
      tuned: MemoryWeights(tensors: Dictionary(uniqueKeysWithValues: zip(names, tuned))), names: names,
      amount: amount, excluding: excluding, unchanged: unchanged, tuning: tuning)
  }

  @Test func keepsTheLargestOfAllTensorsTogether() throws {
    let mask = try select([[0, 0, 0], [1, 1]], [[0.1, -0.5, 0.2], [1.3, 0]], .count(3))
    #expect(mask.entries.map(\.bits.setIndices) == [[1], [0, 1]])
  }

  @Test func tiesGoToTheCanonicalFirst() throws {
    // Layer 10 sorts after layer 9, whatever the names' spelling says.
    let names = ["model.layers.10.mlp.up_proj.weight", "model.layers.9.mlp.up_proj.weight"]
    let zero = MemoryWeights(tensors: [names[0]: [0, 0, 0], names[1]: [0, 0, 0]])
    let moved = MemoryWeights(tensors: [names[0]: [1, 1, 2], names[1]: [-1, 1, 1]])
    let mask = try TicketSelection.select(base: zero, tuned: moved, names: names, amount: .count(3))
    #expect(mask.entries.map(\.name) == [names[1], names[0]])
    #expect(mask.entries.map(\.bits.setIndices) == [[0, 1], [2]])
  }

  @Test(arguments: [
    (0.9, 10, 1), (0.5, 5, 2), (0.5, 7, 4), (0.0, 9, 9), (0.99, 10, 0), (0.9, 106_168_320, 10_616_832), (0.5, 3, 2),
    (0.9, 25, 2), (0.95, 10, 1),
  ])
  func countRoundsAsPythonDoes(sparsity: Double, total: Int, expected: Int) throws {
    #expect(try TicketSelection.Amount.sparsity(sparsity).count(of: total) == expected)
  }

  @Test(arguments: [-0.1, 1, 1.5, .nan, .infinity])
  func refusesSparsityOutsideTheRange(sparsity: Double) {
    #expect { _ = try TicketSelection.Amount.sparsity(sparsity).count(of: 10) } throws: { error in
      if case TicketsError.sparsityOutOfRange = error { true } else { false }
    }
    #expect(throws: TicketsError.countOutOfRange(requested: 11, total: 10)) {
      try TicketSelection.Amount.count(11).count(of: 10)
    }
  }

  @Test(arguments: [0, 1 << 20])
  func saysWhenFewerChanged(candidateLimit: Int) throws {
    let tuning = TicketSelection.Tuning(candidateLimit: candidateLimit)
    let base: [[Float]] = [[1, 2, 3, 4], [0, -0.0]]
    let tuned: [[Float]] = [[1, 2.5, 3, 4], [-0.0, .leastNonzeroMagnitude]]
    #expect(try select(base, tuned, .count(2), tuning: tuning).flatIndices == [1, 5])
    let expected = TicketsError.fewerChangedThanRequested(changed: 2, requested: 3, total: 6)
    #expect(throws: expected) { try select(base, tuned, .count(3), tuning: tuning) }
    #expect(expected.description.contains("only 2 of 6 weights changed, but the ticket needs 3"))
    #expect(expected.description.contains("sparsity to at least 0.6667"))
    let filled = try select(base, tuned, .count(4), unchanged: .fillInOrder, tuning: tuning)
    #expect(filled.flatIndices == [0, 1, 2, 5])
    #expect(throws: TicketsError.fewerChangedThanRequested(changed: 0, requested: 1, total: 6)) {
      try select(base, base, .count(1), tuning: tuning)
    }
  }

  @Test func refusesWhatIsNotFinite() throws {
    let long = [Float](repeating: 0, count: 200_000)
    func with(_ value: Float, at index: Int) -> [Float] {
      var values = long
      values[index] = value
      return values
    }
    func error(_ source: TicketsError.NonFiniteSource, _ tensor: Int, _ index: Int) -> TicketsError {
      .notFinite(tensor: names[tensor], index: index, source: source)
    }
    for amount in [0, 1, 400_000] {
      #expect(throws: error(.tuned, 0, 150_000)) {
        try select([long, long], [with(.nan, at: 150_000), with(.nan, at: 3)], .count(amount))
      }
      #expect(throws: error(.base, 1, 70_001)) {
        try select([long, with(-.infinity, at: 70_001)], [long, with(.infinity, at: 199_999)], .count(amount))
      }
      #expect(throws: error(.base, 0, 199_999)) {
        try select([with(.infinity, at: 199_999), long], [with(.infinity, at: 199_999), long], .count(amount))
      }
      #expect(throws: error(.difference, 0, 5)) {
        try select([with(-3e38, at: 5), long], [with(3e38, at: 5), long], .count(amount))
      }
    }
  }

  /// Where a sample leads to a single pass, that pass must see it.
  @Test func oneBadValueAmongMany() throws {
    var generator = SeededGenerator(seed: 8)
    let base = [Float](repeating: 0, count: 300_000)
    let tuned = generator.values(300_000).map(Float.init)
    let tuning = TicketSelection.Tuning(workerCount: 2, leastForSample: 1)
    for (index, value) in [(0, Float.nan), (299_999, -.infinity), (131_072, .infinity)] {
      var damaged = tuned
      damaged[index] = value
      #expect(throws: TicketsError.notFinite(tensor: names[0], index: index, source: .tuned)) {
        try select([base, [0]], [damaged, [0]], .sparsity(0.9), tuning: tuning)
      }
    }
  }

  @Test func excludedWeightsAreNeverChosenButCount() throws {
    for tuning in [
      TicketSelection.Tuning(candidateLimit: 0), .init(candidateLimit: 1 << 20), .init(leastForSample: 1),
    ] {
      var generator = SeededGenerator(seed: 3)
      let sizes = [70_000, 100]
      let base = sizes.map { size in [Float](repeating: 0, count: size) }
      let tuned = sizes.map { size in (0..<size).map { _ in Float(generator.next(below: 50)) } }
      let first = try select(base, tuned, .sparsity(0.9), tuning: tuning)
      let second = try select(base, tuned, .sparsity(0.9), excluding: first, tuning: tuning)
      #expect(first.keptCount == 7010)
      #expect(second.keptCount == 7010)
      #expect(try first.overlap(with: second).total.both == 0)
      // The second ticket is what a stable sort gives next.
      let flat = tuned.flatMap { $0 }
      let ranking = flat.indices.sorted { flat[$0] != flat[$1] ? flat[$0] > flat[$1] : $0 < $1 }
      #expect(first.flatIndices == ranking[..<7010].sorted())
      #expect(second.flatIndices == ranking[7010..<14020].sorted())

      let both = try first.union(second)
      #expect(
        throws: TicketsError.capacityTooSmall(requested: 60_000, available: 56_080, excluded: 14_020, total: 70_100)
      ) {
        try select(base, tuned, .count(60_000), excluding: both, unchanged: .fillInOrder, tuning: tuning)
      }
      let rest = try select(base, tuned, .count(56_080), excluding: both, unchanged: .fillInOrder, tuning: tuning)
      #expect(try rest == both.complement())
    }
  }

  @Test func excludedValuesMustBeFiniteToo() throws {
    let excluded = try Mask(entries: [.init(name: names[0], shape: [3], bits: BitMask([false, true, false]))])
    #expect(throws: TicketsError.notFinite(tensor: names[0], index: 1, source: .tuned)) {
      try select([[0, 0, 0], [0]], [[1, .nan, 1], [1]], .count(1), excluding: excluded)
    }
  }

  @Test func refusesMismatchedSources() throws {
    #expect(throws: TicketsError.shapeMismatch(tensor: names[1], expected: [2], found: [3])) {
      try select([[0], [0, 0]], [[0], [0, 0, 0]], .count(1))
    }
    let source = MemoryWeights(tensors: [names[0]: [1]])
    #expect(throws: TicketsError.duplicateTensor(names[0])) {
      try TicketSelection.select(base: source, tuned: source, names: [names[0], names[0]], amount: .count(0))
    }
    #expect(throws: MemoryWeights.Missing(name: names[1])) {
      try TicketSelection.select(base: source, tuned: source, names: names, amount: .count(0))
    }
    let excluded = try Mask(entries: [.init(name: names[0], shape: [2], bits: BitMask(count: 2))])
    #expect(throws: TicketsError.shapeMismatch(tensor: names[0], expected: [1], found: [2])) {
      try TicketSelection.select(
        base: source, tuned: source, names: [names[0]], amount: .count(0), excluding: excluded)
    }
  }

  @Test func progressRisesToOne() throws {
    let seen = Mutex<[Double]>([])
    let values = [Float](repeating: 0, count: 300_000)
    let names = [names[0]]
    _ = try TicketSelection.select(
      base: MemoryWeights(tensors: [names[0]: values]),
      tuned: MemoryWeights(tensors: [names[0]: values.indices.map { Float($0) }]), names: names,
      amount: .sparsity(0.9), tuning: .init(workerCount: 1),
      progress: { fraction in seen.withLock { $0.append(fraction) } })
    let fractions = seen.withLock { $0 }
    #expect(fractions == fractions.sorted())
    #expect(fractions.last == 1)
    #expect(fractions.count > 5)
  }
}

struct RandomTicketTests {
  private let shapes = [
    "model.layers.0.mlp.up_proj.weight": [7, 11], "model.layers.0.self_attn.q_proj.weight": [9, 9],
  ]

  @Test func keepsExactlyAndRepeats() throws {
    for sparsity in [0.0, 0.1, 0.5, 0.9, 0.99] {
      let mask = try TicketSelection.random(shapes: shapes, amount: .sparsity(sparsity), seed: 1)
      #expect(mask.keptCount == Int(((1 - sparsity) * 158).rounded(.toNearestOrEven)))
      #expect(try mask == TicketSelection.random(shapes: shapes, amount: .sparsity(sparsity), seed: 1))
    }
    let first = try TicketSelection.random(shapes: shapes, amount: .count(40), seed: 1)
    let second = try TicketSelection.random(shapes: shapes, amount: .count(40), seed: 2)
    #expect(first.flatIndices != second.flatIndices)
    let disjoint = try TicketSelection.random(shapes: shapes, amount: .count(118), seed: 3, excluding: first)
    #expect(try disjoint.flatIndices == first.complement().flatIndices)
  }

  /// Each weight equally likely: the chi-squared statistic over 4,000 draws of 16 of 158 lies near its 157 degrees of
  /// freedom (sampling without replacement makes it a little smaller).
  @Test func isUniform() throws {
    var counts = [Int](repeating: 0, count: 158)
    for seed in 0..<4000 {
      for index in try TicketSelection.random(shapes: shapes, amount: .count(16), seed: UInt64(seed)).flatIndices {
        counts[index] += 1
      }
    }
    let expected = 4000.0 * 16 / 158
    let statistic = counts.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    #expect((80...210).contains(statistic))
  }
}
