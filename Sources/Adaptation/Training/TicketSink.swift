internal import Checkpoints
package import Decoder
package import Tickets
package import Torch

/// Trains a ticket's weights and nothing else: sparse adaptation (paper, section 3).
///
/// Of each matrix's gradient only the ticket's entries are computed, or gathered, then clipped and applied; every other weight
/// stays bit for bit what it was. State a trained weight: index (int32), the optimizer's moments; gradient (float32), where it has
/// to outlast its matrix's backward pass; and, when the model computes in half precision, a float32 master value, so that small
/// updates are not lost.
package final class TicketSink: TrainingSink {
  private final class Entry {
    let parameter: Parameter
    let index: Tensor
    /// Master values of a half-precision matrix.
    let masters: Tensor?
    /// float32 (float64 for float64 weights).
    let wide: DType
    /// Its own gradient, once one has to be kept.
    private(set) var kept: Tensor?
    /// Where each row's entries begin, when they are computed alone.
    let rowStart: Tensor?
    var state: OptimizerState

    init(_ parameter: Parameter, indices: [Int32], samples: Bool, optimizer: OptimizerSettings) throws {
      self.parameter = parameter
      let device = parameter.value.device
      wide = parameter.value.dtype == .float64 ? .float64 : .float32
      index = try Tensor.from(indices, on: device)
      rowStart = samples ? try Tensor.from(Self.rowStart(indices, shape: parameter.shape), on: device) : nil
      state = OptimizerState(optimizer)
      masters = parameter.value.dtype == wide ? nil : try Self.values(of: parameter, at: index, wide)
    }

    private static func values(of parameter: Parameter, at index: Tensor, _ dtype: DType) throws -> Tensor {
      let values = try Tensor.empty(index.shape, dtype, on: index.device)
      try values.gather(from: parameter.value, at: index)
      return values
    }

    func keptGradient() throws -> Tensor {
      if let kept { return kept }
      let fresh = try Tensor.empty(index.shape, wide, on: index.device)
      kept = fresh
      return fresh
    }

    /// A refused update writes back the values that stand there. Returns them.
    func apply(_ gradient: Tensor, _ factor: GradientFactor, rate: Double) throws -> Tensor {
      let values = try masters ?? Self.values(of: parameter, at: index, wide)
      try state.update(values, gradient: gradient, factor: factor, rate: rate)
      try parameter.value.scatter(values, at: index)
      return values
    }

    /// The trained values as they are kept: masters where there are some.
    var saved: [SavedTensor] {
      let values = SavedTensor("value/\(parameter.name)", shape: index.shape, wide) { [self] in
        try masters ?? Self.values(of: parameter, at: index, wide)
      }
      return [values] + state.saved(parameter.name)
    }

    func restore(_ saved: SavedTensors, steps: Int, _ settings: OptimizerSettings) throws {
      let values = try masters ?? Tensor.empty(index.shape, wide, on: index.device)
      guard try saved.restore("value/\(parameter.name)", into: values) else { return }
      try parameter.value.scatter(values, at: index)
      state = try OptimizerState(settings, restoring: saved, name: parameter.name, steps: steps, weight: values)
    }

    func round(to dtype: DType) throws {
      let values = try masters ?? Self.values(of: parameter, at: index, parameter.value.dtype)
      try parameter.value.scatter(try values.converted(to: dtype).converted(to: parameter.value.dtype), at: index)
    }

    var byteCount: Int {
      [index, kept, masters, rowStart].reduce(state.byteCount) { $0 + ($1?.byteCount ?? 0) }
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
  /// The gradient of one matrix after the other, when each is applied at once.
  private var passing: Tensor?
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
          entries: indices.count, of: entry.name, shape: parameter.shape, parameter.value.dtype, on: model.device),
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
    let place = try self.gradient(of: entry)
    try place.gather(from: gradient, at: entry.index, accumulating: microBatch > 0)
    try finish(entry)
  }

  package func wantsEntries(of parameter: Parameter) -> Bool { entries[parameter.name]?.rowStart != nil }

  package func entries(of parameter: Parameter) throws -> GradientEntries? {
    guard let entry = entries[parameter.name], let rowStart = entry.rowStart else { return nil }
    return GradientEntries(
      index: entry.index, rowStart: rowStart, gradient: try gradient(of: entry), accumulates: microBatch > 0)
  }

  /// Whether gradients must be kept until all of a step are there.
  package static func keepsGradients(microBatches: Int, _ options: TrainingOptions) -> Bool {
    microBatches > 1 || options.updatesAtEnd
  }

  private func gradient(of entry: Entry) throws -> Tensor {
    if entry.kept != nil || Self.keepsGradients(microBatches: microBatches, options) {
      return try entry.keptGradient()
    }
    let count = entry.index.elementCount
    if let passing { return try passing.rows(0..<count) }
    let most = entries.values.reduce(count) { max($0, $1.index.elementCount) }
    let fresh = try Tensor.empty([most], entry.wide, on: entry.index.device)
    passing = fresh
    return try fresh.rows(0..<count)
  }

  package func consumeEntries(of parameter: Parameter) throws {
    if let entry = entries[parameter.name] { try finish(entry) }
  }

  /// Updates the weights once the last micro-batch's gradient is there.
  private func finish(_ entry: Entry) throws {
    guard microBatch == microBatches - 1 else { return }
    let gradient = try gradient(of: entry)
    guard !updatesAtEnd else { return try statistics.count(gradient, named: entry.parameter.name) }
    try update(entry, gradient)
  }

  package var updatesAtEnd: Bool { options.updatesAtEnd }

  package func endStep() throws {
    guard updatesAtEnd else { return }
    let ofAll =
      options.clipping == .global ? try statistics.factorOfAll(maximumNorm: options.maximumGradientNorm) : nil
    for entry in entries.values { try update(entry, try gradient(of: entry), ofAll) }
  }

  private func update(_ entry: Entry, _ gradient: Tensor, _ ofAll: GradientFactor? = nil) throws {
    let name = entry.parameter.name
    let factor =
      try ofAll ?? statistics.factor(of: gradient, named: name, maximumNorm: options.maximumGradientNorm)
    let values = try entry.apply(gradient, factor, rate: rate)
    try statistics.check(values, named: name)
  }

  package func savedTensors() throws -> [SavedTensor] {
    let entries = entries.values.sorted { $0.parameter.name.precedesInBytes($1.parameter.name) }
    return [try SavedSteps.saved(entries.map(\.state))] + entries.flatMap(\.saved)
  }

  package func restore(_ saved: SavedTensors, model: LanguageModel) throws {
    let steps = try SavedSteps.read(saved)
    for entry in entries.values { try entry.restore(saved, steps: steps, options.optimizer) }
  }

  /// Rounds the trained weights, once, to the type that they will be stored in, so that the model in memory is what a reader
  /// of the files gets. For after the last step.
  ///
  /// - Parameter stored: the type of a tensor on disk; nil leaves it alone.
  package func round(to stored: (_ tensor: String) throws -> DType?) throws {
    for (name, entry) in entries {
      guard let dtype = try stored(name), dtype != entry.parameter.value.dtype else { continue }
      try entry.round(to: dtype)
    }
  }

  package var stateByteCount: Int { entries.values.reduce(passing?.byteCount ?? 0) { $0 + $1.byteCount } }

  /// Bytes that it comes to hold for a ticket of `entries` weights of a type: index, moments, master values, and gradients where
  /// they are kept, else those of the matrix with most entries; and one more number for each of `sampledRows`.
  package static func stateByteCount(
    entries: Int, mostInAMatrix: Int, sampledRows: Int, dtype: DType, optimizer: OptimizerSettings, keepsGradients: Bool
  ) -> Int {
    let wide: DType = dtype == .float64 ? .float64 : .float32
    let aWeight =
      DType.int32.byteCount + (dtype == wide ? 0 : wide.byteCount)
      + OptimizerState.byteCountAWeight(optimizer, dtype: dtype)
    return DType.int32.byteCount * sampledRows + aWeight * entries
      + wide.byteCount * (keepsGradients ? entries : mostInAMatrix)
  }
}
