import Adaptation
import Checkpoints
import Decoder
import TestSupport
import Testing
import Torch

/// Low-rank adaptation of a tiny model against PEFT.
@Suite(.engine) struct LoRAGoldenTests {
  private let goldens: LoRAGoldens

  init() throws { goldens = try LoRAGoldens() }

  private func relativeError(_ actual: [Double], _ expected: [Double]) -> Double {
    guard actual.count == expected.count else { return .infinity }
    let squares = zip(actual, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    return (squares / max(expected.reduce(0) { $0 + $1 * $1 }, 1e-300)).squareRoot()
  }

  @Test(arguments: [DType.float32, .float64]) func everyGradient(_ dtype: DType) throws {
    let (model, additions) = try goldens.started(dtype)
    let batch = try goldens.batch(4)
    let sink = LowRankRecorder()
    _ = try model.backward(
      try model.pack(batch), labels: try Labels(rows: batch.labelRows, targets: batch.labelTargets), scale: 0.25,
      sink: sink)
    #expect(sink.gradients.count == 28)
    for parameter in additions.parameters {
      let expected = try goldens.values("gradient.base_model.model." + parameter.name)
      let error = relativeError(try #require(sink.gradients[parameter.name]), expected)
      #expect(error < 1e-5, "\(parameter.name): \(error)")
    }
  }

  private static func options(_ variant: String) -> TrainingOptions {
    var options = TrainingOptions()
    (options.length, options.batchSize, options.learningRate, options.shuffles) = (.steps(5), 4, 1e-3, false)
    switch variant {
    case "adamw":
      (options.optimizer, options.learningRate, options.loss) = (.adamW(weightDecay: 0.1), 1e-2, .tokenMean)
    case "sgd": (options.optimizer, options.learningRate) = (.sgd, 0.1)
    default: break
    }
    return options
  }

  /// Whole batches, and batches split into passes of a row or two.
  @Test(
    arguments: ["rmsprop", "adamw", "sgd"], [(DType.float64, nil), (.float64, 40), (.float32, nil), (.float32, 40)])
  func training(_ variant: String, _ way: (dtype: DType, tokens: Int?)) throws {
    let (model, additions) = try goldens.started(way.dtype)
    var options = Self.options(variant)
    options.microBatchTokens = way.tokens
    // From random matrices and at such rates, losses halve in five steps and rounding grows by the step, the reference's
    // softmax and rotation in float32 included.
    let (losses, values) = way.dtype == .float64 ? (1e-5, 5e-5) : (5e-5, 1e-3)
    let sink = try LowRankSink(options, additions: additions)
    var records: [MetricsRecord] = []
    try TrainingPhase(.training, options: options, rows: try goldens.training.rows()).run(model, sink: sink) {
      records.append($0.record)
      return .proceed
    }
    expectClose(records.map(\.loss), try goldens.values(variant + ".losses"), relative: losses, "losses")
    expectClose(records.map(\.tokenLoss), try goldens.values(variant + ".token_losses"), relative: losses)
    for parameter in additions.parameters {
      let expected = try goldens.values("\(variant).base_model.model.\(parameter.name)")
      let error = relativeError(try parameter.value.values(), expected)
      #expect(error < values, "\(parameter.name): \(error)")
    }
  }

  /// Merged from PEFT's files: plain, and with rank-stabilised scales and patterns for ranks and alphas.
  @Test(arguments: ["plain", "patterns"], [DType.float32, .float64])
  func adaptersOfPEFT(_ name: String, _ dtype: DType) throws {
    let loaded = try LoadedModel(
      directory: goldens.training.model, dtype: dtype, adapters: [goldens.adapter(name)])
    let logits: [Double] = try loaded.model.logits(try loaded.model.pack(try goldens.batch(2))).values()
    expectClose(logits, try goldens.values(name + ".logits"), absolute: 5e-5)
    let base = try LanguageModel(directory: goldens.training.model, dtype: dtype)
    let untouched: [Double] = try base.logits(try base.pack(try goldens.batch(2))).values()
    #expect(relativeError(untouched, logits) > 0.01)
  }

  /// Beside the weights or merged into them.
  @Test func liveAdditionsAreTheMergedOnes() throws {
    let (model, _) = try goldens.started()
    let logits: [Double] = try model.logits(try model.pack(try goldens.batch(2))).values()
    expectClose(logits, try goldens.values("plain.logits"), absolute: 5e-5)
  }
}
