import TestSupport
import Testing
import Torch

@Suite(.engine) struct ArithmeticTests {
  @Test func products() throws {
    let a = try Tensor.from([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
    let b = try Tensor.from([1, 0, 2, -1, 0, 3] as [Float], shape: [3, 2])
    let out = try Tensor.full([2, 2], .nan)
    try out.setProduct(a, b)  // What was there, NaN too, is ignored.
    #expect(try out.values(as: Float.self) == [5, 7, 14, 13])
    try out.setProduct(a, b, accumulating: true)
    #expect(try out.values(as: Float.self) == [10, 14, 28, 26])
    try out.setProduct(
      try a.transposed(0, 1).converted(), try b.transposed(0, 1).converted(), transposeA: true, transposeB: true)
    #expect(try out.values(as: Float.self) == [5, 7, 14, 13])
    let wide = try Tensor.zeros([2, 5])
    try wide.columns(1..<3).setProduct(a, b)  // Into columns of a wider matrix.
    #expect(try wide.values(as: Float.self) == [0, 5, 7, 0, 0, 0, 14, 13, 0, 0])
  }

  @Test func emptyInnerDimensionGivesZero() throws {
    let out = try Tensor.full([2, 2], 9)
    try out.setProduct(try Tensor.zeros([2, 0]), try Tensor.zeros([0, 2]))
    #expect(try out.values(as: Float.self) == [0, 0, 0, 0])
  }

  @Test func additionBroadcasts() throws {
    let matrix = try Tensor.from([1, 2, 3, 4] as [Float], shape: [2, 2])
    try matrix.add(try Tensor.from([10, 20] as [Float]), times: 0.5)
    #expect(try matrix.values(as: Float.self) == [6, 12, 8, 14])
    try matrix.scale(by: 2)
    #expect(try matrix.values(as: Float.self) == [12, 24, 16, 28])
  }

  @Test func sumsAccumulateInDouble() throws {
    let many = try Tensor.full([1 << 20], 1e-4)
    let exact = Double(Float(1e-4)) * Double(1 << 20)
    expectClose(try many.sum(), exact, relative: 1e-12)
    expectClose(try many.sumOfSquares(), exact * Double(Float(1e-4)), relative: 1e-12)
    // A strided view takes another path, and is as exact.
    let strided = try Tensor.full([1 << 20, 2], 1e-4).columns(0..<1)
    expectClose(try strided.sum(), exact, relative: 1e-12)
    expectClose(try strided.sumOfSquares(), exact * Double(Float(1e-4)), relative: 1e-12)
    #expect(try Tensor.from([3, 4] as [Double]).sumOfSquares() == 25)
    #expect(try Tensor.from([3, 4] as [Float]).converted(to: .bfloat16).sumOfSquares() == 25)
    #expect(try Tensor.from([1, .nan] as [Float]).sumOfSquares().isNaN)
    #expect(try Tensor.from([1, .infinity] as [Float]).sum() == .infinity)
  }

  @Test(arguments: [1, 31, 32_768, 32_769, 1_000_003])
  func sumsDoNotDependOnThreads(_ count: Int) throws {
    var generator = SeededGenerator(seed: UInt64(count))
    let values = try Tensor.from(generator.values(count, scale: 1e3).map(Float.init))
    let before = Engine.threadCount
    defer { try? Engine.setThreadCount(before) }
    var sums: Set<UInt64> = []
    var squares: Set<UInt64> = []
    for threads in [1, 2, 3] {
      try Engine.setThreadCount(threads)
      #expect(Engine.threadCount == threads)
      sums.insert(try values.sum().bitPattern)
      squares.insert(try values.sumOfSquares().bitPattern)
    }
    #expect(sums.count == 1 && squares.count == 1)
    let host = try values.values(as: Float.self).map(Double.init)
    expectClose(try values.sum(), host.reduce(0, +), absolute: 1e-6)
    expectClose(try values.sumOfSquares(), host.reduce(0) { $0 + $1 * $1 }, relative: 1e-12)
  }

  @Test func columnSumsAccumulate() throws {
    let source = try Tensor.from([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
    let sums = try Tensor.full([3], 1)
    try sums.accumulateColumnSums(of: source)
    try sums.accumulateColumnSums(of: source)
    #expect(try sums.values(as: Float.self) == [11, 15, 19])
  }

  @Test func rowsGatherAndAccumulate() throws {
    let table = try Tensor.from((0..<8).map(Float.init), shape: [4, 2])
    let rows = try Tensor.from([3, 0, 3] as [Int64])
    let picked = try Tensor.empty([3, 2])
    try picked.setRows(of: table, at: rows)
    #expect(try picked.values(as: Float.self) == [6, 7, 0, 1, 6, 7])
    try table.accumulateRows(picked, at: rows)  // Row 3 twice.
    #expect(try table.values(as: Float.self) == [0, 2, 2, 3, 4, 5, 18, 21])
  }

  @Test(arguments: [DType.float32, .float64, .bfloat16], [DType.int32, .int64])
  func flatGatherAndScatter(_ dtype: DType, _ indexType: DType) throws {
    let source = try Tensor.from((0..<12).map(Float.init), shape: [3, 4]).converted(to: dtype)
    let index = try Tensor.from([11, 0, 5] as [Int64]).converted(to: indexType)
    let picked = try Tensor.zeros([3], dtype)
    try picked.gather(from: source, at: index)
    #expect(try picked.values(as: Float.self) == [11, 0, 5])
    try picked.gather(from: source, at: index, accumulating: true)
    #expect(try picked.values(as: Float.self) == [22, 0, 10])
    try source.scatter(try Tensor.from([-1, -2, -3] as [Float]), at: index)
    #expect(try source.values(as: Float.self) == [-2, 1, 2, 3, 4, -3, 6, 7, 8, 9, 10, -1])
  }

  @Test func scatterRoundsToTheDestination() throws {
    let target = try Tensor.zeros([2], .bfloat16)
    try target.scatter(try Tensor.from([1.00390625, 3] as [Float]), at: try Tensor.from([1, 0] as [Int32]))
    #expect(try target.values(as: Float.self) == [3, 1])
  }

  /// Large enough that several threads share the work.
  @Test func manyIndices() throws {
    let count = 200_000
    var generator = SeededGenerator(seed: 3)
    let order = (0..<Int32(count)).shuffled(using: &generator)
    let source = try Tensor.from((0..<count).map(Float.init))
    let index = try Tensor.from(order)
    let picked = try Tensor.empty([count])
    try picked.gather(from: source, at: index)
    #expect(try picked.values(as: Float.self) == order.map(Float.init))
    let restored = try Tensor.empty([count])
    try restored.scatter(picked, at: index)
    #expect(try restored.values(as: Float.self) == (0..<count).map(Float.init))
  }
}
