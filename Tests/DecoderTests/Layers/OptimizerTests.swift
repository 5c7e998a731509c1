import TestSupport
import Testing
import Torch

/// Five steps against torch.optim, in float32 by the fast kernels and in float64 by the generic path.
@Suite(.engine) struct OptimizerTests {
  enum Kind: String, CaseIterable { case rmsprop, adamw, sgd }

  private func trajectory(
    _ kind: Kind, _ gradients: Tensor, from start: Tensor, scale: Double, stateType: DType
  ) throws -> [[Double]] {
    let weights = try start.converted()
    let first = try Tensor.zeros(start.shape, stateType)
    let second = try Tensor.zeros(start.shape, stateType)
    return try (0..<gradients.shape[0]).map { step in
      let gradient = try gradients.rows(step..<(step + 1)).flattened()
      switch kind {
      case .rmsprop:
        try OptimizerKernels.rmsProp(
          weights, gradient: gradient, average: second, scale: scale, rate: 0.01, alpha: 0.9, epsilon: 1e-6)
      case .adamw:
        try OptimizerKernels.adamW(
          weights, gradient: gradient, mean: first, average: second, scale: scale, rate: 0.01, beta1: 0.8, beta2: 0.95,
          epsilon: 1e-6, weightDecay: 0.1, step: step + 1)
      case .sgd: try OptimizerKernels.sgd(weights, gradient: gradient, scale: scale, rate: 0.05)
      }
      return try weights.values()
    }
  }

  @Test(arguments: Kind.allCases, [DType.float32, .float64, .bfloat16])
  func equalsPyTorch(_ kind: Kind, _ dtype: DType) throws {
    let goldens = try Goldens.layers()
    let start = try goldens.tensor("optimizer.start", as: dtype)
    let gradients = try goldens.tensor("optimizer.gradients", as: dtype)
    for (name, scale) in [("plain", 1.0), ("scaled", 0.125)] {
      let found = try trajectory(
        kind, gradients, from: start, scale: scale, stateType: dtype == .float64 ? .float64 : .float32)
      let expected = try goldens.values("optimizer.\(kind.rawValue).\(name)")
      // A bfloat16 weight is rounded after every step, by up to 2^-8 of it.
      let tolerance = dtype == .float64 ? 1e-12 : dtype == .float32 ? 2e-6 : 0.06
      expectClose(found.flatMap { $0 }, expected, absolute: tolerance, "\(kind) \(name) \(dtype)")
    }
  }

  /// lr / sqrt(1 - alpha), whatever the gradient; a zero gradient moves nothing.
  @Test func firstRMSpropStepHasOneSize() throws {
    let weights = try Tensor.zeros([4])
    try OptimizerKernels.rmsProp(
      weights, gradient: try Tensor.from([5, -0.01, 300, 0] as [Float]), average: try Tensor.zeros([4]), scale: 1,
      rate: 1e-3, alpha: 0.99, epsilon: 1e-12)
    expectClose(try weights.values(), [-0.01, 0.01, -0.01, 0], absolute: 1e-8)
  }

  /// A scale on the gradient is the same as a scaled gradient, and does not touch the gradient itself.
  @Test(arguments: Kind.allCases) func scaleLeavesTheGradientAlone(_ kind: Kind) throws {
    var generator = SeededGenerator(seed: 22)
    let start = try tensor(generator.values(100_003), [100_003], .float32)
    let gradients = try tensor(generator.values(100_003), [1, 100_003], .float32)
    let before: [Float] = try gradients.values()
    let scaled = try trajectory(kind, gradients, from: start, scale: 0.25, stateType: .float32)
    #expect(try gradients.values(as: Float.self) == before)
    try gradients.scale(by: 0.25)
    #expect(try trajectory(kind, gradients, from: start, scale: 1, stateType: .float32) == scaled)
  }

  @Test func refusesStateOfAnotherSize() throws {
    let weights = try Tensor.zeros([4])
    let other = try Tensor.zeros([3])
    #expect(throws: TorchError.self) { try OptimizerKernels.sgd(weights, gradient: other, scale: 1, rate: 1) }
    #expect(throws: TorchError.self) {
      try OptimizerKernels.rmsProp(weights, gradient: weights, average: other, scale: 1, rate: 1, alpha: 0, epsilon: 1)
    }
    #expect(throws: TorchError.self) {
      try OptimizerKernels.adamW(
        weights, gradient: weights, mean: other, average: weights, scale: 1, rate: 1, beta1: 0, beta2: 0, epsilon: 1,
        weightDecay: 0, step: 1)
    }
    #expect(throws: TorchError.self) {
      try OptimizerKernels.adamW(
        weights, gradient: weights, mean: weights, average: weights, scale: 1, rate: 1, beta1: 0, beta2: 0, epsilon: 1,
        weightDecay: 0, step: 0)
    }
  }
}
