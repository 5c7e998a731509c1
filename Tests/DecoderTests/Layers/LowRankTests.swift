import Decoder
import TestSupport
import Testing
import Torch

/// Low-rank additions, alone; Tests/AdaptationTests holds PyTorch's values for a whole model's.
@Suite(.engine) struct LowRankTests {
  private static let inputs = 4
  private static let outputs = [2, 3]
  private static let rank = 2

  /// Two parts of 2 and 3 outputs over 4 inputs; `a` is all A `[2 * 2, 4]`, `b` all B one after another.
  private func addition(
    a: [Double], b: [Double], scale: Double, dropout: Dropout = Dropout(probability: 0, seed: 0),
    _ dtype: DType = .float64
  ) throws -> LowRank {
    let stack = try tensor(a, [4, 4], dtype)
    func part(_ index: Int, _ rows: Range<Int>) throws -> LowRank.Part {
      let values = Array(b[(rows.lowerBound * 2)..<(rows.upperBound * 2)])
      return LowRank.Part(
        down: Parameter(name: "\(index).A", value: try stack.rows((2 * index)..<(2 * index + 2))),
        up: Parameter(name: "\(index).B", value: try tensor(values, [rows.count, 2], dtype)), rows: rows)
    }
    return LowRank(parts: [try part(0, 0..<2), try part(1, 2..<5)], stack: stack, scale: scale, dropout: dropout)
  }

  private func forward(_ layer: LowRank, _ x: [Double], _ dtype: DType = .float64) throws -> [Double] {
    let y = try Tensor.zeros([x.count / 4, 5], dtype)
    try layer.forward(try tensor(x, [x.count / 4, 4], dtype), adding: y, workspace: workspace(dtype))
    return try y.values()
  }

  private func workspace(_ dtype: DType = .float64) -> Workspace { Workspace(dtype: dtype, device: .cpu) }

  @Test(arguments: [DType.float32, .float64]) func byHand(_ dtype: DType) throws {
    // Part 0 takes x0 and x1, part 1 their sum and x3.
    let a: [Double] = [1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1]
    let b: [Double] = [1, 0, 0, 1, 1, 0, 0, 1, 1, 1]
    let layer = try addition(a: a, b: b, scale: 0.5, dtype)
    let space = workspace(dtype)
    let x = try tensor([2, 4, 6, 8], [1, 4], dtype)
    let y = try Tensor.full([1, 5], 100, dtype)
    try layer.forward(x, adding: y, workspace: space)
    // u = 1/2 [2, 4 | 6, 8]
    #expect(try y.values(as: Double.self) == [101, 102, 103, 104, 107])
    let dy = try tensor([1, 2, 3, 4, 5], [1, 5], dtype)
    let dx = try Tensor.full([1, 4], 10, dtype)
    try layer.inputBackward(dy, adding: dx, workspace: space)
    // v = 1/2 [1, 2 | 3 + 5, 4 + 5]; dx += v A
    #expect(try dx.values(as: Double.self) == [14.5, 15, 10, 14.5])
    let sink = RecordingSink()
    try layer.weightBackward(dy, input: x, sink: sink, workspace: space)
    #expect(sink.gradients["0.A"] == [1, 2, 3, 4, 2, 4, 6, 8])
    #expect(sink.gradients["1.A"] == [8, 16, 24, 32, 9, 18, 27, 36])
    #expect(sink.gradients["0.B"] == [1, 2, 2, 4])
    #expect(sink.gradients["1.B"] == [9, 12, 12, 16, 15, 20])
  }

  @Test(arguments: [0.0, 0.4]) func finiteDifferences(_ probability: Double) throws {
    var generator = SeededGenerator(seed: 31)
    let (x, a, b) = (generator.values(6 * 4), generator.values(16), generator.values(10))
    let dy = generator.values(6 * 5)
    let dropout = Dropout(probability: probability, seed: 5)
    dropout.pass = 3
    func value(_ x: [Double], _ a: [Double], _ b: [Double]) throws -> Double {
      dot(try forward(try addition(a: a, b: b, scale: 1.7, dropout: dropout), x), dy)
    }
    let layer = try addition(a: a, b: b, scale: 1.7, dropout: dropout)
    let space = workspace()
    let dx = try Tensor.zeros([6, 4], .float64)
    try layer.inputBackward(try tensor(dy, [6, 5]), adding: dx, workspace: space)
    try expectGradient(try dx.values(), of: { try value($0, a, b) }, at: x, "dx")
    for _ in 0..<2 {  // Nothing accumulates from call to call.
      let sink = RecordingSink()
      try layer.weightBackward(try tensor(dy, [6, 5]), input: try tensor(x, [6, 4]), sink: sink, workspace: space)
      let da = try #require(sink.gradients["0.A"]) + #require(sink.gradients["1.A"])
      let db = try #require(sink.gradients["0.B"]) + #require(sink.gradients["1.B"])
      try expectGradient(da, of: { try value(x, $0, b) }, at: a, "dA")
      try expectGradient(db, of: { try value(x, a, $0) }, at: b, "dB")
    }
  }

  @Test func onlyWantedMatricesAreDelivered() throws {
    var generator = SeededGenerator(seed: 32)
    let layer = try addition(a: generator.values(16), b: generator.values(10), scale: 1, .float32)
    let space = workspace(.float32)
    let dy = try tensor(generator.values(6 * 5), [6, 5], .float32)
    let x = try tensor(generator.values(6 * 4), [6, 4], .float32)
    let dx = try Tensor.zeros([6, 4])
    try layer.inputBackward(dy, adding: dx, workspace: space)
    let all = RecordingSink()
    try layer.weightBackward(dy, input: x, sink: all, workspace: space)
    for wanted in [["0.A"], ["1.A"], ["1.B"], ["0.B", "1.A"], []] {
      let some = RecordingSink(wanted.contains)
      try layer.weightBackward(dy, input: x, sink: some, workspace: space)
      #expect(some.deliveries.sorted() == wanted)
      for name in wanted { #expect(some.gradients[name] == all.gradients[name]) }
    }
  }

  // MARK: - Dropout

  /// What falls out depends on seed, pass and tensor alone; on average the input keeps its size; and evaluation drops nothing.
  @Test(arguments: [DType.float32, .float64, .bfloat16]) func dropoutIsAFunctionOfItsSeed(_ dtype: DType) throws {
    let x = try Tensor.full([100, 99], 1, dtype)
    func dropped(_ seed: UInt64, _ probability: Double = 0.25) throws -> [Double] {
      let out = try Tensor.full(x.shape, .nan, dtype)
      try Kernels.dropout(x, probability: probability, seed: seed, into: out)
      return try out.values()
    }
    let first = try dropped(1)
    #expect(try dropped(1) == first)
    #expect(try dropped(2) != first)
    let kept = first.filter { $0 != 0 }
    #expect(Set(kept).count == 1)
    expectClose(kept[0], 4 / 3, absolute: dtype == .bfloat16 ? 5e-3 : 1e-6)
    #expect(abs(kept.count - 7425) < 170)  // four deviations
    #expect(try dropped(1, 0) == (try x.values()))
    #expect(throws: TorchError.self) { try dropped(1, 1) }
  }

  @Test func dropoutOfALayer() throws {
    var generator = SeededGenerator(seed: 33)
    let (x, a, b) = (generator.values(6 * 4), generator.values(16), generator.values(10))
    func result(_ probability: Double, seed: UInt64 = 1, pass: UInt64?) throws -> [Double] {
      let dropout = Dropout(probability: probability, seed: seed)
      dropout.pass = pass
      return try forward(try addition(a: a, b: b, scale: 1, dropout: dropout), x)
    }
    let plain = try result(0, pass: 0)
    expectClose(try result(0.5, pass: nil), plain, absolute: 1e-12)
    let first = try result(0.5, pass: 0)
    #expect(try first != plain && result(0.5, pass: 0) == first)
    #expect(try result(0.5, pass: 1) != first && result(0.5, seed: 2, pass: 0) != first)
  }
}
