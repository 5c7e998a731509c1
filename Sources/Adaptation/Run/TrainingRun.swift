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
  /// Where calibration was to end by itself.
  public var settling: SettlingReport?
  /// What weights were ranked by, from a calibration alone that leaves them where they are.
  public var scoresPath: String?
  /// Of low-rank adaptation.
  public var lora: LoRAAdapter?
  /// The trained model, of full fine-tuning, or of calibration alone.
  public let modelPath: String?
  /// Where held-out rows were scored: the best score, and what is kept of it.
  public var best: (result: BestResult, path: String)?
  /// The most memory that the run held at once, of all its processes where it was interrupted; of a run that is read back, this
  /// process's.
  public internal(set) var peakMemoryBytes = Engine.peakMemoryInBytes
  /// Wall-clock seconds a part: `calibration`, `extraction`, `iteration N`, `adaptation` or `training`, `writing`.
  public let seconds: [(part: String, seconds: Double)]
}

/// One training run from a model directory and rows to an adapter (LoTA, LoRA) or a model (full fine-tuning), in a run directory.
public struct TrainingRun {
  public let configuration: RunConfiguration
  public let directory: RunDirectory
  /// The model that is trained, in place.
  public let loaded: LoadedModel
  let rows: [TokenizedRow]
  let validator: Validator?
  let inputs: RunInputs
  /// The ticket of a mask file; nil when calibration finds it.
  let givenMask: Mask?
  /// Weights of earlier tickets.
  let excluded: Mask?
  let keeper: RunKeeper
  let observe: (RunEvent) -> Disposition

  /// Reads the model, every row and the mask, and creates the run directory: whatever is wrong with them is said before
  /// training, and leaves nothing behind.
  ///
  /// - Parameters:
  ///   - checkpoints: how often the run is kept.
  ///   - resumes: go on with the run that the directory holds, if any, from its newest checkpoint. The result is the same, to the
  ///     bit, as without the interruption, given as many threads.
  /// - Throws: ``TrainingError``, ``TrainingDataError``, ``RunCheckpointError``, ``CheckpointError``, `TokenizerError`,
  ///   `TicketsError`.
  public init(
    _ configuration: RunConfiguration, output: String, checkpoints: CheckpointSchedule = CheckpointSchedule(),
    resumes: Bool = false, observe: @escaping (RunEvent) -> Disposition = { _ in .proceed }
  ) throws {
    try configuration.validate()
    try checkpoints.validate()
    directory = RunDirectory(output)
    let isGoingOn = try directory.standing(resumes: resumes) != .empty
    // A directory that is not there yet is made once everything that is read was found good.
    let lock = isGoingOn ? try directory.locked() : nil
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
    inputs = try RunInputs(configuration)
    excluded = try Mask.union(of: configuration.excludedTickets, shapes: loaded.model.shapes)
    givenMask =
      try configuration.method == .lota ? Self.checkedTicket(configuration, loaded.model, excluded: excluded) : nil
    var (sized, note) = try configuration.sizedToMemory(
      loaded.model.configuration, rows: rows.map(RowSize.init), validation: validator?.rowSizes ?? [])
    sized.replay.rows = data.replayed
    self.configuration = sized
    self.observe = observe
    if !isGoingOn { try FileSystem.checkPublishable(output) }
    let held = try lock ?? directory.locked()
    let changed = try Self.begin(directory, sized, isGoingOn: isGoingOn)
    keeper = try RunKeeper(
      directory, lock: held, schedule: checkpoints, resumes: isGoingOn, inputs: inputs.digests,
      fingerprint: { [loaded] in try loaded.fingerprint().value }, note: { _ = observe(.note($0)) })
    _ = observe(.data(data.summary))
    for note in [note, sized.adaptersNote, changed].compactMap({ $0 }) { _ = observe(.note(note)) }
  }

  /// Leaves the configuration in the directory, where it must be that of the run that is gone on with, but for what may be changed
  /// on the way. Returns a word on what was.
  private static func begin(
    _ directory: RunDirectory, _ configuration: RunConfiguration, isGoingOn: Bool
  ) throws -> String? {
    if isGoingOn { try directory.removeLeftovers() }
    var change: String?
    if isGoingOn, let begun = try directory.configuration() {
      let mayChange = ["training.learningRate", "training.maximumSkippedSteps"]
      let names = try RunDirectory.differences(begun, configuration)
      let refused = names.filter { !mayChange.contains($0) }
      guard refused.isEmpty else { throw RunCheckpointError.otherOptions(path: directory.path, names: refused) }
      if names.contains(mayChange[0]) {
        change =
          "the learning rate was \(begun.training.learningRate) and is now \(configuration.training.learningRate)"
      }
    }
    try directory.write(configuration)
    return change
  }

  public func run() throws -> RunOutcome {
    try recorded { recorder in
      switch configuration.method {
      case .lota: try adaptTicket(&recorder)
      case .fft: try fineTune(&recorder)
      case .lora: try adaptLowRank(&recorder)
      }
    }
  }

  /// Does the work of a run, and ends it.
  func recorded(_ work: (inout Recorder) throws -> RunOutcome) throws -> RunOutcome {
    var recorder = try Recorder(directory, configuration, keeper: keeper, validator: validator, observe: observe)
    var outcome: RunOutcome
    do { outcome = try work(&recorder) } catch let error as TrainingError where error.isNumeric {
      recorder.note(
        "what was kept before this step stays: lower --learning-rate or set --skip-steps, and add --resume to go on from it"
      )
      throw error
    }
    outcome.validations = recorder.validations
    outcome.peakMemoryBytes = keeper.peakMemoryBytes
    if keeper.best.step != nil, configuration.validation.keepsBest {
      outcome.best = (keeper.best, directory.bestPath(configuration.method))
    }
    try keeper.finish()
    return outcome
  }

  // MARK: - Full fine-tuning

  /// Training of all weights has no master values.
  func noteLostUpdates(_ advice: String, _ recorder: inout Recorder) {
    let type = loaded.model.dtype
    guard type == .bfloat16 || type == .float16 else { return }
    recorder.note("\(type.configurationName) weights lose updates that are small beside them; \(advice)")
  }

  private func fineTune(_ recorder: inout Recorder) throws -> RunOutcome {
    noteLostUpdates("train in float32", &recorder)
    let sink = DenseSink(
      configuration.training, excluded: excluded.map(ExcludedWeights.init), trains: configuration.layers.trains)
    try recorder.train(
      .training, options: configuration.training, rows: rows, model: loaded.model, sink: sink,
      keepBest: { try writeModel(to: directory.bestPath(.fft), overwrite: true) })
    try recorder.measure("writing") { try writeModel(to: directory.modelPath, overwrite: keeper.resumes) }
    return RunOutcome(
      loaded: loaded, records: recorder.records, mask: nil, adapter: nil, modelPath: directory.modelPath,
      seconds: recorder.seconds)
  }

  func writeModel(to path: String, overwrite: Bool) throws {
    try loaded.model.write(to: path, like: loaded.base, from: loaded.directory, overwrite: overwrite)
  }
}
