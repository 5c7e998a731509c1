internal import Decoder
internal import Foundation
internal import Tickets

/// Trains phases while writing metrics and checkpoints, timing parts and telling the observer.
struct Recorder {
  private let metrics: MetricsWriter
  private let observe: (RunEvent) -> Disposition
  private let clock = ContinuousClock()
  private let keeper: RunKeeper
  private let validator: Validator?
  private let validation: ValidationWriter?
  private let settings: ValidationSettings
  private let maximumSkippedSteps: Int
  private(set) var records: [MetricsRecord] = []
  private(set) var validations: [ValidationRecord] = []
  private(set) var seconds: [(part: String, seconds: Double)] = []
  private var lapStart = ContinuousClock.now

  init(
    _ directory: RunDirectory, _ configuration: RunConfiguration, keeper: RunKeeper, validator: Validator?,
    observe: @escaping (RunEvent) -> Disposition
  ) throws {
    metrics = try MetricsWriter(path: directory.metricsPath) { keeper.keeps(RunPart(of: $0), step: $0.step) }
    records = try MetricsRecord.read(path: directory.metricsPath)
    settings = configuration.validation
    maximumSkippedSteps = configuration.training.maximumSkippedSteps
    self.validator = validator
    if validator != nil {
      validations = try ValidationRecord.read(path: directory.validationPath).filter {
        keeper.keeps(RunPart($0.phase), step: $0.step)
      }
      validation = try ValidationWriter(path: directory.validationPath, keeping: validations)
    } else {
      validation = nil
    }
    self.keeper = keeper
    self.observe = observe
    seconds = keeper.start?.state.seconds.map { ($0.part, $0.seconds) } ?? []
  }

  func note(_ text: String) { _ = observe(.note(text)) }

  /// Trains a phase, from where the run stands in it.
  ///
  /// - Parameters:
  ///   - iteration: which of the tickets that only find the next is trained, counted from one.
  ///   - keepBest: writes what is trained, at its best held-out loss so far.
  ///   - settling: makes what may end the phase, from its number of steps.
  @discardableResult
  mutating func train(
    _ phase: Phase, iteration: Int? = nil, options: TrainingOptions, rows: [TokenizedRow], model: LanguageModel,
    sink: any TrainingSink, keepBest: () throws -> Void = {}, settling: (Int) -> SettlingMonitor? = { _ in nil }
  ) throws -> SettlingReport? {
    let loop = try TrainingPhase(phase, options: options, rows: rows)
    let step = StepRecorder(
      part: RunPart(phase, iteration: iteration), monitor: settling(loop.order.stepCount), sink: sink)
    _ = observe(.phaseBegan(phase, steps: loop.order.stepCount))
    lapStart = clock.now
    let done = try begin(step, model)
    try loop.run(
      model, sink: sink, from: done, maySkip: maximumSkippedSteps - keeper.skipped.count,
      isFinished: { [keeper, settings] in step.isFinished(keeper.best, settings) }
    ) { try record($0, step, model, keepBest) }
    lap(to: step.name)
    if let patience = settings.patience, step.part.trainsResult, keeper.best.scoresSince >= patience {
      note("\(phase.rawValue) ended early: \(keeper.best.scoresSince) scores in turn were no better")
    }
    _ = observe(.phaseEnded(phase, seconds: seconds.first { $0.part == step.name }?.seconds ?? 0))
    if let report = step.monitor?.report { keeper.settling = report }
    return step.monitor?.report
  }

  /// Puts back what a checkpoint of the part holds, or keeps that the part has begun. Returns the steps done.
  private mutating func begin(_ step: StepRecorder, _ model: LanguageModel) throws -> Int {
    if let start = keeper.start(of: step.part) {
      if start.state.step > 0 { try step.sink.restore(start.tensors, model: model) }
      if let report = start.state.settling, step.part.phase == .calibration {
        try step.monitor?.restore(report, start.tensors, shapes: model.shapes)
      }
      return start.state.step
    }
    // From here on the parts before need not be repeated; the first has none.
    if !seconds.isEmpty { try save(step, after: 0) }
    return 0
  }

  private mutating func record(
    _ report: StepReport, _ step: StepRecorder, _ model: LanguageModel, _ keepBest: () throws -> Void
  ) throws -> Disposition {
    var record = report.record
    record.iteration = step.part.iteration == 0 ? nil : step.part.iteration
    if let reason = record.skipped {
      keeper.skipped.append(SkippedStep(phase: record.phase, step: record.step, reason: reason))
      note("left out: \(reason)")
    }
    record.ticketOverlap = try step.monitor?.check(after: record.step)
    records.append(record)
    try metrics.write(record)
    let disposition = observe(.step(StepReport(record: record, stepCount: report.stepCount)))
    if let validator, validator.isDue(report) { try validate(validator, report, step, model, keepBest) }
    let isLast = record.step == report.stepCount || step.isFinished(keeper.best, settings)
    // At the end of calibration or full fine-tuning everything would be written, just before the result is.
    if disposition == .stop || keeper.isDue(step: record.step) || (isLast && step.isSmall) {
      try save(step, after: record.step)
    }
    return disposition
  }

  private mutating func validate(
    _ validator: Validator, _ report: StepReport, _ step: StepRecorder, _ model: LanguageModel,
    _ keepBest: () throws -> Void
  ) throws {
    lap(to: step.name)
    let records = try validator.records(model, after: report)
    try validation?.write(records)
    validations += records
    _ = observe(.validated(records))
    lap(to: "validation")
    guard let first = records.first, keeper.best.note(first), settings.keepsBest else { return }
    try keepBest()
    lap(to: "best")
  }

  private mutating func save(_ step: StepRecorder, after number: Int) throws {
    if number > 0 { lap(to: step.name) }
    let report = keeper.settling
    defer { keeper.settling = report }
    if let running = step.monitor?.report { keeper.settling = running }
    let tensors = number == 0 ? [] : try step.sink.savedTensors() + (step.monitor?.savedTensors() ?? [])
    try keeper.save(step.part, step: number, seconds: seconds, tensors)
    lap(to: "checkpoints")
  }

  // MARK: - Time

  /// Counts the time since the last lap to a part; parts that come again add up.
  private mutating func lap(to part: String) {
    let now = clock.now
    add((now - lapStart) / .seconds(1), to: part)
    lapStart = now
  }

  private mutating func add(_ elapsed: Double, to part: String) {
    if let place = seconds.firstIndex(where: { $0.part == part }) {
      seconds[place].seconds += elapsed
    } else {
      seconds.append((part, elapsed))
    }
  }

  mutating func extract(_ body: () throws -> Mask) throws -> Mask {
    let start = clock.now
    let mask = try body()
    let elapsed = (clock.now - start) / .seconds(1)
    add(elapsed, to: "extraction")
    _ = observe(.extracted(mask, seconds: elapsed))
    return mask
  }

  mutating func measure<Result>(_ part: String, _ body: () throws -> Result) throws -> Result {
    let start = clock.now
    let result = try body()
    add((clock.now - start) / .seconds(1), to: part)
    return result
  }
}

/// A part while it trains.
private struct StepRecorder {
  let part: RunPart
  let monitor: SettlingMonitor?
  let sink: any TrainingSink

  var name: String { MetricsRecord.name(of: part) }

  /// Whether a checkpoint is small beside the model.
  var isSmall: Bool { !(sink is DenseSink || sink is GradientScores) }

  /// Whether it may end before its last step.
  func isFinished(_ best: BestResult, _ settings: ValidationSettings) -> Bool {
    if let patience = settings.patience, part.trainsResult, best.scoresSince >= patience { return true }
    return monitor?.report.isSettled ?? false
  }
}
