public import Checkpoints
public import Decoder
internal import Tickets
internal import Tokenizers
internal import Torch

/// What a run will hold and how long it will take, computed before anything of it runs.
public struct TrainingPlan: Encodable, Equatable, Sendable {
  public struct PhasePlan: Encodable, Equatable, Sendable {
    public let phase: Phase
    /// Which of the tickets that only find the next, counted from one.
    public let iteration: Int?
    public let steps: Int
    public let tokens: Int
    public let labels: Int
    /// Floating-point operations that the phase needs.
    public let operations: Double
    /// nil when no rate is known.
    public let seconds: Double?

    /// As reports name it.
    public var name: String { MetricsRecord.name(of: phase, iteration: iteration) }
  }

  /// Scores of held-out rows while the result trains.
  public struct ValidationPlan: Encodable, Equatable, Sendable {
    /// How often each file is scored.
    public let scores: Int
    /// Of all files.
    public let rows: Int
    /// Tokens scored in all.
    public let tokens: Int
    public let operations: Double
    /// nil when no rate is known.
    public let seconds: Double?
  }

  public let method: TrainingMethod
  public let device: String
  /// Type to compute in.
  public let dtype: String
  public let parameters: Int
  public let scoped: Int
  /// Weights in the ticket; nil where there is none.
  public let ticket: Int?
  /// Weights in scope that belong to excluded tickets, where the run excludes any.
  public let excluded: Int?
  /// Numbers in all low-rank matrices; nil where there are none.
  public let lowRank: Int?
  public let rows: Int
  public let batchSize: Int
  /// Tokens of the largest backward pass.
  public let passTokens: Int
  /// Backward passes of the largest step.
  public let passesAStep: Int
  public let activations: ActivationPolicy
  public let phases: [PhasePlan]
  /// nil where no held-out file is named.
  public let validation: ValidationPlan?
  public let memory: MemoryPlan
  /// Bytes on disk of the adapter, or of the model after full fine-tuning.
  public let resultBytes: Int
  public let rate: ComputeRate?
  /// Training and scores; reading the model, extraction and writing take seconds. nil when no rate is known.
  public let seconds: Double?
  /// What a memory budget led to.
  public let note: String?

  /// - Parameters:
  ///   - run: of which only the model's configuration and `rows` count; no file is read, but for excluded tickets.
  ///   - rows: lengths of all rows.
  ///   - validation: lengths of each held-out file's rows.
  ///   - rate: for the time; nil leaves it open.
  /// - Throws: ``TrainingError``; ``MemoryBudgetError``; `TicketsError.capacityTooSmall` when excluded tickets leave too little.
  public init(
    _ run: RunConfiguration, model: ModelConfiguration, rows: [RowSize], validation: [[RowSize]] = [],
    rate: ComputeRate?
  ) throws {
    try run.validate()
    try run.layers.check(layerCount: model.layerCount)
    let (sized, note) = try run.sizedToMemory(model, rows: rows, validation: validation)
    let memoryModel = try MemoryModel(
      model, run: sized, dataTokens: rows.reduce(0) { $0 + $1.tokens }, validation: validation)
    let pass = sized.largestPass(rows: rows, maximumTokens: sized.training.microBatchTokens)
    let tensors = try model.expectedTensors()
    excluded = try Self.excludedCount(sized, tensors)
    method = sized.method
    device = sized.device
    dtype = memoryModel.dtype.configurationName
    parameters = tensors.reduce(0) { $0 + $1.elementCount }
    scoped = memoryModel.scopedCount
    ticket = sized.method == .lota ? try memoryModel.ticketCount(sized.sparsity) : nil
    self.rows = rows.count
    batchSize = sized.training.batchSize
    passTokens = pass.tokens
    passesAStep = pass.passes
    activations = sized.training.activations
    memory = try memoryModel.plan(pass)
    phases = try sized.phases(rowCount: rows.count).map {
      try PhasePlan($0, rows: rows, run: sized, model: model, memory: memoryModel, rate: rate)
    }
    self.validation = try ValidationPlan(
      validation, steps: phases.last?.steps ?? 0, run: sized, model: model, memory: memoryModel, rate: rate)
    lowRank = sized.method == .lora ? memoryModel.lowRankCount : nil
    let stored = model.dtype ?? .float32
    resultBytes =
      switch sized.method {
      case .lota: (ticket ?? 0) * (4 + stored.byteCount)
      case .lora: (lowRank ?? 0) * DType.float32.byteCount
      case .fft: parameters * stored.byteCount
      }
    self.rate = rate
    let times = phases.compactMap(\.seconds)
    seconds = times.count == phases.count ? times.reduce(self.validation?.seconds ?? 0, +) : nil
    self.note = note
  }

  /// Weights in scope that excluded tickets have; nil where no ticket is trained or none excluded. Checks that enough are left, as
  /// the run does before it begins.
  private static func excludedCount(_ run: RunConfiguration, _ tensors: [TensorDescription]) throws -> Int? {
    guard run.method == .lota else { return nil }
    if let dense = run.adapters.first(where: LoRAAdapter.isPEFT) {
      throw TrainingError.ticketOnDenseAdapter(path: dense)
    }
    let shapes = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.shape) })
    let excluded = try Mask.union(of: run.excludedTickets, shapes: shapes)
    if run.mask == nil { _ = try run.ticketCounts(shapes: shapes, excluded: excluded) }
    return try excluded.map { try TicketCapacity(shapes: try run.scopedShapes(shapes), taken: $0).taken }
  }
}

extension TrainingPlan.PhasePlan {
  init(
    _ planned: RunConfiguration.PlannedPhase, rows: [RowSize], run: RunConfiguration, model: ModelConfiguration,
    memory: MemoryModel, rate: ComputeRate?
  ) throws {
    let (phase, order) = (planned.phase, planned.order)
    var work = StepWork()
    order.forEachStep { chosen in
      for row in chosen { work.add(rows[row], window: model.slidingWindow) }
    }
    let isLowRank = run.method == .lora
    let trainsAll = (phase == .training && !isLowRank) || (phase == .calibration && run.ranking.movesWeights)
    func operations(_ weightShare: Double) throws -> Double {
      try work.operations(
        model, activations: run.training.activations, weightShare: weightShare,
        lowRankCount: isLowRank ? memory.lowRankCount : 0
      ) { name in
        (trainsAll && run.layers.trains(name)) || (!trainsAll && !isLowRank && run.scope.contains(name))
      }
    }
    let isSampled = planned.sparsity.map(memory.samplesTicket) ?? false
    let density = 1 - (planned.sparsity ?? 0)
    self.phase = phase
    iteration = planned.iteration
    steps = order.stepCount
    tokens = work.tokens
    labels = work.labels
    self.operations = try operations(isSampled ? density : 1)
    let spent = try operations(isSampled ? TicketGradient.timeShare(density: density) : 1)
    // A dense update reads gradient, weight and moments and writes two of them; a gathered one reads the gradients.
    let weights =
      try isLowRank
      ? memory.lowRankCount
      : trainsAll
        ? model.expectedTensors().reduce(0) { $0 + (run.layers.trains($1.name) ? $1.elementCount : 0) }
        : memory.scopedCount
    let moved = Double(order.stepCount) * Double(weights) * (trainsAll || isLowRank ? 28 : 8)
    seconds = rate.map { rate in
      spent / (rate.productOperationsPerSecond * ComputeRate.stepEfficiency)
        + (rate.bytesPerSecond.map { moved / $0 } ?? 0)
    }
  }
}

extension TrainingPlan.ValidationPlan {
  /// nil where there are no files.
  ///
  /// - Parameters:
  ///   - files: rows of each.
  ///   - steps: of the phase in which the result trains.
  init?(
    _ files: [[RowSize]], steps: Int, run: RunConfiguration, model: ModelConfiguration, memory: MemoryModel,
    rate: ComputeRate?
  ) throws {
    guard !files.isEmpty else { return nil }
    var work = StepWork()
    for row in files.joined() { work.add(row, window: model.slidingWindow) }
    scores = run.validation.count(steps: steps)
    rows = files.joined().count
    tokens = scores * work.tokens
    let once = try work.forwardOperations(model, lowRankCount: run.method == .lora ? memory.lowRankCount : 0)
    operations = Double(scores) * once
    seconds = rate.map { [operations] in operations / ($0.productOperationsPerSecond * ComputeRate.stepEfficiency) }
  }
}

/// Where the lengths of rows to plan for come from.
public enum PlannedRows {
  /// A file's rows and those replayed, and each held-out file's, by the tokenizer of the model directory.
  ///
  /// - Throws: ``TrainingDataError``, `TokenizerError`, ``CheckpointError``.
  public static func read(_ run: RunConfiguration) throws -> (rows: [RowSize], validation: [[RowSize]]) {
    let tokenizer = try Tokenizer(directory: run.model)
    let chat = try ChatTemplate.load(directory: run.model).map { ChatRenderer($0, tokenizer: tokenizer) }
    return (
      try RunRows(run, tokenizer: tokenizer, chat: chat).rows.map(RowSize.init),
      try Validator(run, tokenizer: tokenizer, chat: chat)?.rowSizes ?? []
    )
  }

  /// Rows of one length.
  ///
  /// - Parameter labels: of each; nil: all tokens but the first, which is the most there can be.
  public static func uniform(count: Int, tokens: Int, labels: Int?) -> [RowSize] {
    [RowSize](repeating: RowSize(tokens: tokens, labels: labels ?? max(1, tokens - 1)), count: count)
  }
}
