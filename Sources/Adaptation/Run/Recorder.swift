internal import Decoder
internal import Foundation
internal import Tickets

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

  /// - Parameters:
  ///   - iteration: which of the tickets that only find the next is trained, counted from one.
  ///   - settling: makes what may end the phase, from its number of steps.
  @discardableResult
  mutating func train(
    _ phase: Phase, iteration: Int? = nil, options: TrainingOptions, rows: [TokenizedRow], model: LanguageModel,
    sink: any TrainingSink, settling: (Int) -> SettlingMonitor? = { _ in nil }
  ) throws -> SettlingReport? {
    let loop = try TrainingPhase(phase, options: options, rows: rows)
    _ = observe(.phaseBegan(phase, steps: loop.order.stepCount))
    var finished: [MetricsRecord] = []
    var scored: [ValidationRecord] = []
    var scoring = Duration.zero
    let monitor = settling(loop.order.stepCount)
    let elapsed =
      try clock.measure {
        try loop.run(model, sink: sink, isFinished: { monitor?.report.isSettled ?? false }) { report in
          var record = report.record
          record.iteration = iteration
          record.ticketOverlap = try monitor?.check(after: record.step)
          finished.append(record)
          try metrics.write(record)
          let disposition = observe(.step(StepReport(record: record, stepCount: report.stepCount)))
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
    add(elapsed / .seconds(1), to: MetricsRecord.name(of: phase, iteration: iteration))
    if scoring > .zero { add(scoring / .seconds(1), to: "validation") }
    _ = observe(.phaseEnded(phase, seconds: elapsed / .seconds(1)))
    return monitor?.report
  }

  /// Parts that come again add up.
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
