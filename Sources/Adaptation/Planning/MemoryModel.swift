package import Checkpoints
internal import Decoder
internal import Tickets
package import Torch

/// Computes a run's memory from its configuration, buffer by buffer as the code allocates them.
///
/// The workspace's buffers come from the layout that training itself reserves, the sinks' from the sinks. What remains are
/// constants that were measured: the program with libtorch, and a tokenizer's tables.
package struct MemoryModel {
  private let model: ModelConfiguration
  private let run: RunConfiguration
  private let device: Device
  package let dtype: DType
  private let tensors: [TensorDescription]
  /// Tokens of all rows.
  private let dataTokens: Int
  /// Rows of each held-out file.
  private let validation: [[RowSize]]
  /// Weights of excluded tickets, where each takes an index: on devices.
  private let indexedCount: Int

  /// - Parameters:
  ///   - dataTokens: of all rows to train on.
  ///   - validation: rows of each held-out file.
  package init(
    _ model: ModelConfiguration, run: RunConfiguration, dataTokens: Int, validation: [[RowSize]] = []
  ) throws {
    self.model = model
    self.run = run
    self.validation = validation
    self.dataTokens = validation.joined().reduce(dataTokens) { $0 + $1.tokens }
    device = try run.computeDevice()
    dtype = try run.computeType() ?? LanguageModel.defaultType(of: model, on: device)
    tensors = try model.expectedTensors()
    let shapes = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.shape) })
    indexedCount = try device == .cpu ? 0 : Mask.union(of: run.excludedTickets, shapes: shapes)?.keptCount ?? 0
  }

  /// The same run with recomputed activations; nil when it recomputes them already.
  package var recomputing: MemoryModel? {
    get throws {
      guard run.training.activations != .recompute else { return nil }
      var run = run
      run.training.activations = .recompute
      return try MemoryModel(model, run: run, dataTokens: dataTokens, validation: validation)
    }
  }

  /// - Parameter pass: the largest of all phases.
  package func plan(_ pass: LargestBackwardPass) throws -> MemoryPlan {
    switch run.method {
    case .fft: MemoryPlan([loading, dense("training", pass, scores: true)])
    case .lora: MemoryPlan([loading, lowRank(pass)])
    case .lota:
      MemoryPlan(
        [loading] + finding(pass) + (try iterations(pass)) + [try adaptation(pass, run.sparsity, scores: true)])
    }
  }

  // MARK: - Phases

  private var loading: MemoryPlan.Phase {
    let largest = onHost(tensors.map(\.byteCount).max() ?? 0)
    return MemoryPlan.Phase("loading", resident + [part("conversion", dtype == .float32 ? 0 : largest)])
  }

  /// Calibration and extraction, where the run does them.
  private func finding(_ pass: LargestBackwardPass) -> [MemoryPlan.Phase] {
    if run.mask != nil { return [] }
    if run.calibration == .steps(0) { return [MemoryPlan.Phase("extraction", masks)] }
    let ranking = run.ranking
    guard !ranking.movesWeights else {
      return [dense("calibration", pass, looking: looks), extraction(step(pass) { _ in .whole })]
    }
    let state = GradientScores.stateByteCounts(
      weights: scopedCount, dtype: dtype, ranking: ranking, accumulates: pass.passes > 1)
    let scores =
      [part("scores of the weights in scope", state.sums), part("gradients of a step", state.stepGradients)]
      + step(pass) { run.scope.contains($0) ? .whole : .none }
    return [MemoryPlan.Phase("calibration", resident + scores + looks), extraction(scores)]
  }

  /// Tickets that only find the next.
  private func iterations(_ pass: LargestBackwardPass) throws -> [MemoryPlan.Phase] {
    try run.iterations.enumerated().flatMap { number, sparsity in
      let training = try adaptation(pass, sparsity, name: "iteration \(number + 1)")
      return [training, extraction(step(pass, demand: demand(sparsity)), after: "iteration \(number + 1)")]
    }
  }

  private var masks: [MemoryPlan.Part] { resident + [part("mask", 2 * maskBytes)] }
  private var scan: MemoryPlan.Part { part("scan", onHost(min(Self.scanBytes, 8 * scopedCount))) }

  /// What looking at the ticket during calibration takes: two masks and the selection.
  private var looks: [MemoryPlan.Part] {
    run.stopping == nil ? [] : [part("tickets to compare", 2 * maskBytes), scan]
  }

  /// The step's buffers wait for adaptation.
  private func extraction(_ buffers: [MemoryPlan.Part], after phase: String? = nil) -> MemoryPlan.Phase {
    MemoryPlan.Phase(
      phase.map { "extraction after \($0)" } ?? "extraction",
      masks + [scan, part("buffers of the step", buffers.reduce(0) { $0 + $1.bytes })])
  }

  private func dense(
    _ name: String, _ pass: LargestBackwardPass, scores: Bool = false, looking: [MemoryPlan.Part] = []
  ) -> MemoryPlan.Phase {
    let weights = tensors.reduce(0) { $0 + (run.layers.trains($1.name) ? $1.elementCount : 0) }
    let state = DenseSink.stateByteCounts(
      weights: weights, dtype: dtype, optimizer: run.training.optimizer, accumulates: pass.passes > 1)
    let indices = ExcludedWeights.byteCount(excluded: indexedCount)
    return MemoryPlan.Phase(
      name,
      resident + [part("optimizer", state.optimizer), part("summed gradients", state.accumulated)]
        + (indices > 0 ? [part("places of excluded weights", indices)] : [])
        + step(pass, scores: scores) { run.layers.trains($0) ? .whole : .none } + looking)
  }

  private func lowRank(_ pass: LargestBackwardPass) -> MemoryPlan.Phase {
    let additions = run.lora.additions(in: run.layers)
    let count = additions.parameterCount(model)
    let state = LowRankSink.stateByteCounts(
      count: count, dtype: dtype, options: run.training, accumulates: pass.passes > 1)
    return MemoryPlan.Phase(
      "training",
      resident + [
        part("low-rank matrices", count * dtype.byteCount), part("optimizer", state.optimizer),
        part("summed gradients", state.gradients),
      ] + step(pass, scores: true, lowRank: additions) { _ in .none })
  }

  private func adaptation(
    _ pass: LargestBackwardPass, _ sparsity: Double, name: String = "adaptation", scores: Bool = false
  ) throws -> MemoryPlan.Phase {
    let kept = try ticketCount(sparsity)
    let sampled = tensors.filter { isSampled($0, sparsity) }
    let rows = sampled.reduce(0) { $0 + ($1.shape.first ?? 0) + 1 }
    let largest = tensors.reduce(0) { max($0, entryCount($1, sparsity)) }
    let state = TicketSink.stateByteCount(
      entries: kept, mostInAMatrix: largest, sampledRows: rows, dtype: dtype, optimizer: run.training.optimizer,
      keepsGradients: TicketSink.keepsGradients(microBatches: pass.passes, run.training))
    let masters = dtype == wide ? 0 : kept * wide.byteCount
    return MemoryPlan.Phase(
      name,
      resident + [
        part("mask", maskBytes), part("ticket: indices, gradients, moments", state - masters),
        part("ticket: float32 master values", masters),
      ]
        + step(pass, scores: scores, demand: demand(sparsity)))
  }

  /// What a ticket's sink asks for of the parameter of a name.
  private func demand(_ sparsity: Double) -> (String) -> GradientDemand {
    let sampled = Set(tensors.filter { isSampled($0, sparsity) }.map(\.name))
    return { run.scope.contains($0) ? sampled.contains($0) ? .entries : .whole : .none }
  }

  /// Whether every matrix's entries are computed alone.
  package func samplesTicket(_ sparsity: Double) -> Bool {
    tensors.allSatisfy { TicketScope.Weight(name: $0.name) == nil || isSampled($0, sparsity) }
  }

  private func isSampled(_ tensor: TensorDescription, _ sparsity: Double) -> Bool {
    run.scope.contains(tensor.name)
      && run.training.ticketGradient.samples(
        entries: entryCount(tensor, sparsity), of: tensor.name, shape: tensor.shape, dtype, on: device)
  }

  /// Weights of a tensor in the ticket, as if that were spread evenly.
  private func entryCount(_ tensor: TensorDescription, _ sparsity: Double) -> Int {
    run.scope.contains(tensor.name) ? Int((1 - sparsity) * Double(tensor.elementCount)) : 0
  }

  // MARK: - Parts

  /// What every phase holds.
  private var resident: [MemoryPlan.Part] {
    [
      part("program and libtorch", onHost(Self.programBytes)),
      part("tokenizer and rows", onHost(model.vocabularySize * Self.tokenizerBytesAToken + dataTokens * 4)),
      part("weights", weightCount * dtype.byteCount),
    ] + (run.excludedTickets.isEmpty ? [] : [part("mask of excluded tickets", maskBytes)])
  }

  /// The step's buffers, by what they are for.
  ///
  /// - Parameter scores: whether held-out rows are scored in the same buffers.
  private func step(
    _ pass: LargestBackwardPass, scores: Bool = false, lowRank: LowRankSettings? = nil,
    demand: (String) -> GradientDemand
  ) -> [MemoryPlan.Part] {
    var layout = WorkspaceLayout(
      model, dtype: dtype, on: device, tokens: pass.tokens, labels: pass.labels, activations: run.training.activations,
      lowRank: lowRank, demand: demand)
    var shapes = min(pass.shapes, Self.compiledShapes)
    if scores, !validation.isEmpty {
      let scoring = scoringPass(beside: pass)
      layout.addScoring(model, tokens: scoring.tokens, labels: scoring.labels, lowRank: lowRank)
      shapes = min(shapes + scoring.shapes, Self.compiledShapes)
    }
    let bytes = layout.byteCounts
    func sum(_ roles: [Workspace.Role]) -> Int { roles.reduce(0) { $0 + (bytes[$1] ?? 0) } }
    let kept = sum([.residual, .middle, .queryKeyValue, .attended, .logSumExp, .gateUp])
    let scratch = sum([.scratch])
    let embedding = sum([.embeddingGradient])
    return [
      part("activations kept for backward", kept), part("logits of some labels, or gradient of one matrix", scratch),
      part("gradient of the embedding", embedding),
      part("compiled products", onHost(shapes * Self.compiledBytesAShape)),
      part("passing buffers", layout.byteCount - kept - scratch - embedding),
    ]
  }

  /// Held-out rows are scored in passes no larger than those that a memory budget splits steps into.
  private func scoringPass(beside pass: LargestBackwardPass) -> ScoringPass {
    let limit = run.training.microBatchTokens == nil && pass.passes > 1 ? pass.tokens : Int.max
    return ScoringPass(validation, maximumTokens: min(run.validationPassTokens, limit))
  }

  private func part(_ name: String, _ bytes: Int) -> MemoryPlan.Part { MemoryPlan.Part(name: name, bytes: bytes) }

  private func onHost(_ bytes: Int) -> Int { device == .cpu ? bytes : 0 }

  // MARK: - Counts

  private var wide: DType { dtype == .float64 ? .float64 : .float32 }
  private var weightCount: Int { tensors.reduce(0) { $0 + $1.elementCount } }
  package var scopedCount: Int {
    tensors.filter { run.scope.contains($0.name) }.reduce(0) { $0 + $1.elementCount }
  }
  private var maskBytes: Int { onHost(scopedCount / 8) }

  /// Numbers in all low-rank matrices.
  package var lowRankCount: Int { run.lora.additions(in: run.layers).parameterCount(model) }

  /// Weights in the ticket of a sparsity.
  package func ticketCount(_ sparsity: Double) throws -> Int {
    let scoped = Dictionary(
      uniqueKeysWithValues: tensors.filter { run.scope.contains($0.name) }.map { ($0.name, $0.shape) })
    return try TicketSelection.count(.sparsity(sparsity), shapes: scoped, quota: run.quota)
  }

  /// Resident size of a program that has loaded a tiny model and trained it (Linux x86-64, libtorch 2.13 for the CPU).
  private static let programBytes = 180_000_000
  /// Vocabulary, merges and word cache.
  private static let tokenizerBytesAToken = 400
  /// oneDNN's kernels for one number of tokens, and for how many numbers they add up.
  private static let compiledBytesAShape = 2_700_000
  private static let compiledShapes = 24
  /// Histograms, chunk buffers and the candidates at the threshold; less for tiny models.
  private static let scanBytes = 40_000_000
}
