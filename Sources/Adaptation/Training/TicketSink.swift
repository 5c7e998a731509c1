package import Decoder
package import Tickets
package import Torch

/// Trains a ticket's weights and nothing else: sparse adaptation (paper, section 3).
///
/// Of each matrix's gradient only the ticket's entries are computed, or gathered, then clipped and applied; every other weight
/// stays bit for bit what it was. State a trained weight: index (int32), gradient (float32), the optimizer's moments; and, when the
/// model computes in half precision, a float32 master value, so that small updates are not lost.
package final class TicketSink: TrainingSink {
  private final class Entry {
    let parameter: Parameter
    let index: Tensor
    /// Master values of a half-precision matrix.
    let masters: Tensor?
    let gradient: Tensor
    /// Where each row's entries begin, when they are computed alone.
    let rowStart: Tensor?
    var state: OptimizerState

    init(_ parameter: Parameter, indices: [Int32], samples: Bool, optimizer: OptimizerSettings) throws {
      self.parameter = parameter
      let device = parameter.value.device
      let wide: DType = parameter.value.dtype == .float64 ? .float64 : .float32
      index = try Tensor.from(indices, on: device)
      gradient = try Tensor.empty([indices.count], wide, on: device)
      rowStart = samples ? try Tensor.from(Self.rowStart(indices, shape: parameter.shape), on: device) : nil
      state = OptimizerState(optimizer)
      masters = parameter.value.dtype == wide ? nil : try Self.values(of: parameter, at: index, wide)
    }

    private static func values(of parameter: Parameter, at index: Tensor, _ dtype: DType) throws -> Tensor {
      let values = try Tensor.empty(index.shape, dtype, on: index.device)
      try values.gather(from: parameter.value, at: index)
      return values
    }

    /// A refused update writes back the values that stand there.
    func apply(_ factor: GradientFactor, rate: Double) throws {
      let values = try masters ?? Self.values(of: parameter, at: index, gradient.dtype)
      try state.update(values, gradient: gradient, factor: factor, rate: rate)
      try parameter.value.scatter(values, at: index)
    }

    var byteCount: Int {
      index.byteCount + gradient.byteCount + state.byteCount + (masters?.byteCount ?? 0) + (rowStart?.byteCount ?? 0)
    }

    /// - Parameter indices: ascending.
    private static func rowStart(_ indices: [Int32], shape: [Int]) -> [Int32] {
      let inputs = shape.last ?? 1
      var starts: [Int32] = [0]
      var next = 0
      for row in 0..<(shape.first ?? 0) {
        while next < indices.count, Int(indices[next]) < (row + 1) * inputs { next += 1 }
        starts.append(Int32(next))
      }
      return starts
    }
  }

  private let options: TrainingOptions
  private var entries: [String: Entry] = [:]
  private var statistics: any StepStatistics = HostStatistics()
  private var rate = 0.0
  private var microBatches = 1
  private var microBatch = 0

  /// - Throws: ``TrainingError/ticketIsEmpty``; `TicketsError` when the mask does not fit the model.
  package init(_ options: TrainingOptions, mask: Mask, model: LanguageModel) throws {
    self.options = options
    try mask.checkFits(shapes: model.shapes)
    for entry in mask.entries where entry.bits.populationCount > 0 {
      guard entry.bits.count <= Int(Int32.max) else {
        throw TicketsError.tensorTooLarge(tensor: entry.name, elements: entry.bits.count, limit: Int(Int32.max))
      }
      guard let parameter = model.parameter(named: entry.name) else { continue }
      let indices = entry.bits.int32Indices
      entries[entry.name] = try Entry(
        parameter, indices: indices,
        samples: options.ticketGradient.samples(
          entries: indices.count, of: parameter.shape, parameter.value.dtype, on: model.device),
        optimizer: options.optimizer)
    }
    guard !entries.isEmpty else { throw TrainingError.ticketIsEmpty }
  }

  package func beginStep(rate: Double, microBatches: Int, statistics: any StepStatistics) {
    self.rate = rate
    self.microBatches = microBatches
    self.statistics = statistics
  }

  package func beginMicroBatch(_ index: Int) { microBatch = index }

  package func needsGradient(of parameter: Parameter) -> Bool { entries[parameter.name] != nil }

  package func consume(_ gradient: Tensor, of parameter: Parameter) throws {
    guard let entry = entries[parameter.name] else { return }
    try entry.gradient.gather(from: gradient, at: entry.index, accumulating: microBatch > 0)
    try finish(entry)
  }

  package func entries(of parameter: Parameter) -> GradientEntries? {
    guard let entry = entries[parameter.name], let rowStart = entry.rowStart else { return nil }
    return GradientEntries(
      index: entry.index, rowStart: rowStart, gradient: entry.gradient, accumulates: microBatch > 0)
  }

  package func consumeEntries(of parameter: Parameter) throws {
    if let entry = entries[parameter.name] { try finish(entry) }
  }

  /// Updates the weights once the last micro-batch's gradient is there.
  private func finish(_ entry: Entry) throws {
    guard microBatch == microBatches - 1 else { return }
    switch options.clipping {
    case .perTensor:
      let factor = try statistics.factor(
        of: entry.gradient, named: entry.parameter.name, maximumNorm: options.maximumGradientNorm)
      try entry.apply(factor, rate: rate)
    case .global:
      try statistics.count(entry.gradient, named: entry.parameter.name)
    }
  }

  package func endStep() throws {
    guard options.clipping == .global else { return }
    let factor = try statistics.factorOfAll(maximumNorm: options.maximumGradientNorm)
    for entry in entries.values { try entry.apply(factor, rate: rate) }
  }

  package var stateByteCount: Int { entries.values.reduce(0) { $0 + $1.byteCount } }

  /// Bytes that it comes to hold for a ticket of `entries` weights of a type: index, gradient, moments and master values; and
  /// one more number for each of `sampledRows`.
  package static func stateByteCount(entries: Int, sampledRows: Int, dtype: DType, optimizer: OptimizerSettings) -> Int
  {
    let wide: DType = dtype == .float64 ? .float64 : .float32
    return DType.int32.byteCount * sampledRows + entries
      * (DType.int32.byteCount + (dtype == wide ? 1 : 2) * wide.byteCount
        + OptimizerState.byteCountAWeight(optimizer, dtype: dtype))
  }
}
