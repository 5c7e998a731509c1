public import Decoder

/// What a phase of training is for: calibration trains all parameters to find the ticket, adaptation the ticket alone from
/// the base weights, training all parameters as a method of its own.
public typealias Phase = MetricsRecord.Phase

public enum LossReduction: String, Codable, Sendable, CaseIterable {
  /// Sum of `-log p` over each sequence's labels, mean over the sequences of a batch (the paper's objective).
  case sequenceSum = "sequence-sum"
  /// Mean over all labels of a batch.
  case tokenMean = "token-mean"
}

/// Which update rule, with its constants.
public enum OptimizerSettings: Codable, Equatable, Sendable {
  /// Paper, appendix A: alpha 0.99, epsilon 1e-8, no momentum.
  case rmsProp(alpha: Double = 0.99, epsilon: Double = 1e-8)
  /// Loshchilov and Hutter 2019.
  case adamW(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0)
  case sgd

  public static let names = ["rmsprop", "adamw", "sgd"]

  /// The rule of that name with its default constants; nil for an unknown name.
  public init?(name: String) {
    switch name {
    case "rmsprop": self = .rmsProp()
    case "adamw": self = .adamW()
    case "sgd": self = .sgd
    default: return nil
    }
  }

  public var name: String {
    switch self {
    case .rmsProp: "rmsprop"
    case .adamW: "adamw"
    case .sgd: "sgd"
    }
  }
}

/// How gradients are held back.
public enum Clipping: String, Codable, Sendable, CaseIterable {
  /// Each tensor's norm by itself, after masking: possible while gradients are consumed one by one.
  case perTensor = "per-tensor"
  /// The norm over all gradients together; for tickets and low-rank matrices.
  case global
}

/// One phase's settings. Defaults are the paper's (section 4.1, appendix A).
public struct TrainingOptions: Codable, Equatable, Sendable {
  public enum Length: Codable, Equatable, Sendable {
    case steps(Int)
    /// A fraction trains on that share of an epoch.
    case epochs(Double)
  }

  public var length: Length = .epochs(3)
  /// Sequences a step.
  public var batchSize = 32
  public var learningRate = 1e-5
  /// Steps over which the rate rises linearly to its constant value; 0: none.
  public var warmupSteps = 0
  public var optimizer = OptimizerSettings.rmsProp()
  /// nil: no clipping.
  public var maximumGradientNorm: Double? = 1
  public var clipping = Clipping.perTensor
  public var ticketGradient = TicketGradient.automatic
  public var loss = LossReduction.sequenceSum
  public var seed: UInt64 = 0
  public var shuffles = true
  /// Largest number of tokens run at once; a step with more is split, and gradients add up. nil: never split.
  public var microBatchTokens: Int? = 8192
  /// Whether the backward pass reads activations or computes them again: less memory for more time, same result.
  public var activations = ActivationPolicy.keep

  /// Steps that may be left out because their loss or a gradient is not finite; 0: the first one ends the run.
  public var maximumSkippedSteps = 0

  public init() {}

  /// Whether a sink of few weights keeps their gradients and updates them together at a step's end: for one norm over all, or so
  /// that a step can be left out whole.
  var updatesAtEnd: Bool { clipping == .global || maximumSkippedSteps > 0 }

  /// - Throws: ``TrainingError/invalidOption(name:value:expected:)``
  public func validate() throws {
    func require(_ condition: Bool, _ name: String, _ value: Any, _ expected: String) throws {
      guard condition else { throw TrainingError.invalidOption(name: name, value: "\(value)", expected: expected) }
    }
    switch length {
    case .steps(let steps): try require(steps >= 1, "steps", steps, "at least 1")
    case .epochs(let epochs): try require(epochs > 0 && epochs < 1e6, "epochs", epochs, "above 0 and below 1000000")
    }
    try require((1...1_000_000).contains(batchSize), "batch-size", batchSize, "from 1 to 1000000")
    try require(learningRate > 0 && learningRate.isFinite, "learning-rate", learningRate, "a positive number")
    try require(maximumSkippedSteps >= 0, "skip-steps", maximumSkippedSteps, "at least 0")
    try require(warmupSteps >= 0, "warmup-steps", warmupSteps, "at least 0")
    let norm = maximumGradientNorm ?? 1
    try require(norm > 0 && norm.isFinite, "max-grad-norm", norm, "a positive number")
    try require((microBatchTokens ?? 1) >= 1, "micro-batch-tokens", microBatchTokens ?? 0, "at least 1")
    if case .rmsProp(let alpha, let epsilon) = optimizer {
      try require(alpha >= 0 && alpha < 1, "alpha", alpha, "in [0, 1)")
      try require(epsilon > 0, "epsilon", epsilon, "a positive number")
    }
    if case .adamW(let beta1, let beta2, let epsilon, let decay) = optimizer {
      try require(beta1 >= 0 && beta1 < 1, "beta1", beta1, "in [0, 1)")
      try require(beta2 >= 0 && beta2 < 1, "beta2", beta2, "in [0, 1)")
      try require(epsilon > 0, "epsilon", epsilon, "a positive number")
      try require(decay >= 0, "weight-decay", decay, "at least 0")
    }
  }

  /// The rate of `step`, which counts from zero.
  public func rate(step: Int) -> Double {
    step < warmupSteps ? learningRate * Double(step + 1) / Double(warmupSteps) : learningRate
  }
}

/// How long the model trains before its ticket is extracted (paper, sections 3 and 6).
public enum Calibration: Codable, Equatable, Sendable {
  /// 0: a random ticket; 1: ranked by gradient magnitude.
  case steps(Int)
  case epochs(Double)
}
