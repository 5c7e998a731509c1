internal import Checkpoints
package import Decoder
package import Torch

/// Trains whole parameters inside the backward pass: full fine-tuning, and LoTA's calibration.
///
/// State a trained weight: the optimizer's moments, float32; with several micro-batches also one gradient, in the model's
/// type. There is no master copy: a half-precision model keeps of every update what its own type can hold.
package final class DenseSink: TrainingSink {
  private let options: TrainingOptions
  private let trains: (String) -> Bool
  private let excluded: ExcludedWeights?
  private var states: [String: (parameter: Parameter, optimizer: OptimizerState)] = [:]
  private var accumulated: [String: Tensor] = [:]
  private var statistics: any StepStatistics = HostStatistics()
  private var rate = 0.0
  private var microBatches = 1
  private var microBatch = 0

  /// - Parameters:
  ///   - excluded: weights that stay as they are; they count for no norm either.
  ///   - trains: whether the parameter of a name is trained; by default all are.
  package init(
    _ options: TrainingOptions, excluded: ExcludedWeights? = nil, trains: @escaping (String) -> Bool = { _ in true }
  ) {
    self.options = options
    self.excluded = excluded
    self.trains = trains
  }

  package func beginStep(rate: Double, microBatches: Int, statistics: any StepStatistics) {
    self.rate = rate
    self.statistics = statistics
    self.microBatches = microBatches
  }

  package func beginMicroBatch(_ index: Int) { microBatch = index }

  package func endStep() {}

  package func needsGradient(of parameter: Parameter) -> Bool { trains(parameter.name) }

  package func consume(_ gradient: Tensor, of parameter: Parameter) throws {
    guard microBatches > 1 else { return try update(parameter, gradient) }
    let total = try accumulated[parameter.name] ?? Tensor.empty(gradient.shape, gradient.dtype, on: gradient.device)
    accumulated[parameter.name] = total
    if microBatch == 0 { try total.copy(from: gradient) } else { try total.add(gradient) }
    if microBatch == microBatches - 1 { try update(parameter, total) }
  }

  package var stateByteCount: Int {
    states.values.reduce(0) { $0 + $1.optimizer.byteCount } + accumulated.values.reduce(0) { $0 + $1.byteCount }
  }

  /// Bytes that it comes to hold for `weights` trained weights of a type.
  package static func stateByteCounts(
    weights: Int, dtype: DType, optimizer: OptimizerSettings, accumulates: Bool
  ) -> (optimizer: Int, accumulated: Int) {
    (
      weights * OptimizerState.byteCountAWeight(optimizer, dtype: dtype),
      accumulates ? weights * dtype.byteCount : 0
    )
  }

  package func savedTensors() throws -> [SavedTensor] {
    let states = states.values.sorted { $0.parameter.name.precedesInBytes($1.parameter.name) }
    return [try SavedSteps.saved(states.map(\.optimizer))]
      + states.flatMap { parameter, optimizer in
        [SavedTensor("value/\(parameter.name)", parameter.value)] + optimizer.saved(parameter.name)
      }
  }

  package func restore(_ saved: SavedTensors, model: LanguageModel) throws {
    let steps = try SavedSteps.read(saved)
    for parameter in model.parameters where trains(parameter.name) {
      guard try saved.restore("value/\(parameter.name)", into: parameter.value) else { continue }
      let optimizer = try OptimizerState(
        options.optimizer, restoring: saved, name: parameter.name, steps: steps, weight: parameter.value)
      states[parameter.name] = (parameter, optimizer)
    }
  }

  private func update(_ parameter: Parameter, _ gradient: Tensor) throws {
    try excluded?.clear(gradient, of: parameter.name)
    let factor = try statistics.factor(
      of: gradient, named: parameter.name, maximumNorm: options.maximumGradientNorm)
    func step() throws {
      try states[parameter.name, default: (parameter, OptimizerState(options.optimizer))].optimizer
        .update(parameter.value, gradient: gradient, factor: factor, rate: rate)
      try statistics.check(parameter.value, named: parameter.name)
    }
    guard let excluded, options.optimizer.movesWithoutGradient else { return try step() }
    try excluded.keep(parameter, step)
  }
}
