internal import Torch

/// Moments of one tensor, and the update. Float32 (float64 for float64 weights), allocated on first use.
struct OptimizerState {
  private let settings: OptimizerSettings
  private var mean: Tensor?
  private var average: Tensor?
  private(set) var steps = 0

  init(_ settings: OptimizerSettings) { self.settings = settings }

  /// As kept under a weight's name.
  ///
  /// - Parameters:
  ///   - steps: updates so far.
  ///   - weight: what it updates.
  init(
    _ settings: OptimizerSettings, restoring saved: SavedTensors, name: String, steps: Int, weight: Tensor
  ) throws {
    self.settings = settings
    self.steps = steps
    if settings.momentCount > 0 {
      try saved.restoreRequired(Self.averageName(name), into: try moment(&average, like: weight))
    }
    if settings.momentCount > 1 {
      try saved.restoreRequired(Self.meanName(name), into: try moment(&mean, like: weight))
    }
  }

  /// The moments, under a weight's name.
  func saved(_ name: String) -> [SavedTensor] {
    [(Self.averageName(name), average), (Self.meanName(name), mean)].compactMap { name, moment in
      moment.map { SavedTensor(name, $0) }
    }
  }

  private static func averageName(_ name: String) -> String { "average/\(name)" }
  private static func meanName(_ name: String) -> String { "mean/\(name)" }

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
    settings.momentCount * (dtype == .float64 ? DType.float64 : .float32).byteCount
  }

  private func moment(_ held: inout Tensor?, like weight: Tensor) throws -> Tensor {
    if let held { return held }
    let fresh = try Tensor.zeros(weight.shape, weight.dtype == .float64 ? .float64 : .float32, on: weight.device)
    held = fresh
    return fresh
  }
}

extension OptimizerSettings {
  /// Numbers that the rule remembers for every weight.
  fileprivate var momentCount: Int {
    switch self {
    case .rmsProp: 1
    case .adamW: 2
    case .sgd: 0
    }
  }
}

/// How many updates a sink's states have seen, as it is kept.
enum SavedSteps {
  private static let name = "steps"

  static func saved(_ states: some Sequence<OptimizerState>) throws -> SavedTensor {
    SavedTensor(name, try Tensor.from([Int64(states.reduce(0) { max($0, $1.steps) })]))
  }

  static func read(_ saved: SavedTensors) throws -> Int {
    let count = try Tensor.zeros([1], .int64)
    try saved.restoreRequired(name, into: count)
    return Int(try count.values(as: Int64.self)[0])
  }
}
