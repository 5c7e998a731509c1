internal import Checkpoints
internal import Decoder
internal import Foundation
public import Tickets
internal import Torch
internal import Yams

/// What a run tells its observer.
public enum RunEvent: Sendable {
  case data(DataSummary)
  case phaseBegan(Phase, steps: Int)
  case step(StepReport)
  case phaseEnded(Phase, seconds: Double)
  /// Something a user should know, in one line.
  case note(String)
  case extracted(Mask, seconds: Double)
  /// Held-out rows scored after a step, a record a file.
  case validated([ValidationRecord])
}

/// What a finished run leaves.
public struct RunOutcome {
  /// With the trained weights in memory.
  public let loaded: LoadedModel
  public let records: [MetricsRecord]
  /// Held-out scores on the way.
  public var validations: [ValidationRecord] = []
  /// nil for full fine-tuning.
  public let mask: Mask?
  public let adapter: Adapter?
  /// Of low-rank adaptation.
  public var lora: LoRAAdapter?
  /// The trained model, for full fine-tuning.
  public let modelPath: String?
  /// Wall-clock seconds a part: `calibration`, `extraction`, `adaptation` or `training`, `writing`.
  public let seconds: [(part: String, seconds: Double)]
}

/// One training run from a model directory and rows to an adapter (LoTA, LoRA) or a model (full fine-tuning), in a run directory.
public struct TrainingRun {
  public let configuration: RunConfiguration
  public let directory: RunDirectory
  /// The model that is trained, in place.
  public let loaded: LoadedModel
  let rows: [TokenizedRow]
  private let validator: Validator?
  /// SHA-256 of the file of rows, lower-case hex.
  private let dataDigest: String
  /// The ticket of a mask file; nil when calibration finds it.
  private let givenMask: Mask?
  /// Weights of earlier tickets.
  private let excluded: Mask?
  private let observe: (RunEvent) -> Disposition

  /// Reads the model, every row and the mask, and creates the run directory: whatever is wrong with them is said before
  /// training, and leaves nothing behind.
  ///
  /// - Throws: ``TrainingError``, ``TrainingDataError``, ``CheckpointError``, `TokenizerError`, `TicketsError`.
  public init(
    _ configuration: RunConfiguration, output: String, observe: @escaping (RunEvent) -> Disposition = { _ in .proceed }
  ) throws {
    try configuration.validate()
    try RunDirectory.checkCreatable(output)
    if configuration.method == .lota, let dense = configuration.adapters.first(where: LoRAAdapter.isPEFT) {
      throw TrainingError.ticketOnDenseAdapter(path: dense)
    }
    loaded = try LoadedModel(
      directory: configuration.model, dtype: try configuration.computeType(),
      device: try configuration.computeDevice(), adapters: configuration.adapters)
    try configuration.layers.check(layerCount: loaded.model.configuration.layerCount)
    let data = try RunRows(configuration, tokenizer: loaded.tokenizer, chat: loaded.chatRenderer)
    rows = data.rows
    validator = try Validator(configuration, tokenizer: loaded.tokenizer, chat: loaded.chatRenderer)
    dataDigest = try FileSystem.read(configuration.data).withUnsafeBytes(ModelFingerprint.digest(of:))
    excluded = try Mask.union(of: configuration.excludedTickets, shapes: loaded.model.shapes)
    givenMask =
      try configuration.method == .lota ? Self.checkedTicket(configuration, loaded.model, excluded: excluded) : nil
    var (sized, note) = try configuration.sizedToMemory(loaded.model.configuration, rows: rows.map(RowSize.init))
    sized.replay.rows = data.replayed
    self.configuration = sized
    self.observe = observe
    directory = try RunDirectory(create: output, configuration: sized)
    _ = observe(.data(data.summary))
    for note in [note, sized.adaptersNote].compactMap({ $0 }) { _ = observe(.note(note)) }
  }

  public func run() throws -> RunOutcome {
    var recorder = try Recorder(directory, validator: validator, observe: observe)
    var outcome =
      switch configuration.method {
      case .lota: try adaptTicket(&recorder)
      case .fft: try fineTune(&recorder)
      case .lora: try adaptLowRank(&recorder)
      }
    outcome.validations = recorder.validations
    return outcome
  }

  // MARK: - Lottery Ticket Adaptation

  /// The mask file's ticket, if one is named. Refuses tickets that do not fit the model, hold no weights, or share some with
  /// earlier ones; and such as will not find enough weights that are free.
  private static func checkedTicket(
    _ configuration: RunConfiguration, _ model: LanguageModel, excluded: Mask?
  ) throws -> Mask? {
    let mask = try configuration.mask.map { try Mask(path: $0) }
    try mask?.checkFits(shapes: model.shapes)
    try mask?.checkDisjoint(with: excluded)
    let kept =
      try mask?.keptCount
      ?? TicketSelection.count(
        .sparsity(configuration.sparsity), shapes: model.scopedShapes, excluding: excluded)
    guard kept > 0 else { throw TrainingError.ticketIsEmpty }
    return mask
  }

  private func adaptTicket(_ recorder: inout Recorder) throws -> RunOutcome {
    let fingerprint = try ModelFingerprint(loaded.base)
    let mask = try ticket(fingerprint: fingerprint, &recorder)
    try mask.checkDisjoint(with: excluded)
    // What calibration held is free by now; adaptation needs less, in other sizes.
    Engine.trimMemory()
    try mask.write(to: directory.maskPath)
    let sink = try TicketSink(configuration.training, mask: mask, model: loaded.model)
    try recorder.train(.adaptation, options: configuration.training, rows: rows, model: loaded.model, sink: sink)
    try sink.round { try loaded.base.description(of: $0).dtype }
    let steps = recorder.records.count { $0.phase == .adaptation }
    let adapter = try recorder.measure("writing") {
      try writeAdapter(mask: mask, fingerprint: fingerprint, steps: steps)
    }
    return RunOutcome(
      loaded: loaded, records: recorder.records, mask: mask, adapter: adapter, modelPath: nil, seconds: recorder.seconds
    )
  }

  /// The ticket, from a file, at random, or by calibration and extraction; the model holds afterwards what it was opened with.
  private func ticket(fingerprint: ModelFingerprint, _ recorder: inout Recorder) throws -> Mask {
    let model = loaded.model
    let names = TicketScope.scopedNames(of: model.parameters.map(\.name))
    if let mask = givenMask {
      if let made = mask.baseFingerprint, made != fingerprint.value {
        recorder.note("the mask was extracted from another base model; it is used as it is")
      }
      return mask
    }
    if case .steps(0) = configuration.calibration {
      recorder.note("no calibration steps: the ticket is drawn at random")
      return try TicketSelection.random(
        shapes: model.scopedShapes, amount: .sparsity(configuration.sparsity), seed: configuration.training.seed,
        excluding: excluded, baseFingerprint: fingerprint.value)
    }
    let (base, tuned) = try calibrated(names: names, &recorder)
    let mask = try recorder.extract {
      try TicketSelection.select(
        base: base, tuned: tuned, names: names, amount: .sparsity(configuration.sparsity), excluding: excluded,
        baseFingerprint: fingerprint.value)
    }
    try loaded.restore()
    return mask
  }

  /// Trains all weights that no earlier ticket has, and returns the two sources whose difference ranks them. Where adapters
  /// are applied, the model differs from the base's files in excluded weights alone.
  private func calibrated(
    names: [String], _ recorder: inout Recorder
  ) throws -> (base: any WeightSource, tuned: any WeightSource) {
    let options = configuration.calibrationOptions
    if case .steps(1) = configuration.calibration {
      recorder.note(
        "one calibration step: weights are ranked by gradient magnitude, since a first step moves all alike")
      let sink = GradientMagnitudes(scopedNames: names)
      try recorder.train(.calibration, options: options, rows: rows, model: loaded.model, sink: sink)
      return (ZeroWeights(like: loaded.base), sink.source())
    }
    noteLostUpdates("the ticket is then hardly better than a random one: calibrate in float32", &recorder)
    let sink = DenseSink(options, excluded: excluded.map(ExcludedWeights.init))
    try recorder.train(.calibration, options: options, rows: rows, model: loaded.model, sink: sink)
    return (loaded.base, LiveWeights(loaded.model))
  }

  /// Training of all weights has no master values.
  private func noteLostUpdates(_ advice: String, _ recorder: inout Recorder) {
    let type = loaded.model.dtype
    guard type == .bfloat16 || type == .float16 else { return }
    recorder.note("\(type.configurationName) weights lose updates that are small beside them; \(advice)")
  }

  private func writeAdapter(mask: Mask, fingerprint: ModelFingerprint, steps: Int) throws -> Adapter {
    let provenance = Adapter.Provenance(method: "lota", training: trainingFacts(steps: steps))
    return try Adapter.write(
      to: directory.adapterPath, base: loaded.base, mask: mask, provenance: provenance, fingerprint: fingerprint
    ) { tensor, indices in
      guard let parameter = loaded.model.parameter(named: tensor.name) else {
        throw CheckpointError.tensorNotFound(name: tensor.name, path: "the model in memory")
      }
      let values = try Tensor.empty([indices.count], tensor.dtype)
      try values.gather(from: try parameter.value.stored(as: tensor.dtype), at: try Tensor.from(indices))
      return try values.withBytes { Array($0) }
    }
  }

  /// What the adapter says about its making.
  private func trainingFacts(steps: Int) -> [String: String] {
    let training = configuration.training
    var facts = [
      "steps": "\(steps)", "data_sha256": dataDigest,
      "optimizer": training.optimizer.name, "learning_rate": "\(training.learningRate)",
      "batch_size": "\(training.batchSize)", "loss": training.loss.rawValue, "seed": "\(training.seed)",
      "rows": "\(rows.count)",
    ]
    let replayed = configuration.replay.rows.reduce(0, +)
    if replayed > 0 { facts["replayed_rows"] = "\(replayed)" }
    if !loaded.adapters.isEmpty {
      facts["prerequisites"] = loaded.adapters.map(\.prerequisite).sorted().joined(separator: ", ")
    }
    return facts
  }

  // MARK: - Full fine-tuning

  private func fineTune(_ recorder: inout Recorder) throws -> RunOutcome {
    noteLostUpdates("train in float32", &recorder)
    let sink = DenseSink(
      configuration.training, excluded: excluded.map(ExcludedWeights.init), trains: configuration.layers.trains)
    try recorder.train(.training, options: configuration.training, rows: rows, model: loaded.model, sink: sink)
    try recorder.measure("writing") {
      try loaded.model.write(to: directory.modelPath, like: loaded.base, from: loaded.directory)
    }
    return RunOutcome(
      loaded: loaded, records: recorder.records, mask: nil, adapter: nil, modelPath: directory.modelPath,
      seconds: recorder.seconds)
  }
}

/// Trains phases while writing metrics, timing parts and telling the observer.
struct Recorder {
  private let metrics: MetricsWriter
  private let observe: (RunEvent) -> Disposition
  private let clock = ContinuousClock()
  private(set) var records: [MetricsRecord] = []
  private(set) var validations: [ValidationRecord] = []
  private let validator: Validator?
  private let validation: ValidationWriter?
  private(set) var seconds: [(part: String, seconds: Double)] = []

  init(_ directory: RunDirectory, validator: Validator?, observe: @escaping (RunEvent) -> Disposition) throws {
    metrics = try MetricsWriter(path: directory.metricsPath)
    self.validator = validator
    validation = try validator.map { _ in try ValidationWriter(path: directory.validationPath) }
    self.observe = observe
  }

  func note(_ text: String) { _ = observe(.note(text)) }

  mutating func train(
    _ phase: Phase, options: TrainingOptions, rows: [TokenizedRow], model: LanguageModel, sink: any TrainingSink
  ) throws {
    let loop = try TrainingPhase(phase, options: options, rows: rows)
    _ = observe(.phaseBegan(phase, steps: loop.order.stepCount))
    var finished: [MetricsRecord] = []
    var scored: [ValidationRecord] = []
    var scoring = Duration.zero
    let elapsed =
      try clock.measure {
        try loop.run(model, sink: sink) { report in
          finished.append(report.record)
          try metrics.write(report.record)
          let disposition = observe(.step(report))
          if let validator, validator.isDue(report) {
            scoring += try clock.measure {
              let records = try validator.records(model, after: report)
              try validation?.write(records)
              scored += records
              _ = observe(.validated(records))
            }
          }
          return disposition
        }
      } - scoring
    records += finished
    validations += scored
    seconds.append((phase.rawValue, elapsed / .seconds(1)))
    if scoring > .zero { seconds.append(("validation", scoring / .seconds(1))) }
    _ = observe(.phaseEnded(phase, seconds: elapsed / .seconds(1)))
  }

  mutating func extract(_ body: () throws -> Mask) throws -> Mask {
    let start = clock.now
    let mask = try body()
    let elapsed = (clock.now - start) / .seconds(1)
    seconds.append(("extraction", elapsed))
    _ = observe(.extracted(mask, seconds: elapsed))
    return mask
  }

  mutating func measure<Result>(_ part: String, _ body: () throws -> Result) throws -> Result {
    let start = clock.now
    let result = try body()
    seconds.append((part, (clock.now - start) / .seconds(1)))
    return result
  }
}
