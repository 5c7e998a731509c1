import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Tickets
import Torch
import Yams

/// Run directories, and models opened again from what a run leaves.
@Suite(.engine) struct RunModelTests {
  private let goldens: TrainingGoldens
  private let directory: TemporaryDirectory

  init() throws {
    goldens = try TrainingGoldens()
    directory = try TemporaryDirectory()
  }

  // MARK: - Run directory

  @Test func whatARunLeaves() throws {
    let small = try SmallRun()
    let outcome = try small.run.run()
    #expect(
      try FileSystem.contents(of: small.run.directory.path)
        == ["adapter", "config.yaml", "mask.safetensors", "metrics.jsonl"])
    let text = try String(contentsOfFile: small.run.directory.configurationPath, encoding: .utf8)
    #expect(try YAMLDecoder().decode(RunConfiguration.self, from: text) == small.run.configuration)
    #expect(try small.metrics == outcome.records)
    #expect(try Mask(path: small.run.directory.maskPath) == outcome.mask)
    #expect(outcome.seconds.map(\.part) == ["calibration", "extraction", "checkpoints", "adaptation", "writing"])
    let adapter = try #require(outcome.adapter)
    try adapter.verify(base: outcome.loaded.base)
    let kept = try #require(outcome.mask).keptCount
    let files = try FileSystem.contents(of: adapter.path).map {
      try FileSystem.read(FileSystem.join(adapter.path, $0)).count
    }
    #expect(adapter.configuration.trainedCount == kept && adapter.byteCount == files.reduce(0, +))
  }

  @Test func events() throws {
    let small = try SmallRun()
    _ = try small.run.run()
    let words = small.events.map { event in
      switch event {
      case .data(let summary): "data \(summary.kept)"
      case .phaseBegan(let phase, let steps): "\(phase) of \(steps)"
      case .step(let report): "step \(report.record.step)/\(report.stepCount)"
      case .phaseEnded(let phase, _): "end of \(phase)"
      case .note: "note"
      case .extracted(let mask, _): "ticket of \(mask.keptCount)"
      case .validated(let records): "\(records.count) scores"
      }
    }
    let steps = (1...5).map { "step \($0)/5" }
    #expect(
      words == ["data 14", "calibration of 5"] + steps + ["end of calibration", "ticket of 1382", "adaptation of 5"]
        + steps + ["end of adaptation"])
  }

  @Test func directoryThatIsNotEmpty() throws {
    let path = directory("run")
    try FileSystem.createDirectory(path)
    try FileSystem.writeAtomically("mine", to: FileSystem.join(path, "notes.txt"))
    #expect(throws: CheckpointError.outputExists(path: path)) {
      try TrainingRun(goldens.configuration(), output: path)
    }
    #expect(try FileSystem.contents(of: path) == ["notes.txt"])
    #expect(throws: CheckpointError.outputIsNotADirectory(path: path + "/notes.txt")) {
      try TrainingRun(goldens.configuration(), output: path + "/notes.txt")
    }
  }

  @Test func emptyDirectoryIsFine() throws {
    let path = directory("empty")
    try FileSystem.createDirectory(path)
    let run = try TrainingRun(goldens.configuration(), output: path)
    #expect(try FileSystem.contents(of: run.directory.path) == ["checkpoints", "config.yaml"])
  }

  @Test func nothingIsCreatedForBadInput() throws {
    var configuration = goldens.configuration()
    configuration.data = directory("missing.jsonl")
    #expect(throws: TrainingDataError.self) { try TrainingRun(configuration, output: directory("run")) }
    configuration = goldens.configuration { $0.sparsity = 2 }
    #expect(throws: TrainingError.self) { try TrainingRun(configuration, output: directory("run")) }
    #expect(!FileSystem.exists(directory("run")))
  }

  // MARK: - Loaded models

  @Test func adapterGivesTheTrainedModel() throws {
    let small = try SmallRun()
    let outcome = try small.run.run()
    let adapter = try #require(outcome.adapter)
    let again = try LoadedModel(directory: goldens.model, adapters: [adapter.path])
    #expect(try again.model.snapshot() == outcome.loaded.model.snapshot())
    #expect(try again.model.snapshot() != LoadedModel(directory: goldens.model).model.snapshot())

    // The same, written out as a model.
    try outcome.loaded.model.write(to: directory("out"), like: outcome.loaded.base, from: goldens.model)
    #expect(try LoadedModel(directory: directory("out")).model.snapshot() == again.model.snapshot())
  }

  @Test func fineTunedModelLoads() throws {
    let small = try SmallRun { $0.method = .fft }
    let outcome = try small.run.run()
    let again = try LoadedModel(directory: try #require(outcome.modelPath))
    #expect(try again.model.snapshot() == outcome.loaded.model.snapshot())
    #expect(again.tokenizer.encode("a b~") == [65, 0, 66, 94])
    #expect(again.stopTokens == [95])
  }

  @Test func adapterOfAnotherBase() throws {
    let small = try SmallRun()
    let adapter = try #require(try small.run.run().adapter)
    let other = try SmallRun { $0.method = .fft }
    let path = try #require(try other.run.run().modelPath)
    let error = #expect(throws: TicketsError.self) { try LoadedModel(directory: path, adapters: [adapter.path]) }
    guard case .wrongBase? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func adapterTwice() throws {
    let small = try SmallRun()
    let path = try #require(try small.run.run().adapter).path
    let error = #expect(throws: TicketsError.self) {
      try LoadedModel(directory: goldens.model, adapters: [path, path])
    }
    guard case .adaptersOverlap? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func tokenizerOfAnotherModel() throws {
    let path = directory("model")
    try FileManager.default.copyItem(atPath: goldens.model, toPath: path)
    try FileSystem.writeAtomically(
      "{\"eos_token\": \"<end>\", \"additional_special_tokens\": [\"<more>\"]}",
      to: FileSystem.join(path, "tokenizer_config.json"))
    let error = #expect(throws: ModelMismatch.self) { try LoadedModel(directory: path) }
    #expect(error?.directory == path && error?.tokens == 97 && error?.vocabulary == 96)
  }

  // MARK: - Half precision

  /// With a bfloat16 model in memory, the adapter of a float32 base holds what was trained.
  @Test func bfloat16Run() throws {
    let small = try SmallRun { configuration in
      configuration.dtype = "bfloat16"
      configuration.calibration = .steps(0)
    }
    let outcome = try small.run.run()
    let mask = try #require(outcome.mask)
    #expect(outcome.loaded.model.dtype == .bfloat16)
    let base = try LanguageModel(directory: goldens.model, dtype: .bfloat16)
    try outcome.loaded.model.expectUnchanged(outside: mask, base: base)
    let again = try LoadedModel(
      directory: goldens.model, dtype: .bfloat16, adapters: [small.run.directory.adapterPath])
    #expect(try again.model.snapshot() == outcome.loaded.model.snapshot())
  }

  // MARK: - Scores and text

  @Test(arguments: [4096, 40, 1]) func logprobs(_ microBatchTokens: Int) throws {
    let loaded = try LoadedModel(directory: goldens.model)
    var progress: [Int] = []
    let scores = try Scorer(loaded.model, microBatchTokens: microBatchTokens)
      .score(try goldens.rows(), showsTokens: true) { progress.append($0) }
    #expect(scores.map(\.row) == Array(1...14))
    #expect(scores.map(\.count) == (try goldens.integers("score.counts")))
    #expect(scores.map { $0.tokens ?? [] } == (try goldens.rows().map { $0.tokens.map(Int.init) }))
    expectClose(scores.map(\.logprob), try goldens.values("score.logprobs"), relative: 1e-5)
    #expect(progress.last == 14 && progress == progress.sorted())
    let labels = scores.reduce(0) { $0 + $1.count }
    expectClose(
      try Scorer(loaded.model).tokenLoss(try goldens.rows()),
      -scores.reduce(0) { $0 + $1.logprob } / Double(labels), relative: 1e-5)
  }

  @Test func rowsOfAFileAreTheReferences() throws {
    let loaded = try LoadedModel(directory: goldens.model)
    let data = try TrainingData.load(path: goldens.data, encoder: loaded.tokenizer)
    #expect(data.rows == (try goldens.rows()))
    #expect(try Scorer(loaded.model).score(data.rows).allSatisfy { $0.tokens == nil })
  }

  @Test func textInThePromptsOrder() throws {
    let loaded = try LoadedModel(directory: goldens.model)
    let prompts = ["a long prompt with many words", "x", "ab", "another one", "y z", "x"]
    let alone = try prompts.map { try TextGeneration(loaded, batchSize: 1).greedy([$0], maximumTokens: 12)[0] }
    #expect(Set(alone).count == 5 && alone[1] == alone[5])
    var progress: [Int] = []
    let together = try TextGeneration(loaded, batchSize: 4).greedy(prompts, maximumTokens: 12) { progress.append($0) }
    #expect(together == alone)
    #expect(progress == [4, 6])
    #expect(try TextGeneration(loaded).greedy([], maximumTokens: 3) == [])
  }

  @Test func chatWithoutATemplate() throws {
    let loaded = try LoadedModel(directory: goldens.model)
    let error = #expect(throws: MissingChatTemplate.self) { try loaded.chatPrompt("hello") }
    #expect(error?.directory == goldens.model)
  }
}
