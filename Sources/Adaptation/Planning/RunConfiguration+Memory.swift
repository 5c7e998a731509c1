internal import Checkpoints
internal import Reports

extension RunConfiguration {
  /// Every phase's largest backward pass at once, unless micro-batches of `maximumTokens` split it.
  package func largestPass(rows: [RowSize], maximumTokens: Int?) -> LargestBackwardPass {
    let passes = phases(rowCount: rows.count).map {
      LargestBackwardPass($0.order, rows: rows, maximumTokens: maximumTokens)
    }
    return LargestBackwardPass(
      tokens: passes.map(\.tokens).max() ?? 0, labels: passes.map(\.labels).max() ?? 0,
      passes: passes.map(\.passes).max() ?? 0, shapes: passes.map(\.shapes).max() ?? 0)
  }

  /// A phase of training before it runs.
  struct PlannedPhase {
    let phase: Phase
    let order: BatchOrder
    /// Counted from one, in the phase `iteration`.
    var iteration: Int?
    /// Of the ticket that trains.
    var sparsity: Double?
  }

  /// The run's phases of training, in order.
  func phases(rowCount: Int) -> [PlannedPhase] {
    let order = BatchOrder(training, rowCount: rowCount)
    guard method == .lota else { return [PlannedPhase(phase: .training, order: order)] }
    let calibrates = mask == nil && calibration != .steps(0)
    let calibration = PlannedPhase(
      phase: .calibration, order: BatchOrder(calibrationOptions, rowCount: rowCount))
    let iterated = iterations.enumerated().map {
      PlannedPhase(phase: .iteration, order: order, iteration: $0 + 1, sparsity: $1)
    }
    return (calibrates ? [calibration] : []) + iterated
      + [PlannedPhase(phase: .adaptation, order: order, sparsity: sparsity)]
  }

  /// With the micro-batches that the memory budget allows, where there is one, and a sentence on them.
  ///
  /// - Throws: ``MemoryBudgetError``
  func sizedToMemory(
    _ model: ModelConfiguration, rows: [RowSize], validation: [[RowSize]]
  ) throws -> (configuration: RunConfiguration, note: String?) {
    guard let memoryBudget else { return (self, nil) }
    let whole = largestPass(rows: rows, maximumTokens: nil)
    let budget = MemoryBudget(
      limit: memoryBudget,
      model: try MemoryModel(
        model, run: self, dataTokens: rows.reduce(0) { $0 + $1.tokens }, validation: validation))
    let choice = try budget.choose(whole: whole, longest: rows.map(\.tokens).max() ?? 0)
    var sized = self
    sized.training.microBatchTokens = choice.microBatchTokens
    let size = choice.microBatchTokens.map { "at most \($0) tokens at once" } ?? "whole batches at once"
    return (
      sized,
      "memory budget of \(NumberText.bytes(memoryBudget)): \(size), \(NumberText.bytes(choice.peakBytes)) planned at the peak"
    )
  }
}

extension BatchOrder {
  init(_ options: TrainingOptions, rowCount: Int) {
    let length: Length =
      switch options.length {
      case .steps(let steps): .steps(steps)
      case .epochs(let epochs): .epochs(epochs)
      }
    self.init(
      rowCount: rowCount, batchSize: options.batchSize, seed: options.seed, shuffles: options.shuffles, length: length)
  }
}
