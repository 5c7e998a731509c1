import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Runs of `--method lora` on a tiny model.
@Suite(.engine) struct LoRATrainingTests {
  private static func lora(
    _ configuration: inout RunConfiguration, rank: Int = 4, dropout: Double = 0
  ) {
    configuration.method = .lora
    (configuration.lora.rank, configuration.lora.alpha, configuration.lora.dropout) = (rank, 10, dropout)
  }

  @Test(arguments: [0.0, 0.2], OptimizerSettings.names)
  func baseStaysBitIdentical(_ dropout: Double, _ optimizer: String) throws {
    let settings = try #require(OptimizerSettings(name: optimizer))
    let small = try SmallRun {
      Self.lora(&$0, dropout: dropout)
      $0.training.optimizer = settings
    }
    let outcome = try small.run.run()
    let base = try LanguageModel(directory: small.goldens.model)
    #expect(try small.model.snapshot() == base.snapshot())
    #expect(outcome.mask == nil && outcome.adapter == nil && outcome.modelPath == nil)
    #expect(try small.metrics.map(\.phase) == Array(repeating: .training, count: 5))
    let additions = try #require(small.model.lowRank)
    for part in additions.parts {
      let values: [Float] = try part.up.value.values()
      #expect(values.contains { $0 != 0 } && values.allSatisfy(\.isFinite), "\(part.up.name)")
    }
  }

  /// The saved adapter, loaded again over the base, is the trained model.
  @Test func adapterRoundTrip() throws {
    let small = try SmallRun { Self.lora(&$0) }
    let outcome = try small.run.run()
    let adapter = try #require(outcome.lora)
    #expect(adapter.path == small.run.directory.adapterPath && adapter.modules.count == 14)
    #expect(adapter.configuration.rank == 4 && adapter.configuration.alpha == 10)
    let file = try SafetensorsFile(path: adapter.path + "/adapter_model.safetensors")
    #expect(file.metadata["format"] == "pt")
    for parameter in try #require(small.model.lowRank).parameters {
      let stored = try LoRAGoldens.tensor("base_model.model." + parameter.name, in: file)
      #expect(try stored.dtype == .float32 && stored.values(as: Float.self) == parameter.value.values())
    }
    let again = try LoadedModel(directory: small.goldens.model, adapters: [adapter.path])
    let rows = try small.goldens.rows()
    expectClose(
      try Scorer(again.model).score(rows).map(\.logprob), try Scorer(small.model).score(rows).map(\.logprob),
      relative: 1e-5)
    #expect(adapter.byteCount == 4 * adapter.parameterCount)
  }

  @Test func seedsDecide() throws {
    func run(_ seed: UInt64, _ tokens: Int? = nil, dropout: Double = 0.2) throws -> (Data, [Double]) {
      let small = try SmallRun {
        Self.lora(&$0, dropout: dropout)
        $0.training.seed = seed
        $0.training.microBatchTokens = tokens
      }
      let losses = try small.run.run().records.map(\.loss)
      return (try FileSystem.read(small.run.directory.adapterPath + "/adapter_model.safetensors"), losses)
    }
    let first = try run(5)
    #expect(try run(5) == first)
    #expect(try run(6).0 != first.0)
    #expect(try run(5, dropout: 0).1 != first.1)
  }

  /// A within Kaiming's bound and spread over it, of its own stream; B zero.
  @Test func initialisation() throws {
    func matrices(_ seed: UInt64, rank: Int = 16) throws -> [String: [Float]] {
      let model = try LanguageModel(directory: try TrainingGoldens().model)
      var settings = LoRASettings()
      settings.rank = rank
      let additions = try model.addLowRank(settings, seed: seed)
      return try Dictionary(uniqueKeysWithValues: additions.parameters.map { ($0.name, try $0.value.values()) })
    }
    let first = try matrices(1)
    for (name, values) in first {
      guard name.contains("lora_A") else {
        #expect(values.allSatisfy { $0 == 0 })
        continue
      }
      let bound = 1 / Float(values.count / 16).squareRoot()
      let largest = values.map(abs).max() ?? 0
      #expect(largest <= bound && largest > 0.97 * bound, "\(name)")
      let mean = values.reduce(0, +) / Float(values.count)
      #expect(abs(mean) < 0.2 * bound)
    }
    #expect(Set(first.filter { $0.key.contains("lora_A") }.values).count == 14)
    #expect(try matrices(1) == first && matrices(2) != first)
  }

  /// Updates far below bfloat16's resolution are not lost: the matrices that are saved are float32.
  @Test func halfPrecisionKeepsMasters() throws {
    let small = try SmallRun {
      Self.lora(&$0)
      $0.dtype = "bfloat16"
      $0.training.learningRate = 1e-6
    }
    let outcome = try small.run.run()
    let initial = try LanguageModel(directory: small.goldens.model)
    let begun = try initial.addLowRank(small.run.configuration.lora, seed: 0)
    let file = try SafetensorsFile(path: try #require(outcome.lora).path + "/adapter_model.safetensors")
    var moved = 0
    for part in begun.parts {
      let trained: [Float] = try LoRAGoldens.tensor("base_model.model." + part.down.name, in: file).values()
      let rounded: [Float] = try part.down.value.converted(to: .bfloat16).values()
      moved += zip(trained, rounded).count { $0 != $1 && abs($0 - $1) < 1e-4 }
    }
    #expect(moved > 1000)
    #expect(try small.model.snapshot() == LanguageModel(directory: small.goldens.model, dtype: .bfloat16).snapshot())
  }

  // MARK: - The sink

  /// By plain descent with known gradients: each tensor by itself, or all together.
  @Test(arguments: [Clipping.perTensor, .global], [1, 2]) func clipping(_ clipping: Clipping, _ passes: Int) throws {
    let (_, additions) = try LoRAGoldens().started()
    var options = TrainingOptions()
    (options.optimizer, options.clipping) = (.sgd, clipping)
    let sink = try LowRankSink(options, additions: additions)
    let chosen = [additions.parts[0].down, additions.parts[0].up]
    let before = try chosen.map { try $0.value.values(as: Float.self)[0] }
    sink.beginStep(rate: 1, microBatches: passes)
    for pass in 0..<passes {
      sink.beginMicroBatch(pass)
      for (parameter, value) in zip(chosen, [3.0, 8.0]) {
        try sink.consume(try Tensor.full(parameter.shape, value / Double(passes)), of: parameter)
      }
    }
    try sink.endStep()
    let squares = zip(chosen, [3.0, 8.0]).map { Double($0.value.elementCount) * $1 * $1 }
    for (index, value) in [3.0, 8.0].enumerated() {
      let norm = (clipping == .global ? squares[0] + squares[1] : squares[index]).squareRoot()
      let moved = Double(before[index] - (try chosen[index].value.values(as: Float.self)[0]))
      expectClose(moved, value / (norm + 1e-6), absolute: 1e-6)
    }
  }

  @Test func gradientThatIsNotANumber() throws {
    let (_, additions) = try LoRAGoldens().started()
    let sink = try LowRankSink(TrainingOptions(), additions: additions)
    let parameter = additions.parts[0].down
    let before: [Float] = try parameter.value.values()
    sink.beginStep(rate: 1, microBatches: 1)
    sink.beginMicroBatch(0)
    #expect(throws: NonFiniteGradient.self) {
      try sink.consume(try Tensor.full(parameter.shape, .nan), of: parameter)
    }
    #expect(try parameter.value.values() == before)
  }
}
