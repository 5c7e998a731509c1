internal import Checkpoints
internal import Decoder
internal import Reports
internal import Tickets
internal import Torch

/// Lottery Ticket Adaptation: calibrate, extract, adapt.
extension TrainingRun {
  /// The mask file's ticket, if one is named. Refuses tickets that do not fit the model, hold no weights, or share some with
  /// earlier ones; and such as will not find enough weights that are free.
  static func checkedTicket(
    _ configuration: RunConfiguration, _ model: LanguageModel, excluded: Mask?
  ) throws -> Mask? {
    if let path = configuration.mask {
      let mask = try Mask(path: path)
      try mask.checkFits(shapes: model.shapes)
      try mask.checkDisjoint(with: excluded)
      guard mask.keptCount > 0 else { throw TrainingError.ticketIsEmpty }
      return mask
    }
    let counts = try configuration.ticketCounts(shapes: model.shapes, excluded: excluded)
    guard counts.allSatisfy({ $0 > 0 }) else { throw TrainingError.ticketIsEmpty }
    return nil
  }

  func adaptTicket(_ recorder: inout Recorder) throws -> RunOutcome {
    let fingerprint = try loaded.fingerprint()
    var (mask, settling, iterations) =
      try keptTicket() ?? ticket(fingerprint: fingerprint, &recorder)
    for number in iterations {
      mask = try nextTicket(
        number, after: mask, sparsity: configuration.sparsities[number], fingerprint: fingerprint, &recorder)
    }
    try mask.checkDisjoint(with: excluded)
    // What calibration held is free by now; adaptation needs less, in other sizes.
    Engine.trimMemory()
    try mask.write(to: directory.maskPath)
    let sink = try TicketSink(configuration.training, mask: mask, model: loaded.model)
    try recorder.train(
      .adaptation, options: configuration.training, rows: rows, model: loaded.model, sink: sink,
      keepBest: {
        try writeAdapter(
          to: directory.bestPath(.lota), mask: mask, fingerprint: fingerprint, steps: keeper.best.step ?? 0,
          overwrite: true)
      })
    try sink.round { try loaded.base.description(of: $0).dtype }
    let steps = recorder.records.count { $0.phase == .adaptation && $0.skipped == nil }
    let adapter = try recorder.measure("writing") {
      try writeAdapter(
        to: directory.adapterPath, mask: mask, fingerprint: fingerprint, steps: steps, overwrite: keeper.resumes)
    }
    return RunOutcome(
      loaded: loaded, records: recorder.records, mask: mask, adapter: adapter, settling: settling, modelPath: nil,
      seconds: recorder.seconds)
  }

  /// Calibration alone: leaves the calibrated model, or, where the ranking does not move the weights, the scores.
  public func calibrate() throws -> RunOutcome { try recorded { try calibrateAlone(&$0) } }

  private func calibrateAlone(_ recorder: inout Recorder) throws -> RunOutcome {
    let names = try configuration.scope.names(in: loaded.model.shapes.keys)
    let fingerprint = try loaded.fingerprint().value
    let (source, settling) = try calibrated(names: names, fingerprint: fingerprint, &recorder)
    let movesWeights = configuration.ranking.movesWeights
    try recorder.measure("writing") {
      if movesWeights {
        try writeModel(to: directory.modelPath, overwrite: keeper.resumes)
      } else {
        try ScoreFile(rankedBy: configuration.ranking.rawValue, baseFingerprint: fingerprint)
          .write(to: directory.scoresPath, names: names, scores: source.tuned)
      }
    }
    return RunOutcome(
      loaded: loaded, records: recorder.records, mask: nil, adapter: nil, settling: settling,
      scoresPath: movesWeights ? nil : directory.scoresPath, modelPath: movesWeights ? directory.modelPath : nil,
      seconds: recorder.seconds)
  }

  // MARK: - Finding a ticket

  /// A ticket, how calibration ended, and the iterations to come.
  private typealias FoundTicket = (mask: Mask, settling: SettlingReport?, iterations: Range<Int>)

  /// The ticket that was being trained when the run was kept; nil where there was none yet.
  private func keptTicket() throws -> FoundTicket? {
    guard let part = keeper.start?.state.part, part.phase != .calibration else { return nil }
    let isIteration = part.phase == .iteration
    let mask = try Mask(path: isIteration ? directory.maskPath(iteration: part.iteration) : directory.maskPath)
    return (mask, keeper.settling, iterations(from: isIteration ? part.iteration : configuration.sparsities.count))
  }

  /// Those of tickets that only find the next, counted from one.
  private func iterations(from first: Int = 1) -> Range<Int> {
    min(first, configuration.sparsities.count)..<configuration.sparsities.count
  }

  /// The first ticket, from a file, at random, or by calibration and extraction; the model holds afterwards what it was opened with.
  private func ticket(
    fingerprint: ModelFingerprint, _ recorder: inout Recorder
  ) throws -> FoundTicket {
    if let mask = givenMask {
      if let made = mask.baseFingerprint, made != fingerprint.value {
        recorder.note("the mask was extracted from another base model; it is used as it is")
      }
      return (mask, nil, iterations())
    }
    let sparsity = configuration.sparsities[0]
    if case .steps(0) = configuration.calibration {
      recorder.note("no calibration steps: the ticket is drawn at random")
      let mask = try TicketSelection.random(
        shapes: configuration.scopedShapes(loaded.model.shapes), amount: .sparsity(sparsity),
        quota: configuration.quota, seed: configuration.training.seed, excluding: excluded,
        baseFingerprint: fingerprint.value)
      return (mask, nil, iterations())
    }
    let names = try configuration.scope.names(in: loaded.model.shapes.keys)
    let (source, settling) = try calibrated(names: names, fingerprint: fingerprint.value, &recorder)
    let mask = try recorder.extract { try source.ticket(sparsity) }
    try loaded.restore()
    return (mask, settling, iterations())
  }

  /// Trains a ticket from the base, extracts the sparser one of what it changed most, and gives the model the base back.
  private func nextTicket(
    _ iteration: Int, after mask: Mask, sparsity: Double, fingerprint: ModelFingerprint, _ recorder: inout Recorder
  ) throws -> Mask {
    Engine.trimMemory()
    try mask.write(to: directory.maskPath(iteration: iteration))
    do {
      let sink = try TicketSink(configuration.training, mask: mask, model: loaded.model)
      try recorder.train(
        .iteration, iteration: iteration, options: configuration.training, rows: rows, model: loaded.model, sink: sink)
    }
    let source = TicketSource(
      base: loaded.base, tuned: LiveWeights(loaded.model), names: mask.entries.map(\.name),
      quota: configuration.quota, excluded: excluded, fingerprint: fingerprint.value)
    let next = try recorder.extract { try source.ticket(sparsity) }
    try loaded.restore()
    return next
  }

  /// Trains all weights that no earlier ticket has, or adds up their gradients, and returns what ranks them. Where adapters are
  /// applied, the model differs from the base's files in excluded weights alone.
  private func calibrated(
    names: [String], fingerprint: String, _ recorder: inout Recorder
  ) throws -> (source: TicketSource, settling: SettlingReport?) {
    let ranking = configuration.ranking
    let sink: any TrainingSink
    let source: () -> TicketSource
    func ranked(_ base: any WeightSource, _ tuned: any WeightSource) -> TicketSource {
      TicketSource(
        base: base, tuned: tuned, names: names, quota: configuration.quota, excluded: excluded, fingerprint: fingerprint
      )
    }
    if ranking.movesWeights {
      noteLostUpdates("the ticket is then hardly better than a random one: calibrate in float32", &recorder)
      sink = DenseSink(configuration.calibrationOptions, excluded: excluded.map(ExcludedWeights.init))
      source = { ranked(loaded.base, LiveWeights(loaded.model)) }
    } else {
      if configuration.rankBy == nil {
        recorder.note(
          "one calibration step: weights are ranked by gradient magnitude, since a first step moves all alike")
      }
      let scores = GradientScores(ranking, names: names)
      sink = scores
      source = { ranked(ZeroWeights(like: loaded.base), scores.source(loaded.model)) }
    }
    let sparsity = configuration.sparsities[0]
    let settling = try recorder.train(
      .calibration, options: configuration.calibrationOptions, rows: rows, model: loaded.model, sink: sink,
      settling: { steps in
        configuration.stopping.map { SettlingMonitor($0, plannedSteps: steps) { try source().ticket(sparsity) } }
      })
    if let settling { recorder.note(settling.text) }
    return (source(), settling)
  }

  // MARK: - The adapter

  @discardableResult
  private func writeAdapter(
    to path: String, mask: Mask, fingerprint: ModelFingerprint, steps: Int, overwrite: Bool
  ) throws -> Adapter {
    let provenance = Adapter.Provenance(method: "lota", training: trainingFacts(steps: steps))
    return try Adapter.write(
      to: path, base: loaded.base, mask: mask, provenance: provenance, fingerprint: fingerprint, overwrite: overwrite
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
      "steps": "\(steps)", "data_sha256": inputs.data,
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
}

/// What ranks the weights in scope, and how a ticket is taken from it.
private struct TicketSource {
  let base: any WeightSource
  let tuned: any WeightSource
  let names: [String]
  let quota: TicketSelection.Quota
  let excluded: Mask?
  let fingerprint: String

  func ticket(_ sparsity: Double) throws -> Mask {
    try TicketSelection.select(
      base: base, tuned: tuned, names: names, amount: .sparsity(sparsity), quota: quota, excluding: excluded,
      baseFingerprint: fingerprint)
  }
}

extension SettlingReport {
  /// `calibration ended after 20 of 63 steps ...`
  var text: String {
    let last =
      checks.last?.overlap.map { "the last two tickets share \(NumberText.percent($0))" } ?? "no two tickets to compare"
    let end =
      isSettled
      ? "its ticket settled after \(steps) of \(plannedSteps) steps" : "its ticket did not settle in \(steps) steps"
    return "calibration: \(end) (\(last); asked for \(NumberText.percent(stopping.overlap)) between tickets "
      + "\(stopping.interval) steps apart); \(checks.count) looks took \(NumberText.duration(checkSeconds))"
  }
}
