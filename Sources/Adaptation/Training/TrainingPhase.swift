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
  ///   - isFinished: asked after every step, whether the phase may end before its last one.
  ///   - observe: called after every step.
  /// - Throws: ``TrainingError/stopped(phase:step:)`` when the observer says so.
  package func run(
    _ model: LanguageModel, sink: any TrainingSink, isFinished: () -> Bool = { false },
    observe: (StepReport) throws -> Disposition
  ) throws {
    let largest = LargestBackwardPass(order, rows: rows.map(RowSize.init), maximumTokens: options.microBatchTokens)
    try model.reserve(tokens: largest.tokens, labels: largest.labels, activations: options.activations, sink: sink)
    for step in 0..<order.stepCount {
      let report = try train(step, model, sink)
      guard try observe(report) == .proceed else { throw TrainingError.stopped(phase: phase, step: report.record.step) }
      if isFinished() { return }
    }
  }

  /// Numbers at once on the CPU; on devices nothing that would wait for them.
  package static func statistics(on device: Device) throws -> any StepStatistics {
    device == .cpu ? HostStatistics() : try DeviceStatistics(on: device)
  }

  private func train(_ step: Int, _ model: LanguageModel, _ sink: any TrainingSink) throws -> StepReport {
    let clock = ContinuousClock()
    let start = clock.now
    let chosen = order.rows(step: step).map { rows[$0] }
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
        let losses = try model.backward(
          sequences, labels: labels, scale: 1 / Double(divisor), activations: options.activations, sink: sink)
        try statistics.add(losses: losses)
      }
      try sink.endStep()
      total = try statistics.finish()
    } catch let failure as NonFiniteGradient {
      throw TrainingError.gradientNotFinite(
        phase: phase, step: step + 1, tensor: failure.tensor, rows: chosen.map(\.reference))
    } catch is NonFiniteLoss {
      throw TrainingError.lossNotFinite(phase: phase, step: step + 1, rows: chosen.map(\.reference))
    }
    let record = MetricsRecord(
      phase: phase, step: step + 1, loss: total / Double(divisor), tokenLoss: total / Double(batches.labelCount),
      tokens: batches.tokenCount, labels: batches.labelCount, seconds: (clock.now - start) / .seconds(1),
      learningRate: rate)
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
