internal import Checkpoints
package import Decoder
package import Torch

/// Trains the low-rank matrices of a model and nothing else.
///
/// State a trained number: the optimizer's moments, float32. When the model computes in half precision also a float32 master
/// value, which is what is saved. One gradient each, float32, where gradients add up over micro-batches, wait for all others
/// (global clipping), or come in half precision.
package final class LowRankSink: TrainingSink {
  private final class Entry {
    let parameter: Parameter
    /// Of a half-precision matrix.
    let master: Tensor?
    var gradient: Tensor?
    var state: OptimizerState

    init(_ parameter: Parameter, optimizer: OptimizerSettings) throws {
      self.parameter = parameter
      let value = parameter.value
      master = value.dtype == value.dtype.wide ? nil : try value.converted(to: value.dtype.wide)
      state = OptimizerState(optimizer)
    }

    /// Adds to what earlier micro-batches left.
    func keep(_ gradient: Tensor, isFirst: Bool) throws -> Tensor {
      let total = try self.gradient ?? Tensor.empty(gradient.shape, gradient.dtype.wide, on: gradient.device)
      self.gradient = total
      if isFirst { try total.copy(from: gradient) } else { try total.add(gradient) }
      return total
    }

    func apply(_ gradient: Tensor, _ factor: GradientFactor, rate: Double) throws {
      try state.update(master ?? parameter.value, gradient: gradient, factor: factor, rate: rate)
      if let master { try parameter.value.copy(from: master) }
    }

    var saved: [SavedTensor] {
      [SavedTensor("value/\(parameter.name)", master ?? parameter.value)] + state.saved(parameter.name)
    }

    func restore(_ saved: SavedTensors, steps: Int, _ settings: OptimizerSettings) throws {
      let value = master ?? parameter.value
      guard try saved.restore("value/\(parameter.name)", into: value) else { return }
      if let master { try parameter.value.copy(from: master) }
      state = try OptimizerState(settings, restoring: saved, name: parameter.name, steps: steps, weight: value)
    }

    var byteCount: Int { state.byteCount + (master?.byteCount ?? 0) + (gradient?.byteCount ?? 0) }
  }

  private let options: TrainingOptions
  private let additions: LowRankAdditions
  private let entries: [String: Entry]
  private var statistics: any StepStatistics = HostStatistics()
  private var rate = 0.0
  private var microBatches = 1
  private var microBatch = 0
  private var pass: UInt64 = 0

  package init(_ options: TrainingOptions, additions: LowRankAdditions) throws {
    self.options = options
    self.additions = additions
    entries = try Dictionary(
      additions.parameters.map { ($0.name, try Entry($0, optimizer: options.optimizer)) },
      uniquingKeysWith: { first, _ in first })
  }

  package func beginStep(rate: Double, microBatches: Int, statistics: any StepStatistics) {
    self.rate = rate
    self.microBatches = microBatches
    self.statistics = statistics
  }

  package func beginMicroBatch(_ index: Int) {
    microBatch = index
    additions.dropout.pass = pass
    pass += 1
  }

  package func needsGradient(of parameter: Parameter) -> Bool { entries[parameter.name] != nil }

  package func consume(_ gradient: Tensor, of parameter: Parameter) throws {
    guard let entry = entries[parameter.name] else { return }
    let isKept = microBatches > 1 || updatesAtEnd || entry.master != nil
    let total = isKept ? try entry.keep(gradient, isFirst: microBatch == 0) : gradient
    guard microBatch == microBatches - 1 else { return }
    guard !updatesAtEnd else { return try statistics.count(total, named: parameter.name) }
    try update(entry, total)
  }

  package var updatesAtEnd: Bool { options.updatesAtEnd }

  package func endStep() throws {
    additions.dropout.pass = nil
    guard updatesAtEnd else { return }
    let ofAll =
      options.clipping == .global ? try statistics.factorOfAll(maximumNorm: options.maximumGradientNorm) : nil
    for entry in entries.values {
      if let gradient = entry.gradient { try update(entry, gradient, ofAll) }
    }
  }

  package func abandonStep() { additions.dropout.pass = nil }

  private func update(_ entry: Entry, _ gradient: Tensor, _ ofAll: GradientFactor? = nil) throws {
    let name = entry.parameter.name
    let factor =
      try ofAll ?? statistics.factor(of: gradient, named: name, maximumNorm: options.maximumGradientNorm)
    try entry.apply(gradient, factor, rate: rate)
    try statistics.check(entry.parameter.value, named: name)
  }

  package func savedTensors() throws -> [SavedTensor] {
    let entries = entries.values.sorted { $0.parameter.name.precedesInBytes($1.parameter.name) }
    return [
      try SavedSteps.saved(entries.map(\.state)), SavedTensor(Self.passName, try Tensor.from([Int64(pass)])),
    ] + entries.flatMap(\.saved)
  }

  package func restore(_ saved: SavedTensors, model: LanguageModel) throws {
    let steps = try SavedSteps.read(saved)
    for entry in entries.values { try entry.restore(saved, steps: steps, options.optimizer) }
    let passes = try Tensor.zeros([1], .int64)
    try saved.restoreRequired(Self.passName, into: passes)
    pass = UInt64(bitPattern: try passes.values(as: Int64.self)[0])
  }

  /// Backward passes so far, which number the masks of dropout.
  private static let passName = "pass"

  package var stateByteCount: Int { entries.values.reduce(0) { $0 + $1.byteCount } }

  /// A matrix as trained: the master value where there is one.
  package func value(of parameter: Parameter) -> Tensor { entries[parameter.name]?.master ?? parameter.value }

  /// Bytes that it comes to hold for `count` trained numbers of a type.
  package static func stateByteCounts(
    count: Int, dtype: DType, options: TrainingOptions, accumulates: Bool
  ) -> (optimizer: Int, gradients: Int) {
    let isHalf = dtype != dtype.wide
    let masters = isHalf ? count * dtype.wide.byteCount : 0
    let keeps = accumulates || options.updatesAtEnd || isHalf
    return (
      masters + count * OptimizerState.byteCountAWeight(options.optimizer, dtype: dtype),
      keeps ? count * dtype.wide.byteCount : 0
    )
  }
}

extension DType {
  /// The type of sums, moments and master values.
  fileprivate var wide: DType { self == .float64 ? .float64 : .float32 }
}
