import Decoder
import TestSupport
import Testing
import Torch

@Suite(.engine) struct RMSNormTests {
  private func forward(
    _ x: Tensor, _ w: Tensor, _ epsilon: Double
  ) throws -> (y: Tensor, rstd: Tensor) {
    let y = try Tensor.empty(x.shape, x.dtype)
    let rstd = try Tensor.empty([x.shape[0]], x.dtype == .float64 ? .float64 : .float32)
    try Kernels.rmsNorm(x, weight: w, epsilon: epsilon, into: y, rstd: rstd)
    return (y, rstd)
  }

  /// mean(3^2, 4^2) = 12.5, and 1 / sqrt(12.5 + 12.5) = 0.2.
  @Test(arguments: [DType.float32, .float64]) func byHand(_ dtype: DType) throws {
    let x = try tensor([3, 4], [1, 2], dtype)
    let w = try tensor([10, 100], [2], dtype)
    let (y, rstd) = try forward(x, w, 12.5)
    expectClose(try y.values(), [6.0, 80], relative: 1e-6)
    expectClose(try rstd.values(), [0.2], relative: 1e-6)
    // With dy = (1, 0): dw = x^ dy = (0.6, 0);  dx = r (w dy - x^ mean(w dy x^)) = 0.2 ((10, 0) - 3 (0.6, 0.8)).
    let dx = try tensor([1, 1], [1, 2], dtype)
    let dw = try tensor([5, 5], [2], dtype)
    try Kernels.rmsNormBackward(
      try tensor([1, 0], [1, 2], dtype), input: x, weight: w, rstd: rstd, accumulating: dx, weightGradient: dw)
    expectClose(try dx.values(), [1 + 1.64, 1 - 0.48], relative: 1e-6)
    expectClose(try dw.values(), [5.6, 5], relative: 1e-6)
  }

  @Test(arguments: [(DType.float64, 1e-12), (.float32, 2e-6)])
  func equalsPyTorch(_ dtype: DType, _ tolerance: Double) throws {
    let goldens = try Goldens.layers()
    let x = try goldens.tensor("norm.x", as: dtype)
    let w = try goldens.tensor("norm.w", as: dtype)
    let (y, rstd) = try forward(x, w, 1e-3)
    expectClose(try y.values(), try goldens.values("norm.y"), absolute: tolerance)
    let dx = try Tensor.zeros(x.shape, dtype)
    let dw = try Tensor.zeros(w.shape, dtype)
    for _ in 0..<2 {  // Both accumulate.
      try Kernels.rmsNormBackward(
        try goldens.tensor("norm.dy", as: dtype), input: x, weight: w, rstd: rstd, accumulating: dx, weightGradient: dw)
    }
    expectClose(try dx.values(), try goldens.values("norm.dx").map { 2 * $0 }, absolute: 4 * tolerance)
    expectClose(try dw.values(), try goldens.values("norm.dw").map { 2 * $0 }, absolute: 8 * tolerance)
  }

  @Test func finiteDifferences() throws {
    var generator = SeededGenerator(seed: 1)
    let (rows, width) = (3, 5)
    let x = generator.values(rows * width)
    let w = generator.values(width)
    let dy = generator.values(rows * width)
    func loss(_ x: [Double], _ w: [Double]) throws -> Double {
      dot(try forward(try tensor(x, [rows, width]), try tensor(w, [width]), 1e-2).y.values(), dy)
    }
    let input = try tensor(x, [rows, width])
    let weight = try tensor(w, [width])
    let rstd = try forward(input, weight, 1e-2).rstd
    let dx = try Tensor.zeros([rows, width], .float64)
    let dw = try Tensor.zeros([width], .float64)
    try Kernels.rmsNormBackward(
      try tensor(dy, [rows, width]), input: input, weight: weight, rstd: rstd, accumulating: dx, weightGradient: dw)
    try expectGradient(try dx.values(), of: { try loss($0, w) }, at: x, "dx")
    try expectGradient(try dw.values(), of: { try loss(x, $0) }, at: w, "dw")
  }

  /// Without epsilon, the scale of a row does not matter; and rows do not see each other.
  @Test func isInvariantToScaleAndRowOrder() throws {
    var generator = SeededGenerator(seed: 2)
    let x = generator.values(4 * 33)
    let w = try tensor(generator.values(33), [33], .float32)
    let y: [Float] = try forward(try tensor(x, [4, 33], .float32), w, 0).y.values()
    let scaled: [Float] = try forward(try tensor(x.map { $0 * 1024 }, [4, 33], .float32), w, 0).y.values()
    #expect(y == scaled)
    func reversedRows<Value>(_ values: [Value]) -> [Value] {
      stride(from: 99, through: 0, by: -33).flatMap { Array(values[$0..<($0 + 33)]) }
    }
    let reversed: [Float] = try forward(try tensor(reversedRows(x), [4, 33], .float32), w, 0).y.values()
    #expect(reversed == reversedRows(y))
  }

  /// Wide rows, many of them: the float32 kernel against the generic path in float64.
  @Test(arguments: [1e-4, 1.0, 1e4]) func fastKernelEqualsGenericPath(_ scale: Double) throws {
    var generator = SeededGenerator(seed: 3)
    let (rows, width) = (65, 579)
    let x = generator.values(rows * width, scale: scale).map { Double(Float($0)) }
    let w = generator.values(width).map { Double(Float($0)) }
    let dy = generator.values(rows * width).map { Double(Float($0)) }
    func run(_ dtype: DType) throws -> [[Double]] {
      let input = try tensor(x, [rows, width], dtype)
      let weight = try tensor(w, [width], dtype)
      let (y, rstd) = try forward(input, weight, 1e-5)
      let dx = try Tensor.zeros([rows, width], dtype)
      let dw = try Tensor.zeros([width], dtype)
      try Kernels.rmsNormBackward(
        try tensor(dy, [rows, width], dtype), input: input, weight: weight, rstd: rstd, accumulating: dx,
        weightGradient: dw)
      return [try y.values(), try rstd.values(), try dx.values(), try dw.values()]
    }
    for (fast, exact) in zip(try run(.float32), try run(.float64)) {
      #expect(relativeErrors(fast, exact).maximum < 2e-6)
    }
  }

  @Test func refusesShapesThatDoNotFit() throws {
    let x = try Tensor.zeros([2, 3])
    let rstd = try Tensor.zeros([2])
    #expect(throws: TorchError.self) {
      try Kernels.rmsNorm(x, weight: try Tensor.zeros([2]), epsilon: 1, into: try Tensor.zeros([2, 3]), rstd: rstd)
    }
    #expect(throws: TorchError.self) {
      try Kernels.rmsNorm(x, weight: try Tensor.zeros([3]), epsilon: 1, into: try Tensor.zeros([3, 2]), rstd: rstd)
    }
    #expect(throws: TorchError.self) {
      try Kernels.rmsNorm(
        x, weight: try Tensor.zeros([3]), epsilon: 1, into: try Tensor.zeros([2, 3]), rstd: try Tensor.zeros([3]))
    }
  }
}
