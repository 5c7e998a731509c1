import Decoder
import Foundation
import TestSupport
import Testing
import Torch

@Suite(.engine) struct SwiGLUTests {
  private func forward(_ gu: [Double], rows: Int, _ dtype: DType) throws -> [Double] {
    let width = gu.count / rows / 2
    let h = try Tensor.full([rows, width], .nan, dtype)
    try Kernels.swiGLU(try tensor(gu, [rows, 2 * width], dtype), into: h)
    return try h.values()
  }

  private func backward(_ gu: [Double], _ dh: [Double], rows: Int, _ dtype: DType) throws -> (
    dgu: [Double], h: [Double]
  ) {
    let width = gu.count / rows / 2
    let both = try tensor(gu, [rows, 2 * width], dtype)
    let h = try tensor(dh, [rows, width], dtype)
    try Kernels.swiGLUBackward(both, gradientToOutput: h)
    return (try both.values(), try h.values())
  }

  /// silu(0) = 0 with slope 1/2, and silu(ln 3) = 3/4 ln 3 with slope 3/4 (1 + ln 3 / 4).
  @Test(arguments: [DType.float32, .float64]) func byHand(_ dtype: DType) throws {
    let l = log(3.0)
    expectClose(try forward([0, l, 5, 2], rows: 1, dtype), [0, 1.5 * l], absolute: 1e-6)
    let (dgu, h) = try backward([0, l, 5, 2], [1, 1], rows: 1, dtype)
    expectClose(dgu, [2.5, 2 * 0.75 * (1 + l / 4), 0, 0.75 * l], absolute: 1e-6)
    expectClose(h, [0, 1.5 * l], absolute: 1e-6)
  }

  @Test(arguments: [(DType.float64, 1e-12), (.float32, 3e-6)])
  func equalsPyTorch(_ dtype: DType, _ tolerance: Double) throws {
    let goldens = try Goldens.layers()
    let gu = try goldens.values("swiglu.gu")
    expectClose(try forward(gu, rows: 4, dtype), try goldens.values("swiglu.h"), absolute: tolerance)
    let (dgu, h) = try backward(gu, try goldens.values("swiglu.dh"), rows: 4, dtype)
    expectClose(dgu, try goldens.values("swiglu.dgu"), absolute: tolerance)
    expectClose(h, try goldens.values("swiglu.h"), absolute: tolerance)
  }

  @Test func finiteDifferences() throws {
    var generator = SeededGenerator(seed: 4)
    let gu = generator.values(2 * 6, scale: 3)
    let dh = generator.values(2 * 3)
    try expectGradient(
      try backward(gu, dh, rows: 2, .float64).dgu, of: { dot(try forward($0, rows: 2, .float64), dh) }, at: gu)
  }

  /// Linear in the up half, whatever the gate.
  @Test func isLinearInUp() throws {
    var generator = SeededGenerator(seed: 5)
    let gate = generator.values(70, scale: 4)
    let up = generator.values(70)
    let single = try forward(gate + up, rows: 1, .float32)
    #expect(try forward(gate + up.map { $0 * 2 }, rows: 1, .float32) == single.map { $0 * 2 })
  }

  /// Gates from -1e4 to 1e4, where a careless exponential overflows.
  @Test func fastKernelHoldsAtExtremes() throws {
    let gates = [
      -1e4, -1000, -200, -100, -90, -88.4, -87, -50, -20, -1, -1e-6, 0, 1e-6, 1, 20, 50, 87, 88.4, 100, 1000, 1e4,
    ]
    let gu = gates.map { Double(Float($0)) } + Array(repeating: 1.5, count: gates.count)
    let dh = Array(repeating: 0.5, count: gates.count)
    let fast = try backward(gu, dh, rows: 1, .float32)
    let exact = try backward(gu, dh, rows: 1, .float64)
    expectClose(fast.h, exact.h, absolute: 1e-7, relative: 1e-6)
    expectClose(fast.dgu, exact.dgu, absolute: 1e-7, relative: 1e-6)
    expectClose(try forward(gu, rows: 1, .float32), exact.h, absolute: 1e-7, relative: 1e-6)
    #expect(try forward([.nan, 1], rows: 1, .float32)[0].isNaN)
    #expect(try forward([1, .nan], rows: 1, .float32)[0].isNaN)
  }

  @Test func fastKernelEqualsGenericPath() throws {
    var generator = SeededGenerator(seed: 6)
    let (rows, width) = (37, 151)
    let gu = generator.values(rows * 2 * width, scale: 12).map { Double(Float($0)) }
    let dh = generator.values(rows * width).map { Double(Float($0)) }
    let fast = try backward(gu, dh, rows: rows, .float32)
    let exact = try backward(gu, dh, rows: rows, .float64)
    expectClose(fast.h, exact.h, absolute: 1e-6, relative: 1e-6)
    expectClose(fast.dgu, exact.dgu, absolute: 2e-6, relative: 1e-6)
  }

  @Test func halfPrecisionComputesInFloat32() throws {
    let gu = [-3.0, 0.5, 8, 1.5, -2, 0.25]
    for dtype in [DType.bfloat16, .float16] {
      expectClose(try forward(gu, rows: 1, dtype), try forward(gu, rows: 1, .float64), absolute: 1e-3, relative: 1e-2)
    }
  }

  @Test func refusesShapesThatDoNotFit() throws {
    #expect(throws: TorchError.self) { try Kernels.swiGLU(try Tensor.zeros([2, 6]), into: try Tensor.zeros([2, 2])) }
    #expect(throws: TorchError.self) { try Kernels.swiGLU(try Tensor.zeros([2, 6]), into: try Tensor.zeros([3, 3])) }
  }
}
