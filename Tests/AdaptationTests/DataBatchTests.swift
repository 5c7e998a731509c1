import Adaptation
import Primitives
import Testing

@Suite struct DataPacking {
  static let rows = [
    TokenizedRow(number: 3, tokens: [10, 11, 12, 13], labelRanges: [2..<4]),
    TokenizedRow(number: 1, tokens: [20, 21], labelRanges: [0..<2]),
    TokenizedRow(number: 9, tokens: [30, 31, 32, 33, 34, 35], labelRanges: [1..<2, 4..<5]),
  ]

  /// Derived by hand: the label 12 at position 2 is predicted by position 1, and so on; the row whose first token was
  /// marked keeps one label; positions 3, 5 and 11, the sequences' last, predict nothing.
  @Test func handDerivedBatch() {
    let batch = PackedBatch(Self.rows)
    #expect(batch.tokens == [10, 11, 12, 13, 20, 21, 30, 31, 32, 33, 34, 35])
    #expect(batch.positions == [0, 1, 2, 3, 0, 1, 0, 1, 2, 3, 4, 5])
    #expect(batch.offsets == [0, 4, 6, 12])
    #expect(batch.labelRows == [1, 2, 4, 6, 9])
    #expect(batch.labelTargets == [12, 13, 21, 31, 34])
    #expect(batch.labelSequence == [0, 0, 1, 2, 2])
    #expect(batch.rowNumbers == [3, 1, 9])
    #expect(batch.sequenceCount == 3 && batch.tokenCount == 12 && batch.labelCount == 5)
  }

  @Test func emptyBatch() {
    let batch = PackedBatch([])
    #expect(batch.offsets == [0] && batch.sequenceCount == 0 && batch.labelCount == 0)
  }

  @Test(arguments: [1, 5, 6, 7, 12, nil] as [Int?])
  func microBatches(limit: Int?) {
    let expected: [[Int]] =
      switch limit {
      case 1, 5: [[3], [1], [9]]
      case 6, 7: [[3, 1], [9]]
      default: [[3, 1, 9]]
      }
    let split = MicroBatches(Self.rows, maximumTokens: limit)
    #expect(split.batches.map(\.rowNumbers) == expected)
    #expect(split.sequenceCount == 3 && split.tokenCount == 12 && split.labelCount == 5)
    #expect(split.batches.flatMap(\.labelTargets) == [12, 13, 21, 31, 34])
  }

  /// Whatever the rows, a label's row lies in the label's own sequence and is not its last.
  @Test func labelRowsStayInTheirSequence() {
    var stream = RandomStream(seed: 7, purpose: "rows")
    for _ in 0..<200 {
      let rows = (0..<1 + stream.below(6)).map { number in
        let length = 1 + stream.below(9)
        let start = stream.below(length)
        let end = start + stream.below(length - start + 1)
        let tokens = (0..<length).map { _ in Int32(stream.below(1000)) }
        return TokenizedRow(number: number + 1, tokens: tokens, labelRanges: [start..<end])
      }
      let batch = PackedBatch(rows)
      #expect(batch.labelCount == rows.reduce(0) { $0 + $1.labelCount })
      for index in 0..<batch.labelCount {
        let sequence = Int(batch.labelSequence[index])
        let row = Int(batch.labelRows[index])
        #expect(row >= Int(batch.offsets[sequence]) && row + 1 < Int(batch.offsets[sequence + 1]))
        #expect(batch.tokens[row + 1] == batch.labelTargets[index])
      }
    }
  }

  @Test func truncatedLabels() {
    let row = Self.rows[2]
    #expect(row.truncated(to: 5).labelRanges == [1..<2, 4..<5])
    #expect(row.truncated(to: 4).labelRanges == [1..<2])
    #expect(row.truncated(to: 1).labelCount == 0)
    #expect(row.truncated(to: 6) == row)
  }
}

@Suite struct DataOrder {
  /// Values from Scripts/goldens/row_order.py.
  @Test(
    arguments: [
      (0, 0, [5, 0, 6, 7, 2, 3, 9, 4, 8, 1]), (0, 1, [2, 7, 6, 0, 4, 9, 1, 8, 3, 5]),
      (17, 0, [4, 1, 0, 9, 7, 5, 8, 2, 3, 6]), (UInt64.max, 5, [8, 3, 5, 0, 9, 7, 4, 2, 1, 6]),
    ] as [(UInt64, Int, [Int])])
  func shuffleGolden(seed: UInt64, epoch: Int, expected: [Int]) {
    let order = BatchOrder(rowCount: 10, batchSize: 10, seed: seed, length: .epochs(6))
    #expect(order.rows(step: epoch) == expected)
  }

  @Test func epochsKeepTheirLastPartialBatch() {
    let order = BatchOrder(rowCount: 10, batchSize: 4, seed: 0, length: .epochs(2))
    #expect(order.stepCount == 6 && order.stepsPerEpoch == 3)
    let steps = (0..<6).map { order.rows(step: $0) }
    #expect(steps.map(\.count) == [4, 4, 2, 4, 4, 2])
    #expect(Array(steps[..<3].joined()) == [5, 0, 6, 7, 2, 3, 9, 4, 8, 1])
    #expect(Array(steps[3...].joined()) == [2, 7, 6, 0, 4, 9, 1, 8, 3, 5])
  }

  @Test func stepsRunOnIntoTheNextEpoch() {
    let order = BatchOrder(rowCount: 10, batchSize: 4, seed: 0, length: .steps(5))
    #expect(order.stepCount == 5)
    #expect(order.rows(step: 2) == [8, 1, 2, 7])
    #expect((0..<5).flatMap { order.rows(step: $0) } == [5, 0, 6, 7, 2, 3, 9, 4, 8, 1, 2, 7, 6, 0, 4, 9, 1, 8, 3, 5])
  }

  @Test func fileOrderWrapsAsTheReference() {
    for (rows, batch) in [(10, 4), (3, 8), (5, 5), (1, 3)] {
      let order = BatchOrder(rowCount: rows, batchSize: batch, seed: 9, shuffles: false, length: .steps(7))
      for step in 0..<7 {
        #expect(order.rows(step: step) == (0..<batch).map { (step * batch + $0) % rows })
      }
    }
  }

  @Test(arguments: [
    (0.0, [Int]()), (0.04, [1]), (0.5, [4, 1]), (1.0, [4, 4, 2]), (1.5, [4, 4, 2, 4, 1]), (1.99, [4, 4, 2, 4, 4, 2]),
  ])
  func fractionsOfAnEpoch(epochs: Double, counts: [Int]) {
    let order = BatchOrder(rowCount: 10, batchSize: 4, seed: 1, length: .epochs(epochs))
    #expect((0..<order.stepCount).map { order.rows(step: $0).count } == counts)
  }

  @Test func everyEpochIsAPermutation() {
    for count in [1, 2, 3, 97] {
      let order = BatchOrder(rowCount: count, batchSize: 5, seed: 3, length: .epochs(4))
      for epoch in 0..<4 {
        let steps = epoch * order.stepsPerEpoch..<(epoch + 1) * order.stepsPerEpoch
        #expect(steps.flatMap { order.rows(step: $0) }.sorted() == Array(0..<count))
      }
    }
  }
}
