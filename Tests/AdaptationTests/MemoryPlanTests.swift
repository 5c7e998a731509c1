import Adaptation
import Checkpoints
import Decoder
import TestSupport
import Testing
import Tickets
import Torch

/// The memory plan against what the code allocates: whoever adds a buffer has to add it to the plan.
@Suite(.engine) struct MemoryPlanTests {
  private static let stepParts = [
    "activations kept for backward", "logits of some labels, or gradient of one matrix", "gradient of the embedding",
    "passing buffers",
  ]

  private func bytes(_ plan: MemoryPlan, _ phase: String, _ parts: [String]) throws -> Int {
    let found = try #require(plan.phases.first { $0.name == phase }, "no phase \(phase)")
    return found.parts.filter { parts.contains($0.name) }.reduce(0) { $0 + $1.bytes }
  }

  private func plan(
    _ run: TrainingRun, _ rows: [TokenizedRow], validation: [[RowSize]] = []
  ) throws -> MemoryPlan {
    let sizes = rows.map { RowSize($0) }
    return try MemoryModel(
      run.loaded.model.configuration, run: run.configuration, dataTokens: 0, validation: validation
    )
    .plan(run.configuration.largestPass(rows: sizes, maximumTokens: run.configuration.training.microBatchTokens))
  }

  @Test(arguments: TrainingMethod.allCases, ActivationPolicy.allCases)
  func workspaceIsAsPlanned(_ method: TrainingMethod, _ activations: ActivationPolicy) throws {
    for (tokens, dtype) in [(8192, nil), (40, nil), (8192, "bfloat16")] {
      let small = try SmallRun {
        $0.method = method
        $0.dtype = dtype
        $0.training.activations = activations
        $0.training.microBatchTokens = tokens
      }
      try withExtendedLifetime(small) {
        _ = try small.run.run()
        let last = method == .lota ? "adaptation" : "training"
        let planned = try bytes(try plan(small.run, try small.goldens.rows()), last, Self.stepParts)
        #expect(small.model.workspace.byteCount == planned)
      }
    }
  }

  /// All rows at once, a whole file, take more than a step of some.
  @Test(arguments: TrainingMethod.allCases, [nil, 60])
  func scoringIsAsPlanned(_ method: TrainingMethod, _ tokens: Int?) throws {
    let goldens = try TrainingGoldens()
    let rows = try goldens.rows()
    let small = try SmallRun {
      $0.method = method
      $0.training.batchSize = 2
      $0.training.microBatchTokens = tokens
      $0.validation.files = [goldens.data]
    }
    try withExtendedLifetime(small) {
      _ = try small.run.run()
      let last = method == .lota ? "adaptation" : "training"
      let planned = try bytes(
        try plan(small.run, rows, validation: [rows.map { RowSize($0) }]), last, Self.stepParts)
      #expect(small.model.workspace.byteCount == planned)
      let without = try bytes(try plan(small.run, rows), last, Self.stepParts)
      #expect(tokens == nil ? planned > without : planned >= without)
    }
  }

  @Test(arguments: OptimizerSettings.names, [8192, 40])
  func sinksAreAsPlanned(_ optimizer: String, _ tokens: Int) throws {
    let goldens = try TrainingGoldens()
    let rows = try goldens.rows()
    let settings = try #require(OptimizerSettings(name: optimizer))
    for (method, dtype) in TrainingMethod.allCases.flatMap({ [($0, nil), ($0, "bfloat16")] }) {
      let small = try SmallRun {
        $0.method = method
        $0.dtype = dtype
        $0.training.optimizer = settings
        $0.training.microBatchTokens = tokens
        $0.calibration = .steps(0)
      }
      try withExtendedLifetime(small) {
        let model = small.model
        let options = small.run.configuration.training
        let plan = try plan(small.run, rows)
        let sink: any TrainingSink
        let planned: Int
        switch method {
        case .fft:
          sink = DenseSink(options)
          planned = try bytes(plan, "training", ["optimizer", "summed gradients"])
        case .lora:
          sink = try LowRankSink(options, additions: try model.addLowRank(small.run.configuration.lora, seed: 1))
          planned = try bytes(plan, "training", ["optimizer", "summed gradients"])
        case .lota:
          let shapes = model.shapes.filter { TicketScope.Weight(name: $0.key) != nil }
          let mask = try TicketSelection.random(shapes: shapes, amount: .sparsity(0.9), seed: 1)
          sink = try TicketSink(options, mask: mask, model: model)
          planned = try bytes(
            plan, "adaptation", ["ticket: indices, gradients, moments", "ticket: float32 master values"])
        }
        let batches = MicroBatches(Array(rows.prefix(options.batchSize)), maximumTokens: tokens).batches
        sink.beginStep(rate: 1e-3, microBatches: batches.count)
        for (index, batch) in batches.enumerated() {
          sink.beginMicroBatch(index)
          let sequences = try PackedSequences(
            tokens: batch.tokens, offsets: batch.offsets, vocabularySize: model.configuration.vocabularySize)
          _ = try model.backward(
            sequences, labels: try Labels(rows: batch.labelRows, targets: batch.labelTargets), scale: 1, sink: sink)
        }
        try sink.endStep()
        // The plan spreads the ticket evenly over all matrices; the gradient of one of them is all that this touches.
        let slack = method == .lota && batches.count == 1 ? 4 * 40 : 0
        #expect(abs(sink.stateByteCount - planned) <= slack, "\(method) in \(dtype ?? "float32")")
      }
    }
  }

  /// Rankings, scopes and tickets in turn change what is held, and the plan knows.
  @Test(arguments: Ranking.allCases, ["projections", "projections,embeddings,norms", "norms"])
  func waysToFindATicketAreAsPlanned(_ ranking: Ranking, _ scope: String) throws {
    for tokens in [8192, 40] {
      let small = try SmallRun {
        $0.rankBy = ranking
        $0.scope = ScopeParts(scope) ?? .projections
        $0.iterations = [0.5]
        $0.stopping = CalibrationStopping()
        $0.training.microBatchTokens = tokens
      }
      try withExtendedLifetime(small) {
        let plan = try plan(small.run, try small.goldens.rows())
        #expect(
          plan.phases.map(\.name) == [
            "loading", "calibration", "extraction", "iteration 1", "extraction after iteration 1", "adaptation",
          ])
        _ = try small.run.run()
        #expect(small.model.workspace.byteCount == (try bytes(plan, "adaptation", Self.stepParts)))
        #expect(try bytes(plan, "calibration", ["tickets to compare"]) > 0)
        guard ranking != .update else { return }
        let names = try #require(ScopeParts(scope)).names(in: small.model.shapes.keys)
        let sink = GradientScores(ranking, names: names)
        let batches = MicroBatches(Array(try small.goldens.rows().prefix(4)), maximumTokens: tokens).batches
        sink.beginStep(rate: 1e-3, microBatches: batches.count)
        for (index, batch) in batches.enumerated() {
          sink.beginMicroBatch(index)
          _ = try small.model.backward(
            try PackedSequences(tokens: batch.tokens, offsets: batch.offsets, vocabularySize: 96),
            labels: try Labels(rows: batch.labelRows, targets: batch.labelTargets), scale: 1, sink: sink)
        }
        let planned = try bytes(plan, "calibration", ["scores of the weights in scope", "gradients of a step"])
        #expect(sink.stateByteCount == planned)
      }
    }
  }

  /// Recomputed activations change what is held, and nothing else.
  @Test(arguments: TrainingMethod.allCases) func recomputationGivesTheSameRun(_ method: TrainingMethod) throws {
    var losses: [[Double]] = []
    var weights: [[String: [UInt8]]] = []
    for activations in ActivationPolicy.allCases {
      let small = try SmallRun {
        $0.method = method
        $0.training.activations = activations
      }
      try withExtendedLifetime(small) {
        losses.append(try small.run.run().records.map(\.loss))
        weights.append(try small.model.snapshot())
      }
    }
    #expect(losses[0] == losses[1] && losses[0].count >= 5)
    #expect(weights[0] == weights[1])
  }

  @Test func largestPassesComeFromTheOrderOfTheRun() {
    let rows = [(5, 2), (9, 1), (3, 3), (7, 4)].map { RowSize(tokens: $0.0, labels: $0.1) }
    let order = BatchOrder(rowCount: 4, batchSize: 2, seed: 0, shuffles: false, length: .epochs(1))
    let whole = LargestBackwardPass(order, rows: rows, maximumTokens: nil)
    #expect(whole == LargestBackwardPass(tokens: 14, labels: 7, passes: 1, shapes: 2))
    let split = LargestBackwardPass(order, rows: rows, maximumTokens: 10)
    #expect(split == LargestBackwardPass(tokens: 10, labels: 7, passes: 2, shapes: 3))
    #expect(whole.limited(to: 10, longest: 9) == LargestBackwardPass(tokens: 10, labels: 7, passes: 2, shapes: .max))
    #expect(whole.limited(to: 4, longest: 9).tokens == 9)
    #expect(whole.limited(to: 14, longest: 9) == whole)
  }

  @Test(
    arguments: [
      ("8GB", 8_000_000_000), ("6.5GiB", 6_979_321_856), ("6000MB", 6_000_000_000), ("1.5 tb", 1_500_000_000_000),
      ("512KiB", 524_288), ("2MiB", 2_097_152), ("0.5kB", 500), ("1TiB", 1_099_511_627_776),
    ])
  func sizesAreRead(_ text: String, _ bytes: Int) { #expect(MemorySize.bytes(text) == bytes) }

  @Test(
    arguments: [
      "", "8", "GB", "8G", "-8GB", "+8GB", "8e9GB", "8 000MB", "8  GB", " 8GB", "8GB ", "8.GB", ".5GB", "8.5.1GB",
      "0GB",
      "0.0001kB", "8XB", "8,5GB", "inf GB", "nanGB", "99999999999TB", "٨GB", "8GBGB",
    ])
  func otherTextIsNoSize(_ text: String) { #expect(MemorySize.bytes(text) == nil) }
}
