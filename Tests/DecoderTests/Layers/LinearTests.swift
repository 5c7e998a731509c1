import Decoder
import TestSupport
import Testing
import Torch

@Suite(.engine) struct LinearTests {
  /// Two parts stacked, of 2 and 3 outputs, over 4 inputs.
  private func linear(_ weight: [Double], _ bias: [Double], _ dtype: DType = .float64) throws -> Linear {
    let weights = try tensor(weight, [5, 4], dtype)
    let biases = try tensor(bias, [5], dtype)
    func part(_ name: String, _ rows: Range<Int>) throws -> Linear.Part {
      Linear.Part(
        weight: Parameter(name: name + ".weight", value: try weights.rows(rows)),
        bias: Parameter(name: name + ".bias", value: try biases.rows(rows)), rows: rows)
    }
    return Linear(weight: weights, bias: biases, parts: [try part("a", 0..<2), try part("b", 2..<5)])
  }

  private func forward(_ linear: Linear, _ x: [Double], _ dtype: DType = .float64) throws -> [Double] {
    let y = try Tensor.full([x.count / 4, 5], .nan, dtype)
    try linear.forward(
      try tensor(x, [x.count / 4, 4], dtype), into: y, workspace: Workspace(dtype: dtype, device: .cpu))
    return try y.values()
  }

  @Test(arguments: [DType.float32, .float64]) func byHand(_ dtype: DType) throws {
    // Rows of W pick, add and negate inputs.
    let weight: [Double] = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, -1, 0, 0, 0]
    let layer = try linear(weight, [0, 10, 0, 0, 1], dtype)
    #expect(try forward(layer, [1, 2, 3, 4], dtype) == [1, 12, 7, 10, 0])
    let workspace = Workspace(dtype: dtype, device: .cpu)
    let y = try Tensor.full([1, 5], 100, dtype)
    try layer.forward(try tensor([1, 2, 3, 4], [1, 4], dtype), into: y, accumulating: true, workspace: workspace)
    #expect(try y.values(as: Double.self) == [101, 112, 107, 110, 100])
    let dx = try Tensor.full([1, 4], .nan, dtype)
    try layer.inputBackward(try tensor([1, 2, 3, 4, 5], [1, 5], dtype), into: dx, workspace: workspace)
    #expect(try dx.values(as: Double.self) == [0, 6, 7, 7])
    let sink = RecordingSink()
    try layer.weightBackward(
      try tensor([1, 2, 3, 4, 5], [1, 5], dtype), input: try tensor([1, 0, -1, 2], [1, 4], dtype), sink: sink,
      workspace: workspace)
    #expect(sink.gradients["a.weight"] == [1, 0, -1, 2, 2, 0, -2, 4])
    #expect(sink.gradients["b.weight"] == [3, 0, -3, 6, 4, 0, -4, 8, 5, 0, -5, 10])
    #expect(sink.gradients["a.bias"] == [1, 2] && sink.gradients["b.bias"] == [3, 4, 5])
  }

  @Test func finiteDifferences() throws {
    var generator = SeededGenerator(seed: 20)
    let x = generator.values(3 * 4)
    let weight = generator.values(20)
    let bias = generator.values(5)
    let dy = generator.values(3 * 5)
    let layer = try linear(weight, bias)
    let dx = try Tensor.empty([3, 4], .float64)
    try layer.inputBackward(try tensor(dy, [3, 5]), into: dx, workspace: Workspace(dtype: .float64, device: .cpu))
    try expectGradient(try dx.values(), of: { dot(try forward(layer, $0), dy) }, at: x, "dx")
    let sink = RecordingSink()
    try layer.weightBackward(
      try tensor(dy, [3, 5]), input: try tensor(x, [3, 4]), sink: sink,
      workspace: Workspace(dtype: .float64, device: .cpu))
    let dw = try #require(sink.gradients["a.weight"]) + #require(sink.gradients["b.weight"])
    let db = try #require(sink.gradients["a.bias"]) + #require(sink.gradients["b.bias"])
    try expectGradient(dw, of: { dot(try forward(try linear($0, bias), x), dy) }, at: weight, "dw")
    try expectGradient(db, of: { dot(try forward(try linear(weight, $0), x), dy) }, at: bias, "db")
  }

  /// Whichever parts are wanted, each gets the same gradient, and only those come; nothing accumulates from call to call.
  @Test(arguments: [["a.weight"], ["b.weight"], ["a.bias"], ["b.weight", "a.bias"], []])
  func onlyWantedPartsAreDelivered(_ wanted: [String]) throws {
    var generator = SeededGenerator(seed: 21)
    let layer = try linear(generator.values(20), generator.values(5), .float32)
    let workspace = Workspace(dtype: .float32, device: .cpu)
    let dy = try tensor(generator.values(6 * 5), [6, 5], .float32)
    let x = try tensor(generator.values(6 * 4), [6, 4], .float32)
    let all = RecordingSink()
    try layer.weightBackward(dy, input: x, sink: all, workspace: workspace)
    for _ in 0..<2 {
      let some = RecordingSink(wanted.contains)
      try layer.weightBackward(dy, input: x, sink: some, workspace: workspace)
      #expect(some.deliveries.sorted() == wanted.sorted())
      for (name, gradient) in some.gradients { expectClose(gradient, all.gradients[name] ?? [], absolute: 1e-6, name) }
    }
  }

  /// Parts are views: writing to a part's parameter changes what the stack computes.
  @Test func partsShareTheStack() throws {
    let layer = try linear(Array(repeating: 1, count: 20), [0, 0, 0, 0, 0], .float32)
    try layer.parts[1].weight.value.fill(2)
    #expect(try forward(layer, [1, 1, 1, 1], .float32) == [4, 4, 8, 8, 8])
  }
}
