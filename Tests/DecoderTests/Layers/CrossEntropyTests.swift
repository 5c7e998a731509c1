import Decoder
import Foundation
import TestSupport
import Testing
import Torch

@Suite(.engine) struct CrossEntropyTests {
  private func run(
    _ logits: [Double], _ targets: [Int64], scale: Double?, _ dtype: DType
  ) throws -> (losses: [Double], gradient: [Double]) {
    let x = try tensor(logits, [targets.count, logits.count / targets.count], dtype)
    let losses = try Tensor.full([targets.count], -1, dtype == .float64 ? .float64 : .float32)
    try Kernels.crossEntropy(x, targets: try Tensor.from(targets), gradientScale: scale, losses: losses)
    return (try losses.values(), try x.values())
  }

  /// softmax(0, ln 3) = (1/4, 3/4).
  @Test(arguments: [DType.float32, .float64]) func byHand(_ dtype: DType) throws {
    let logits = [0, log(3.0), 0, log(3.0)]
    let (losses, gradient) = try run(logits, [0, 1], scale: 2, dtype)
    expectClose(losses, [log(4.0), log(4.0) - log(3.0)], absolute: 1e-6)
    expectClose(gradient, [-1.5, 1.5, 0.5, -0.5], absolute: 1e-6)
  }

  @Test func withoutGradientLogitsStay() throws {
    let logits = [0.5, -1, 2, 1]
    let (losses, after) = try run(logits, [0, 1], scale: nil, .float32)
    #expect(after == logits)
    expectClose(losses, try run(logits, [0, 1], scale: 1, .float32).losses, absolute: 1e-7)
  }

  @Test(arguments: [(DType.float64, 1e-12), (.float32, 2e-6)])
  func equalsPyTorch(_ dtype: DType, _ tolerance: Double) throws {
    let goldens = try Goldens.layers()
    let targets: [Int64] = try goldens.tensor("entropy.targets").values()
    let (losses, gradient) = try run(try goldens.values("entropy.x"), targets, scale: 0.25, dtype)
    expectClose(losses, try goldens.values("entropy.losses"), absolute: tolerance, relative: tolerance)
    expectClose(gradient, try goldens.values("entropy.dx"), absolute: tolerance)
  }

  @Test func finiteDifferences() throws {
    var generator = SeededGenerator(seed: 17)
    let logits = generator.values(3 * 5, scale: 3)
    let gradient = try run(logits, [4, 0, 2], scale: 0.5, .float64).gradient
    try expectGradient(
      gradient, of: { 0.5 * (try run($0, [4, 0, 2], scale: nil, .float64).losses.reduce(0, +)) }, at: logits)
  }

  /// A constant added to a row changes nothing, and every row of the gradient sums to zero.
  @Test func isInvariantToShifts() throws {
    var generator = SeededGenerator(seed: 18)
    let logits = generator.values(4 * 100, scale: 5)
    let (losses, gradient) = try run(logits, [0, 99, 50, 7], scale: 1, .float64)
    let shifted = try run(logits.map { $0 + 1000 }, [0, 99, 50, 7], scale: 1, .float64)
    expectClose(shifted.losses, losses, absolute: 1e-10)
    for row in 0..<4 { expectClose(gradient[(row * 100)..<(row * 100 + 100)].reduce(0, +), 0, absolute: 1e-12) }
  }

  @Test func fastKernelHoldsAtExtremes() throws {
    var generator = SeededGenerator(seed: 19)
    let width = 1031
    for scale in [1e-3, 1, 30, 1e4] {
      let logits = generator.values(9 * width, scale: scale).map { Double(Float($0)) }
      let targets = (0..<9).map { Int64($0 * 114) }
      let fast = try run(logits, targets, scale: 0.5, .float32)
      let exact = try run(logits, targets, scale: 0.5, .float64)
      expectClose(fast.losses, exact.losses, absolute: 2e-6, relative: 3e-7, "scale \(scale)")
      expectClose(fast.gradient, exact.gradient, absolute: 1e-6, "scale \(scale)")
      expectClose(try run(logits, targets, scale: nil, .float32).losses, exact.losses, absolute: 2e-6, relative: 3e-7)
    }
  }

  @Test(arguments: [DType.float32, .float64], [0, 3, 6]) func notANumberReachesTheLoss(_ dtype: DType, _ place: Int)
    throws
  {
    for bad in [Double.nan, .infinity] {
      var logits = Array(repeating: 0.5, count: 7)
      logits[place] = bad
      for scale in [nil, 1.0] as [Double?] {
        let loss = try run(logits, [3], scale: scale, dtype).losses[0]
        #expect(!loss.isFinite, "\(bad) at \(place)")
      }
    }
  }

  /// Minus infinity is a token of probability zero.
  @Test(arguments: [DType.float32, .float64]) func impossibleTokens(_ dtype: DType) throws {
    let (losses, gradient) = try run([0, -.infinity, log(3.0)], [0], scale: 1, dtype)
    expectClose(losses, [log(4.0)], absolute: 1e-6)
    expectClose(gradient, [-0.75, 0, 0.75], absolute: 1e-6)
  }

  @Test func refusesTargetsOutsideTheVocabulary() throws {
    for target in [-1, 5] as [Int64] {
      for dtype in [DType.float32, .float64] where dtype == .float32 || target > 0 {
        #expect(throws: TorchError.self) { _ = try run([1, 2, 3, 4, 5], [target], scale: nil, dtype) }
      }
    }
  }
}
