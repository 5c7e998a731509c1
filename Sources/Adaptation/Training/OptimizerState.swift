internal import Torch

/// Moments of one tensor, and the update. Float32 (float64 for float64 weights), allocated on first use.
struct OptimizerState {
  private let settings: OptimizerSettings
  private var mean: Tensor?
  private var average: Tensor?
  private var steps = 0

  init(_ settings: OptimizerSettings) { self.settings = settings }

  /// One step on `weight` with the gradient times `factor`.
  mutating func update(_ weight: Tensor, gradient: Tensor, factor: GradientFactor, rate: Double) throws {
    steps += 1
    let (scale, verdict) = (factor.scale, factor.verdict)
    switch settings {
    case .rmsProp(let alpha, let epsilon):
      let average = try moment(&average, like: weight)
      try OptimizerKernels.rmsProp(
        weight, gradient: gradient, average: average, scale: scale, verdict: verdict, rate: rate, alpha: alpha,
        epsilon: epsilon)
    case .adamW(let beta1, let beta2, let epsilon, let weightDecay):
      let mean = try moment(&mean, like: weight)
      let average = try moment(&average, like: weight)
      try OptimizerKernels.adamW(
        weight, gradient: gradient, mean: mean, average: average, scale: scale, verdict: verdict, rate: rate,
        beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: weightDecay, step: steps)
    case .sgd:
      try OptimizerKernels.sgd(weight, gradient: gradient, scale: scale, verdict: verdict, rate: rate)
    }
  }

  var byteCount: Int { (mean?.byteCount ?? 0) + (average?.byteCount ?? 0) }

  /// Bytes of moments that one weight of a type gets.
  static func byteCountAWeight(_ settings: OptimizerSettings, dtype: DType) -> Int {
    let moments =
      switch settings {
      case .rmsProp: 1
      case .adamW: 2
      case .sgd: 0
      }
    return moments * (dtype == .float64 ? DType.float64 : .float32).byteCount
  }

  private func moment(_ held: inout Tensor?, like weight: Tensor) throws -> Tensor {
    if let held { return held }
    let fresh = try Tensor.zeros(weight.shape, weight.dtype == .float64 ? .float64 : .float32, on: weight.device)
    held = fresh
    return fresh
  }
}
