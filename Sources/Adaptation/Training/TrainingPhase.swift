internal import Checkpoints
package import Decoder
internal import Foundation
package import Torch

/// One finished step.
public struct StepReport: Equatable, Sendable {
  public let record: MetricsRecord
  public let stepCount: Int
}

/// What the observer of a run wants next. A run looks at it after steps only.
public enum Disposition: Sendable { case proceed, stop }

/// Runs the steps of one phase: the same loop for every method, which is what the sink makes it.
package struct TrainingPhase {
  let phase: Phase
  let options: TrainingOptions
  let rows: [TokenizedRow]
  let order: BatchOrder
  private let statistics: (Device) throws -> any StepStatistics

  /// - Parameter statistics: makes a step's statistics for the model's device.
  package init(
    _ phase: Phase, options: TrainingOptions, rows: [TokenizedRow],
    statistics: @escaping (Device) throws -> any StepStatistics = Self.statistics(on:)
  ) throws {
    try options.validate()
    self.phase = phase
    self.options = options
    self.rows = rows
    self.statistics = statistics
    order = BatchOrder(options, rowCount: rows.count)
  }

  /// - Parameters:
  ///   - done: steps that were taken before; model and sink hold what they left.
  ///   - maySkip: how many steps more may be left out because their numbers are not finite.
  ///   - isFinished: asked before every step, whether the phase may end before its last one.
  ///   - observe: called after every step.
  /// - Throws: ``TrainingError``: `stopped` when the observer says so; else what was wrong with a step.
  package func run(
    _ model: LanguageModel, sink: any TrainingSink, from done: Int = 0, maySkip: Int = 0,
    isFinished: () -> Bool = { false }, observe: (StepReport) throws -> Disposition
  ) throws {
    var left = maySkip
    let largest = LargestBackwardPass(order, rows: rows.map(RowSize.init), maximumTokens: options.microBatchTokens)
    try model.reserve(tokens: largest.tokens, labels: largest.labels, activations: options.activations, sink: sink)
    for step in done..<max(done, order.stepCount) {
      if isFinished() { return }
      let report: StepReport
      do {
        report = try train(step, model, sink)
      } catch let error as TrainingError where left > 0 && error.leavesState(of: sink) {
        left -= 1
        report = skipped(step, error)
      }
      guard try observe(report) == .proceed else { throw TrainingError.stopped(phase: phase, step: report.record.step) }
    }
  }

  /// Numbers at once on the CPU; on devices nothing that would wait for them.
  package static func statistics(on device: Device) throws -> any StepStatistics {
    device == .cpu ? HostStatistics() : try DeviceStatistics(on: device)
  }

  private func train(_ step: Int, _ model: LanguageModel, _ sink: any TrainingSink) throws -> StepReport {
    let clock = ContinuousClock()
    let start = clock.now
    let chosen = chosenRows(step)
    let batches = MicroBatches(chosen, maximumTokens: options.microBatchTokens)
    let divisor = options.loss == .sequenceSum ? batches.sequenceCount : batches.labelCount
    let rate = options.rate(step: step)
    let statistics = try statistics(model.device)
    sink.beginStep(rate: rate, microBatches: batches.batches.count, statistics: statistics)
    let total: Double
    do {
      // All uploads come first: on a device each waits for what was queued before it.
      let inputs = try batches.batches.map { (try $0.sequences(for: model), try $0.labels(for: model)) }
      for (index, (sequences, labels)) in inputs.enumerated() {
        sink.beginMicroBatch(index)
        _ = try model.backward(
          sequences, labels: labels, scale: 1 / Double(divisor), activations: options.activations, sink: sink,
          checkLosses: statistics.add)
      }
      try sink.endStep()
      total = try statistics.finish()
    } catch let failure as NonFiniteGradient {
      sink.abandonStep()
      throw TrainingError.gradientNotFinite(
        phase: phase, step: step + 1, tensor: failure.tensor, rows: chosen.map(\.reference))
    } catch let failure as NonFiniteWeight {
      sink.abandonStep()
      throw TrainingError.updateNotFinite(phase: phase, step: step + 1, tensor: failure.tensor, rate: rate)
    } catch is NonFiniteLoss {
      sink.abandonStep()
      throw try cause(ofLossIn: step, chosen, model)
    }
    let record = MetricsRecord(
      phase: phase, step: step + 1, loss: total / Double(divisor), tokenLoss: total / Double(batches.labelCount),
      tokens: batches.tokenCount, labels: batches.labelCount, seconds: (clock.now - start) / .seconds(1),
      learningRate: rate)
    return StepReport(record: record, stepCount: order.stepCount)
  }

  private func chosenRows(_ step: Int) -> [TokenizedRow] { order.rows(step: step).map { rows[$0] } }

  /// A loss that is not finite comes from a weight that is none, or from some of the rows.
  private func cause(ofLossIn step: Int, _ chosen: [TokenizedRow], _ model: LanguageModel) throws -> TrainingError {
    for parameter in model.parameters where try !parameter.value.sumOfSquares().isFinite {
      return .weightNotFinite(phase: phase, step: step + 1, tensor: parameter.name)
    }
    let guilty = try chosen.filter { row in
      try MicroBatches([row], maximumTokens: nil).batches.contains { batch in
        try !model.losses(try batch.sequences(for: model), labels: try batch.labels(for: model)).sum().isFinite
      }
    }
    return .lossNotFinite(
      phase: phase, step: step + 1, rows: (guilty.isEmpty ? chosen : guilty).map(\.reference))
  }

  private func skipped(_ step: Int, _ error: TrainingError) -> StepReport {
    let batches = MicroBatches(chosenRows(step), maximumTokens: options.microBatchTokens)
    var record = MetricsRecord(
      phase: phase, step: step + 1, loss: .nan, tokenLoss: .nan, tokens: batches.tokenCount,
      labels: batches.labelCount, seconds: 0, learningRate: options.rate(step: step))
    record.skipped = error.description
    return StepReport(record: record, stepCount: order.stepCount)
  }
}

extension PackedBatch {
  func sequences(for model: LanguageModel) throws -> PackedSequences {
    try PackedSequences(
      tokens: tokens, offsets: offsets, vocabularySize: model.configuration.vocabularySize, device: model.device)
  }

  func labels(for model: LanguageModel) throws -> Labels {
    try Labels(rows: labelRows, targets: labelTargets, device: model.device)
  }
}
