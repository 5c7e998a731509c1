import Adaptation
import Checkpoints
import Decoder
import TestSupport
import Testing
import Torch

/// Runs that end early: divergence, damaged weights, and an observer that has seen enough.
@Suite(.engine) struct TrainingFailureTests {
  private func poison(_ model: LanguageModel, _ name: String) throws {
    let parameter = try #require(model.parameter(named: name))
    try parameter.value.rows(0..<1).fill(.nan)
  }

  private func expectNothingWritten(_ small: SmallRun) {
    let directory = small.run.directory
    #expect(!FileSystem.exists(directory.adapterPath) && !FileSystem.exists(directory.modelPath))
  }

  /// Errors of the first step, whatever trains.
  @Test(arguments: [
    (TrainingMethod.fft, Calibration.steps(5), Phase.training),
    (.lota, .steps(5), .calibration), (.lota, .steps(1), .calibration), (.lota, .steps(0), .adaptation),
  ])
  func weightThatIsNotANumber(_ method: TrainingMethod, _ calibration: Calibration, _ phase: Phase) throws {
    let small = try SmallRun { configuration in
      configuration.method = method
      configuration.calibration = calibration
    }
    try poison(small.model, "model.layers.0.mlp.down_proj.weight")
    let error = #expect(throws: TrainingError.self) { try small.run.run() }
    #expect(error == .weightNotFinite(phase: phase, step: 1, tensor: "model.layers.0.mlp.down_proj.weight"))
    #expect(try small.metrics.isEmpty)
    expectNothingWritten(small)
  }

  @Test(arguments: [TrainingMethod.fft, .lota, .lora]) func divergence(_ method: TrainingMethod) throws {
    let small = try SmallRun { configuration in
      configuration.method = method
      configuration.calibration = .steps(0)
      configuration.training.learningRate = 1e30
    }
    let error = #expect(throws: TrainingError.self) { try small.run.run() }
    let phase: Phase = method == .lota ? .adaptation : .training
    switch error {
    case .gradientNotFinite(let found, let step, _, let rows), .lossNotFinite(let found, let step, let rows):
      #expect(found == phase && step == 2 && !rows.isEmpty && rows.allSatisfy { (5...8).contains($0.number) })
    default: Issue.record("\(String(describing: error))")
    }
    let metrics = try small.metrics
    #expect(metrics.map(\.step) == [1] && metrics.allSatisfy { $0.loss.isFinite })
    expectNothingWritten(small)
  }

  /// RMSprop's first step moves a weight by ten times the rate: beyond what float32 holds.
  @Test(arguments: [TrainingMethod.fft, .lota, .lora]) func updateThatOverflows(_ method: TrainingMethod) throws {
    let small = try SmallRun { configuration in
      configuration.method = method
      configuration.calibration = .steps(0)
      configuration.training.learningRate = 1e38
    }
    let error = #expect(throws: TrainingError.self) { try small.run.run() }
    guard case .updateNotFinite(method == .lota ? .adaptation : .training, 1, let tensor, 1e38)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(!tensor.isEmpty)
    #expect(try small.metrics.isEmpty)
    expectNothingWritten(small)
  }

  /// The damage comes after two good steps.
  @Test func laterDamage() throws {
    let holder = Holder()
    let small = try SmallRun(stop: { report in
      if report.record.phase == .adaptation, report.record.step == 2, let model = holder.model {
        try? model.parameter(named: "model.norm.weight")?.value.fill(.nan)
      }
      return false
    })
    holder.model = small.model
    let error = #expect(throws: TrainingError.self) { try small.run.run() }
    #expect(error == .weightNotFinite(phase: .adaptation, step: 3, tensor: "model.norm.weight"))
    #expect(try small.metrics.map(\.step) == [1, 2, 3, 4, 5, 1, 2])
    expectNothingWritten(small)
  }

  @Test(arguments: [
    (TrainingMethod.lota, Phase.calibration, 3), (.lota, .adaptation, 2), (.fft, .training, 1), (.fft, .training, 5),
    (.lora, .training, 2),
  ])
  func observerStops(_ method: TrainingMethod, _ phase: Phase, _ step: Int) throws {
    let small = try SmallRun(stop: { $0.record.phase == phase && $0.record.step == step }) { $0.method = method }
    #expect(throws: TrainingError.stopped(phase: phase, step: step)) { try small.run.run() }
    let last = try #require(try small.metrics.last)
    #expect(last.phase == phase && last.step == step)
    #expect(FileSystem.exists(small.run.directory.maskPath) == (phase == .adaptation))
    expectNothingWritten(small)
  }

  /// Rows of an earlier task's file are told by it.
  @Test func replayedRows() throws {
    let goldens = try TrainingGoldens()
    let small = try SmallRun { configuration in
      configuration.method = .fft
      configuration.replay.files = [goldens.data]
      configuration.replay.fraction = 1
      configuration.training.shuffles = true
      configuration.training.batchSize = 28
    }
    // Finite, and too large for any row.
    try #require(small.model.parameter(named: "model.layers.0.mlp.down_proj.weight")).value.fill(1e38)
    let error = #expect(throws: TrainingError.self) { try small.run.run() }
    switch error {
    case .lossNotFinite(_, _, let rows):
      #expect(rows.count == 28 && rows.filter { $0.file == goldens.data }.map(\.number).sorted() == Array(1...14))
      #expect(rows.filter { $0.file == nil }.count == 14)
    default: Issue.record("\(String(describing: error))")
    }
  }

  @Test func ticketThatRoundsToNothing() throws {
    #expect(throws: TrainingError.ticketIsEmpty) { try SmallRun { $0.sparsity = 0.99999 } }
  }

  @Test func messages() {
    #expect(
      TrainingError.gradientNotFinite(
        phase: .adaptation, step: 3, tensor: "w",
        rows: [RowReference(number: 4), RowReference(number: 9, file: "old.jsonl")]
      ).description
        == "adaptation, step 3: the gradient of w is not finite (rows 4, 9 of old.jsonl): lower --learning-rate or check these rows"
    )
    #expect(
      TrainingError.lossNotFinite(phase: .training, step: 1, rows: (1...10).map { RowReference(number: $0) })
        .description
        == "training, step 1: the loss is not finite (rows 1, 2, 3, 4, 5, 6, 7, 8, ...): "
        + "lower --learning-rate or check these rows")
    #expect(
      TrainingError.stopped(phase: .calibration, step: 7).description
        == "stopped in calibration after step 7, and saved: the same command with --resume goes on")
  }

  private final class Holder { var model: LanguageModel? }
}
