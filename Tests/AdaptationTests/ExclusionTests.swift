import Adaptation
import Checkpoints
import Decoder
import Primitives
import TestSupport
import Testing
import Tickets
import Torch

/// Training of whole parameters around excluded weights: the authors' `flip_mask`, and what calibration does in LoTTO.
@Suite(.engine) struct ExclusionTests {
  private let goldens: TrainingGoldens
  private let directory: TemporaryDirectory

  init() throws {
    goldens = try TrainingGoldens()
    directory = try TemporaryDirectory()
  }

  /// A random ticket of three tenths, in a file.
  private func ticket() throws -> (mask: Mask, path: String) {
    let shapes = try LanguageModel(directory: goldens.model).shapes.filter { TicketScope.Weight(name: $0.key) != nil }
    let mask = try TicketSelection.random(shapes: shapes, amount: .sparsity(0.7), seed: 11)
    try mask.write(to: directory("ticket.mask"))
    return (mask, directory("ticket.mask"))
  }

  @Test(
    arguments: [.rmsProp(), .sgd, .adamW(), .adamW(weightDecay: 0.1)] as [OptimizerSettings], [8192, 40])
  func excludedWeightsStay(_ optimizer: OptimizerSettings, _ tokens: Int) throws {
    let (mask, path) = try ticket()
    for dtype in ["float32", "bfloat16", "float64"] {
      let small = try SmallRun {
        $0.method = .fft
        $0.exclude = [path]
        $0.dtype = dtype
        $0.training.optimizer = optimizer
        $0.training.microBatchTokens = tokens
        $0.training.learningRate = 0.01
      }
      let before = try small.model.snapshot()
      _ = try small.run.run()
      let after = try small.model.snapshot()
      for (name, old) in before {
        let new = try #require(after[name])
        let bits = mask[name]?.bits
        let size = old.count / (bits?.count ?? old.count)
        var trained = 0
        for index in 0..<(bits?.count ?? 0) {
          let range = (index * size)..<((index + 1) * size)
          if bits?[index] == true {
            #expect(old[range] == new[range], "\(name) changed at \(index)")
          } else if old[range] != new[range] {
            trained += 1
          }
        }
        #expect(bits == nil ? old != new : trained > 0, "\(name) did not train")
      }
    }
  }

  @Test func excludedGradientsCountForNoNorm() throws {
    let parameter = Parameter(name: "w", value: try Tensor.zeros([1, 4]))
    let mask = try Mask(entries: [Mask.Entry(name: "w", shape: [1, 4], bits: BitMask([true, false, false, true]))])
    var options = TrainingOptions()
    options.optimizer = .sgd
    options.maximumGradientNorm = 1
    let sink = DenseSink(options, excluded: ExcludedWeights(mask))
    sink.beginStep(rate: 1, microBatches: 1)
    sink.beginMicroBatch(0)
    try sink.consume(try Tensor.from([Float(1000), 0.25, -0.5, .nan], shape: [1, 4]), of: parameter)
    sink.endStep()
    let values: [Float] = try parameter.value.values()
    #expect(values == [0, -0.25, 0.5, 0])
  }

  @Test func planCountsTheMask() throws {
    let (_, path) = try ticket()
    func peak(_ method: TrainingMethod, _ exclude: [String], layers: LayerSelection = .all) throws -> Int {
      var run = goldens.configuration()
      run.method = method
      run.exclude = exclude
      run.layers = layers
      let rows = try goldens.rows().map { RowSize($0) }
      return try TrainingPlan(
        run, model: try ModelConfiguration(directory: goldens.model), rows: rows, rate: nil
      ).memory.peakBytes
    }
    for method in [TrainingMethod.lota, .fft] {
      #expect(try peak(method, [path]) == peak(method, []) + 13824 / 8)
    }
    for method in [TrainingMethod.lora, .fft] {
      #expect(try peak(method, [], layers: .odd) < peak(method, []))
    }
  }

  // MARK: - Layers

  @Test(arguments: [LayerSelection.even, .odd], OptimizerSettings.names)
  func frozenLayersStay(_ layers: LayerSelection, _ optimizer: String) throws {
    let settings = try #require(OptimizerSettings(name: optimizer))
    let small = try SmallRun {
      $0.method = .fft
      $0.layers = layers
      $0.training.optimizer = settings
    }
    let before = try small.model.snapshot()
    _ = try small.run.run()
    let after = try small.model.snapshot()
    let prefix = layers == .even ? "model.layers.0." : "model.layers.1."
    for name in before.keys {
      #expect((before[name] != after[name]) == name.hasPrefix(prefix), "\(name)")
      #expect(layers.trains(name) == name.hasPrefix(prefix))
    }
  }

  @Test(arguments: [LayerSelection.even, .odd]) func lowRankMatricesOfHalfTheLayers(_ layers: LayerSelection) throws {
    let small = try SmallRun {
      $0.method = .lora
      $0.layers = layers
    }
    let outcome = try small.run.run()
    let adapter = try #require(outcome.lora)
    let layer = layers == .even ? 0 : 1
    #expect(adapter.modules.count == 7 && adapter.modules.allSatisfy { $0.name.hasPrefix("model.layers.\(layer).") })
    let json = try FileSystem.parseJSON(
      try FileSystem.read(FileSystem.join(adapter.path, "adapter_config.json")), path: "adapter_config.json")
    #expect(json["layers_to_transform"] == .array([.integer(layer)]))
    let again = try LoadedModel(directory: goldens.model, adapters: [adapter.path])
    let rows = try goldens.rows()
    expectClose(
      try Scorer(again.model).score(rows).map(\.logprob), try Scorer(small.model).score(rows).map(\.logprob),
      relative: 1e-5)
    #expect(try again.model.snapshot() != LanguageModel(directory: goldens.model).snapshot())
  }

  @Test func layersThatAreNotThere() {
    #expect(throws: TrainingError.self) { try LayerSelection.odd.check(layerCount: 1) }
    #expect(throws: Never.self) { try LayerSelection.even.check(layerCount: 1) }
    #expect(!LayerSelection.odd.trains("model.embed_tokens.weight") && LayerSelection.all.trains("lm_head.weight"))
    #expect(!LayerSelection.even.trains("model.layers.11.mlp.up_proj.weight"))
  }

  // MARK: - Replay

  @Test(arguments: [(0.25, 4), (0.01, 1), (1, 14)]) func replayedRows(_ fraction: Double, _ count: Int) throws {
    let small = try SmallRun {
      $0.method = .fft
      $0.replay.files = [goldens.data, goldens.data]
      $0.replay.fraction = fraction
      $0.training.shuffles = true
      $0.training.length = .epochs(1)
      $0.training.batchSize = 100
    }
    #expect(small.run.configuration.replay.rows == [count, count])
    guard case .data(let summary)? = small.events.first else {
      Issue.record("no summary")
      return
    }
    #expect(summary.kept == 14 && summary.replayed == 2 * count)
    let outcome = try small.run.run()
    // One step holds everything.
    let all = try goldens.rows().reduce(0) { $0 + $1.tokens.count }
    let record = try #require(outcome.records.first)
    #expect(outcome.records.count == 1 && record.tokens >= all + 2 * count)
    if count == 14 { #expect(record.tokens == 3 * all) }
    let planned = try PlannedRows.read(small.run.configuration).rows
    #expect(planned.count == 14 + 2 * count && planned.reduce(0) { $0 + $1.tokens } == record.tokens)
  }

  @Test func replayIsSeeded() throws {
    func losses(_ seed: UInt64) throws -> [Double] {
      try SmallRun.outcome {
        $0.method = .fft
        $0.replay.files = [goldens.data]
        $0.replay.fraction = 0.3
        $0.training.shuffles = true
        $0.training.seed = seed
      }.records.map(\.loss)
    }
    #expect(try losses(1) == losses(1))
    #expect(try losses(1) != losses(2))
  }
}
