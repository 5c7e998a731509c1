import Decoder
import Foundation
import TestSupport
import Testing
import Torch

@Suite(.engine) struct AttentionTests {
  /// H query heads, K key/value heads of size E.
  struct Shape: Sendable {
    var heads: Int
    var keyValueHeads: Int
    var size: Int
    var window = 0

    var width: Int { (heads + 2 * keyValueHeads) * size }
  }

  private func forward(_ qkv: Tensor, _ offsets: [Int32], _ s: Shape) throws -> (out: Tensor, logSumExp: Tensor) {
    let tokens = qkv.shape[0]
    let out = try Tensor.full([tokens, s.heads * s.size], .nan, qkv.dtype)
    let logSumExp = try Tensor.full([s.heads, tokens], .nan, qkv.dtype == .float64 ? .float64 : .float32)
    try Kernels.attention(
      qkv: qkv, offsets: offsets, heads: s.heads, keyValueHeads: s.keyValueHeads, window: s.window, into: out,
      logSumExp: logSumExp)
    return (out, logSumExp)
  }

  private func backward(_ dout: Tensor, _ qkv: Tensor, _ offsets: [Int32], _ s: Shape) throws -> Tensor {
    let (out, logSumExp) = try forward(qkv, offsets, s)
    let dqkv = try Tensor.full(qkv.shape, .nan, qkv.dtype)  // Overwritten.
    try Kernels.attentionBackward(
      dout, qkv: qkv, output: out, logSumExp: logSumExp, offsets: offsets, heads: s.heads,
      keyValueHeads: s.keyValueHeads, window: s.window, into: dqkv)
    return dqkv
  }

  /// One head of size 1: q = (0, 1), k = (0, ln 3), v = (4, 8). Row 1 weighs 1/4 and 3/4.
  @Test(arguments: [DType.float32, .float64]) func byHand(_ dtype: DType) throws {
    let qkv = try tensor([0, 0, 4, 1, log(3.0), 8], [2, 3], dtype)
    let (out, logSumExp) = try forward(qkv, [0, 2], Shape(heads: 1, keyValueHeads: 1, size: 1))
    expectClose(try out.values(), [4.0, 7], absolute: 1e-6)
    expectClose(try logSumExp.values(), [0, log(4.0)], absolute: 1e-6)
    // dout = (0, 1): dv = (1/4, 3/4); dS = p (dp - 7) = (-3/4, 3/4); dq_1 = 3/4 ln 3; dk = dS q_1.
    let dqkv = try backward(
      try tensor([0, 1], [2, 1], dtype), qkv, [0, 2], Shape(heads: 1, keyValueHeads: 1, size: 1))
    expectClose(try dqkv.values(), [0, -0.75, 0.25, 0.75 * log(3.0), 0.75, 0.75], absolute: 1e-6)
  }

  @Test(arguments: ["plain", "grouped", "window"], [(DType.float64, 1e-11), (.float32, 5e-6)])
  func equalsPyTorch(_ name: String, _ precision: (dtype: DType, tolerance: Double)) throws {
    let goldens = try Goldens.layers()
    let key = "attention.\(name)."
    let numbers = try goldens.integers(key + "shape").map(Int.init)
    let shape = Shape(heads: numbers[0], keyValueHeads: numbers[1], size: numbers[2], window: numbers[3])
    let offsets = try goldens.integers(key + "offsets")
    let qkv = try goldens.tensor(key + "qkv", as: precision.dtype)
    expectClose(
      try forward(qkv, offsets, shape).out.values(), try goldens.values(key + "out"), absolute: precision.tolerance)
    let dout = try goldens.tensor(key + "dout", as: precision.dtype)
    expectClose(
      try backward(dout, qkv, offsets, shape).values(), try goldens.values(key + "dqkv"), absolute: precision.tolerance)
  }

  @Test(arguments: [0, 1, 2]) func finiteDifferences(_ window: Int) throws {
    let shape = Shape(heads: 4, keyValueHeads: 2, size: 2, window: window)
    var generator = SeededGenerator(seed: 10)
    let offsets: [Int32] = [0, 3, 4, 8]
    let qkv = generator.values(8 * shape.width)
    let dout = generator.values(8 * 8)
    let gradient = try backward(try tensor(dout, [8, 8]), try tensor(qkv, [8, shape.width]), offsets, shape)
    try expectGradient(
      try gradient.values(),
      of: { dot(try forward(try tensor($0, [8, shape.width]), offsets, shape).out.values(), dout) }, at: qkv)
  }

  /// Sequences over several blocks of 32, heads that fill no block, windows across block borders: float32's own kernels
  /// against the plain formula in float64.
  @Test(arguments: [
    Shape(heads: 6, keyValueHeads: 2, size: 16), Shape(heads: 2, keyValueHeads: 2, size: 80, window: 40),
    Shape(heads: 3, keyValueHeads: 1, size: 64, window: 1), Shape(heads: 2, keyValueHeads: 1, size: 33, window: 32),
    Shape(heads: 1, keyValueHeads: 1, size: 128, window: 33),
  ])
  func longSequencesEqualTheFormula(_ shape: Shape) throws {
    var generator = SeededGenerator(seed: 15)
    let offsets: [Int32] = [0, 1, 32, 65, 129, 260]
    let qkv = generator.values(260 * shape.width, scale: 2)
    let dout = generator.values(260 * shape.heads * shape.size)
    func both(_ dtype: DType) throws -> (out: [Double], logSumExp: [Double], dqkv: [Double]) {
      let rows = try tensor(qkv, [260, shape.width], dtype)
      let (out, logSumExp) = try forward(rows, offsets, shape)
      let gradient = try backward(try tensor(dout, [260, shape.heads * shape.size], dtype), rows, offsets, shape)
      return (try out.values(), try logSumExp.values(), try gradient.values())
    }
    let (found, expected) = (try both(.float32), try both(.float64))
    expectClose(found.out, expected.out, absolute: 3e-6)
    expectClose(found.logSumExp, expected.logSumExp, absolute: 1e-5)
    expectClose(found.dqkv, expected.dqkv, absolute: 3e-5)
  }

  /// Packing: what a sequence gives does not depend, in a single bit, on what else is in the batch.
  @Test(arguments: [0, 5]) func sequencesDoNotSeeEachOther(_ window: Int) throws {
    let shape = Shape(heads: 6, keyValueHeads: 2, size: 16, window: window)
    var generator = SeededGenerator(seed: 11)
    let offsets: [Int32] = [0, 7, 40, 41]
    let qkv = try tensor(generator.values(41 * shape.width), [41, shape.width], .float32)
    let dout = try tensor(generator.values(41 * 96), [41, 96], .float32)
    let together: [Float] = try forward(qkv, offsets, shape).out.rows(7..<40).values()
    let gradient: [Float] = try backward(dout, qkv, offsets, shape).rows(7..<40).values()
    try qkv.rows(0..<7).scale(by: -3)
    try qkv.rows(40..<41).fill(.nan)
    #expect(try forward(qkv, offsets, shape).out.rows(7..<40).values(as: Float.self) == together)
    #expect(try backward(dout, qkv, offsets, shape).rows(7..<40).values(as: Float.self) == gradient)
    let alone = try qkv.rows(7..<40)
    #expect(try forward(alone, [0, 33], shape).out.values(as: Float.self) == together)
    #expect(try backward(try dout.rows(7..<40), alone, [0, 33], shape).values(as: Float.self) == gradient)
  }

  /// Order of the sequences in the batch is order of the rows in the result.
  @Test func sequencesMayComeInAnyOrder() throws {
    let shape = Shape(heads: 2, keyValueHeads: 1, size: 8)
    var generator = SeededGenerator(seed: 12)
    let first = generator.values(5 * shape.width)
    let second = generator.values(9 * shape.width)
    let forwards = try forward(try tensor(first + second, [14, shape.width], .float32), [0, 5, 14], shape).out
    let swapped = try forward(try tensor(second + first, [14, shape.width], .float32), [0, 9, 14], shape).out
    #expect(try forwards.rows(0..<5).values(as: Float.self) == swapped.rows(9..<14).values(as: Float.self))
    #expect(try forwards.rows(5..<14).values(as: Float.self) == swapped.rows(0..<9).values(as: Float.self))
  }

  /// What comes later changes nothing before it; nor does what slid out of the window.
  @Test func laterAndForgottenTokensDoNotMatter() throws {
    var generator = SeededGenerator(seed: 13)
    let shape = Shape(heads: 2, keyValueHeads: 2, size: 8, window: 4)
    let qkv = try tensor(generator.values(12 * shape.width), [12, shape.width])
    let before: [Double] = try forward(qkv, [0, 12], shape).out.values()
    try qkv.rows(3..<4).scale(by: 5)
    let after: [Double] = try forward(qkv, [0, 12], shape).out.values()
    let changed = (0..<12).filter { row in before[(row * 16)..<(row * 16 + 16)] != after[(row * 16)..<(row * 16 + 16)] }
    #expect(changed == [3, 4, 5, 6])
  }

  @Test(arguments: [DType.float32, .float64]) func aWindowBeyondTheSequenceIsNone(_ dtype: DType) throws {
    var generator = SeededGenerator(seed: 14)
    var shape = Shape(heads: 4, keyValueHeads: 1, size: 8)
    let qkv = try tensor(generator.values(20 * shape.width), [20, shape.width], dtype)
    let dout = try tensor(generator.values(20 * 32), [20, 32], dtype)
    let open: [Double] = try forward(qkv, [0, 20], shape).out.values()
    let gradient: [Double] = try backward(dout, qkv, [0, 20], shape).values()
    for window in [20, 21, 1 << 40] {
      shape.window = window
      #expect(try forward(qkv, [0, 20], shape).out.values(as: Double.self) == open)
      #expect(try backward(dout, qkv, [0, 20], shape).values(as: Double.self) == gradient)
    }
    shape.window = 19  // Only the last row loses its first key.
    let narrow: [Double] = try forward(qkv, [0, 20], shape).out.values()
    expectClose(Array(narrow[..<608]), Array(open[..<608]), absolute: 1e-6)
    #expect(narrow[608...] != open[608...])
    shape.window = 1  // Every token sees itself: out = v of its group.
    let v: [Double] = try qkv.columns(40..<48).values()
    let own = (0..<20).flatMap { row in (0..<4).flatMap { _ in v[(row * 8)..<(row * 8 + 8)] } }
    expectClose(try forward(qkv, [0, 20], shape).out.values(), own, absolute: 1e-6)
  }

  /// Sizes beyond the blocks of the flash kernel, large scores included.
  @Test(arguments: [(0, 1.0), (0, 30.0), (50, 1.0)]) func fastKernelEqualsGenericPath(_ window: Int, _ scale: Double)
    throws
  {
    let shape = Shape(heads: 3, keyValueHeads: 1, size: 64, window: window)
    var generator = SeededGenerator(seed: 15)
    let offsets: [Int32] = [0, 150, 151, 421]
    let qkv = generator.values(421 * shape.width, scale: scale).map { Double(Float($0)) }
    let dout = generator.values(421 * 192).map { Double(Float($0)) }
    func run(_ dtype: DType) throws -> [[Double]] {
      let input = try tensor(qkv, [421, shape.width], dtype)
      let (out, logSumExp) = try forward(input, offsets, shape)
      return [
        try out.values(), try logSumExp.values(),
        try backward(try tensor(dout, [421, 192], dtype), input, offsets, shape).values(),
      ]
    }
    // Scores grow with the square of the scale, and their rounding with them.
    for (fast, exact) in zip(try run(.float32), try run(.float64)) {
      #expect(relativeErrors(fast, exact).maximum < 2e-6 * max(1, scale * scale))
    }
  }

  /// One token against a cache, by the float32 kernel and by the generic path, equals the last row of full attention.
  @Test(arguments: [DType.float32, .float64, .bfloat16], [0, 3]) func decodingEqualsTheLastRow(
    _ dtype: DType, _ window: Int
  ) throws {
    let shape = Shape(heads: 4, keyValueHeads: 2, size: 8, window: window)
    var generator = SeededGenerator(seed: 16)
    let lengths: [Int32] = [6, 1, 9]
    let slots: [Int32] = [3, 0, 1]
    let keys = try Tensor.full([4, 10, 2, 8], .nan, dtype)
    let values = try Tensor.full([4, 10, 2, 8], .nan, dtype)
    let queries = try Tensor.zeros([3, shape.width], dtype)
    var expected: [Double] = []
    for (index, length) in lengths.enumerated() {
      let tokens = Int(length)
      let qkv = try tensor(generator.values(tokens * shape.width), [tokens, shape.width], dtype)
      for place in 0..<tokens {
        let row = try qkv.rows(place..<(place + 1))
        try Kernels.append(try row.columns(32..<48), to: keys, slots: [slots[index]], places: [Int32(place)])
        try Kernels.append(try row.columns(48..<64), to: values, slots: [slots[index]], places: [Int32(place)])
      }
      try queries.rows(index..<(index + 1)).copy(from: try qkv.rows((tokens - 1)..<tokens))
      expected += try forward(qkv, [0, length], shape).out.rows((tokens - 1)..<tokens).values(as: Double.self)
    }
    let out = try Tensor.full([3, 32], .nan, dtype)
    try Kernels.attentionDecode(
      q: try queries.columns(0..<32), keys: keys, values: values, slots: slots, lengths: lengths, window: window,
      into: out)
    expectClose(try out.values(), expected, absolute: dtype == .bfloat16 ? 1e-2 : 1e-6)
  }

  @Test func refusesWhatDoesNotFit() throws {
    let qkv = try Tensor.zeros([4, 16])
    let good = Shape(heads: 2, keyValueHeads: 1, size: 4)
    for offsets in [[0, 3], [1, 4], [0, 5], [0, 3, 2, 4]] as [[Int32]] {
      #expect(throws: TorchError.self, "\(offsets)") { _ = try forward(qkv, offsets, good) }
    }
    #expect(throws: TorchError.self) { _ = try forward(qkv, [0, 4], Shape(heads: 3, keyValueHeads: 2, size: 4)) }
    #expect(throws: TorchError.self) { _ = try forward(qkv, [0, 4], Shape(heads: 2, keyValueHeads: 2, size: 4)) }
    let cache = try Tensor.zeros([1, 3, 1, 4])
    let row = try Tensor.zeros([1, 4])
    #expect(throws: TorchError.self) { try Kernels.append(row, to: cache, slots: [0], places: [3]) }
    #expect(throws: TorchError.self) { try Kernels.append(row, to: cache, slots: [1], places: [0]) }
    #expect(throws: TorchError.self) { try Kernels.append(row, to: cache, slots: [0, 0], places: [0, 1]) }
    #expect(throws: TorchError.self) {
      try Kernels.attentionDecode(
        q: row, keys: cache, values: cache, slots: [0], lengths: [4], window: 0, into: try Tensor.zeros([1, 4]))
    }
  }
}
