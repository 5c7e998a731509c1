import TestSupport
import Testing
import Torch

/// Chosen entries of dY'X against sums over tokens in double.
@Suite(.engine) struct SampledProductTests {
  private struct Case {
    let tokens: Int
    let inputs: Int
    let outputs: Int
    let index: [Int32]
    let rowStart: [Int32]
    let dy: [Float]
    let x: [Float]

    init(tokens: Int, inputs: Int, outputs: Int, density: Double, seed: UInt64) {
      var generator = SeededGenerator(seed: seed)
      self.tokens = tokens
      self.inputs = inputs
      self.outputs = outputs
      dy = generator.values(tokens * outputs).map(Float.init)
      x = generator.values(tokens * inputs).map(Float.init)
      let drawn = generator.values(inputs * outputs)
      index = drawn.indices.filter { abs(drawn[$0]) < density }.map(Int32.init)
      rowStart = (0...outputs).map { row in Int32(drawn.prefix(row * inputs).count { abs($0) < density }) }
    }

    /// For each entry, the sum and the sum of magnitudes, which bounds rounding.
    var expected: (sums: [Double], magnitudes: [Double]) {
      var sums: [Double] = []
      var magnitudes: [Double] = []
      for entry in index {
        let (row, column) = Int(entry).quotientAndRemainder(dividingBy: inputs)
        let terms = (0..<tokens).map { Double(dy[$0 * outputs + row]) * Double(x[$0 * inputs + column]) }
        sums.append(terms.reduce(0, +))
        magnitudes.append(terms.reduce(0) { $0 + abs($1) })
      }
      return (sums, magnitudes)
    }

    /// dY stands in columns of a wider matrix whose other columns are NaN.
    func run(into out: Tensor, accumulating: Bool = false, index: [Int32]? = nil, rowStart: [Int32]? = nil) throws {
      let wide = try Tensor.full([tokens, outputs + 3], .nan)
      let dyNO = try wide.columns(2..<(2 + outputs))
      try dyNO.copy(from: try Tensor.from(dy, shape: [tokens, outputs]))
      let turned = try Tensor.full([Kernels.turnedSize(rows: tokens, width: inputs)], .nan)
      try Kernels.turnInputs(try Tensor.from(x, shape: [tokens, inputs]), into: turned)
      try Kernels.sampledProduct(
        dyNO, turned: turned, inputs: inputs, index: try Tensor.from(index ?? self.index),
        rowStart: try Tensor.from(rowStart ?? self.rowStart), accumulating: accumulating, into: out)
    }
  }

  /// Around the sizes of chunks (256 tokens), of panels (16 rows) and of blocks (640 inputs).
  @Test(arguments: [
    (1, 1, 1, 1.0), (3, 5, 7, 0.5), (255, 17, 16, 0.3), (256, 16, 33, 0.1), (257, 64, 15, 0.1), (700, 130, 40, 0.02),
    (300, 640, 5, 0.1), (300, 641, 5, 0.1), (520, 1300, 18, 0.01), (64, 2000, 3, 1),
  ])
  func equalsSumsInDouble(_ tokens: Int, _ inputs: Int, _ outputs: Int, _ density: Double) throws {
    let sample = Case(tokens: tokens, inputs: inputs, outputs: outputs, density: density, seed: UInt64(tokens))
    #expect(!sample.index.isEmpty)
    let out = try Tensor.full([sample.index.count], .nan)
    try sample.run(into: out)
    let (sums, magnitudes) = sample.expected
    let found: [Double] = try out.values()
    for (index, value) in found.enumerated() {
      #expect(abs(value - sums[index]) <= 2e-6 * magnitudes[index], "entry \(sample.index[index])")
    }
    try out.fill(3)
    try sample.run(into: out, accumulating: true)
    expectClose(try out.values(), found.map { $0 + 3 }, absolute: 1e-5 * max(1, magnitudes.max() ?? 1))
  }

  @Test func anEntryDoesNotDependOnTheOthersOrOnThreads() throws {
    let all = Case(tokens: 600, inputs: 700, outputs: 24, density: 1, seed: 5)
    let whole = try Tensor.empty([all.index.count])
    try all.run(into: whole)
    let values: [Float] = try whole.values()
    let few = Case(tokens: 600, inputs: 700, outputs: 24, density: 0.05, seed: 5)
    let before = Engine.threadCount
    defer { try? Engine.setThreadCount(before) }
    for threads in [1, 2, 3] {
      try Engine.setThreadCount(threads)
      let some = try Tensor.empty([few.index.count])
      try few.run(into: some)
      #expect(try some.values(as: Float.self) == few.index.map { values[Int($0)] }, "\(threads) threads")
    }
  }

  @Test func noEntriesAreNoWork() throws {
    let sample = Case(tokens: 10, inputs: 4, outputs: 3, density: 0, seed: 1)
    try sample.run(into: try Tensor.empty([0]))
  }

  @Test(
    arguments: [
      ([0, 5, 4], [0, 1, 3]), ([0, 4, 4], [0, 1, 3]), ([0, 1, 2], [0, 1, 3]), ([0, 4, 8], [0, 1, 3]),
      ([-1, 4, 5], [0, 1, 3]),
      ([0, 4, 5], [0, 1, 2]), ([0, 4, 5], [1, 1, 3]), ([0, 4, 5], [0, 9, 3]), ([0, 4, 5], [0, 3]),
    ] as [([Int32], [Int32])])
  func refusesWhatDoesNotFit(_ index: [Int32], _ rowStart: [Int32]) throws {
    let sample = Case(tokens: 10, inputs: 4, outputs: 2, density: 1, seed: 1)
    let out = try Tensor.full([3], 7)
    #expect(throws: TorchError.self) { try sample.run(into: out, index: index, rowStart: rowStart) }
    #expect(try out.values(as: Float.self) == [7, 7, 7])
  }

  @Test func onlyFloat32OnTheCPU() throws {
    #expect(Kernels.canSampleProducts(.float32, on: .cpu))
    #expect(!Kernels.canSampleProducts(.bfloat16, on: .cpu) && !Kernels.canSampleProducts(.float64, on: .cpu))
    let x = try Tensor.zeros([4, 4], .float64)
    #expect(throws: TorchError.self) { try Kernels.turnInputs(x, into: try Tensor.empty([1024])) }
    #expect(throws: TorchError.self) {
      try Kernels.turnInputs(try Tensor.zeros([4, 4]), into: try Tensor.empty([1023]))
    }
  }
}
