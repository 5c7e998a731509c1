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
    let isKept = microBatches > 1 || options.clipping == .global || entry.master != nil
    let total = isKept ? try entry.keep(gradient, isFirst: microBatch == 0) : gradient
    guard microBatch == microBatches - 1 else { return }
    switch options.clipping {
    case .perTensor:
      let factor = try statistics.factor(of: total, named: parameter.name, maximumNorm: options.maximumGradientNorm)
      try entry.apply(total, factor, rate: rate)
    case .global: try statistics.count(total, named: parameter.name)
    }
  }

  package func endStep() throws {
    additions.dropout.pass = nil
    guard options.clipping == .global else { return }
    let factor = try statistics.factorOfAll(maximumNorm: options.maximumGradientNorm)
    for entry in entries.values {
      if let gradient = entry.gradient { try entry.apply(gradient, factor, rate: rate) }
    }
  }

  package var stateByteCount: Int { entries.values.reduce(0) { $0 + $1.byteCount } }

  /// A matrix as trained: the master value where there is one.
  package func value(of parameter: Parameter) -> Tensor { entries[parameter.name]?.master ?? parameter.value }

  /// Bytes that it comes to hold for `count` trained numbers of a type.
  package static func stateByteCounts(
    count: Int, dtype: DType, options: TrainingOptions, accumulates: Bool
  ) -> (optimizer: Int, gradients: Int) {
    let isHalf = dtype != dtype.wide
    let masters = isHalf ? count * dtype.wide.byteCount : 0
    let keeps = accumulates || options.clipping == .global || isHalf
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
