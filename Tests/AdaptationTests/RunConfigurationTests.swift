import Adaptation
import Testing
import Torch
import Yams

@Suite struct RunConfigurationTests {
  private static let changed: RunConfiguration = {
    var configuration = RunConfiguration(model: "models/a b", data: "rows: #1.jsonl")
    configuration.method = .fft
    configuration.format = .messages
    configuration.maximumLength = 77
    configuration.overlength = .truncate
    configuration.device = "cuda:1"
    configuration.dtype = "bfloat16"
    configuration.sparsity = 0.995
    configuration.calibration = .epochs(0.3)
    configuration.mask = "mask.safetensors"
    configuration.exclude = ["a.mask", "runs/b/adapter"]
    configuration.adapters = ["runs/b/adapter"]
    configuration.layers = .odd
    (configuration.replay.files, configuration.replay.fraction, configuration.replay.rows) = (["old.jsonl"], 0.3, [7])
    (configuration.lora.rank, configuration.lora.alpha, configuration.lora.dropout) = (3, 4.5, 0.1)
    configuration.training.length = .steps(12)
    configuration.training.batchSize = 3
    configuration.training.learningRate = 3.7e-6
    configuration.training.warmupSteps = 9
    configuration.training.optimizer = .adamW(beta1: 0.8, beta2: 0.95, epsilon: 1e-9, weightDecay: 0.01)
    configuration.training.maximumGradientNorm = nil
    configuration.training.loss = .tokenMean
    configuration.training.seed = .max
    configuration.training.shuffles = false
    configuration.training.microBatchTokens = nil
    return configuration
  }()

  @Test(arguments: [RunConfiguration(model: "m", data: "d"), changed])
  func roundTrip(_ configuration: RunConfiguration) throws {
    let text = try YAMLEncoder().encode(configuration)
    #expect(try YAMLDecoder().decode(RunConfiguration.self, from: text) == configuration)
  }

  @Test(arguments: [OptimizerSettings.sgd, .rmsProp(alpha: 0.5, epsilon: 1e-3), .adamW()])
  func roundTripOfOptimizers(_ optimizer: OptimizerSettings) throws {
    let text = try YAMLEncoder().encode(optimizer)
    #expect(try YAMLDecoder().decode(OptimizerSettings.self, from: text) == optimizer)
    #expect(OptimizerSettings(name: optimizer.name)?.name == optimizer.name)
  }

  @Test func lengthsReadAsTheyAreSaid() throws {
    #expect(try YAMLEncoder().encode(Calibration.steps(5)) == "steps: 5\n")
    #expect(try YAMLDecoder().decode(Calibration.self, from: "epochs: 0.5") == .epochs(0.5))
    #expect(try YAMLDecoder().decode(TrainingOptions.Length.self, from: "epochs: 2") == .epochs(2))
  }

  @Test(arguments: ["steps: 1\nepochs: 2", "hours: 3", "{}", "steps: 1.5", "steps: many"])
  func lengthsThatAreNone(_ text: String) {
    #expect(throws: DecodingError.self) { try YAMLDecoder().decode(Calibration.self, from: text) }
    #expect(throws: DecodingError.self) { try YAMLDecoder().decode(TrainingOptions.Length.self, from: text) }
  }

  @Test(arguments: [
    ("method: lota", "method: magic"), ("loss: sequence-sum", "loss: median"), ("overlength: drop", "overlength: keep"),
    ("clipping: per-tensor", "clipping: hard"), ("batchSize: 32", "batchSize: few"), ("rmsProp:", "lion:"),
    ("model: m\n", ""),
  ])
  func unknownValues(_ found: String, _ replacement: String) throws {
    let text = try YAMLEncoder().encode(RunConfiguration(model: "m", data: "d"))
    #expect(text.contains(found), "\(text)")
    let broken = text.replacing(found, with: replacement)
    #expect(throws: DecodingError.self) { try YAMLDecoder().decode(RunConfiguration.self, from: broken) }
  }

  struct Refusal: Sendable, CustomTestStringConvertible {
    let name: String
    let change: @Sendable (inout RunConfiguration) -> Void
    var testDescription: String { name }

    init(_ name: String, _ change: @escaping @Sendable (inout RunConfiguration) -> Void) {
      self.name = name
      self.change = change
    }
  }

  @Test(arguments: [
    Refusal("sparsity") { $0.sparsity = 1 },
    Refusal("sparsity") { $0.sparsity = -0.1 },
    Refusal("sparsity") { $0.sparsity = .nan },
    Refusal("max-length") { $0.maximumLength = 1 },
    Refusal("calibration-steps") { $0.calibration = .steps(-1) },
    Refusal("calibration-fraction") { $0.calibration = .epochs(0) },
    Refusal("calibration-fraction") { $0.calibration = .epochs(.infinity) },
    Refusal("calibration-fraction") { $0.calibration = .epochs(1e6) },
    Refusal("steps") { $0.training.length = .steps(0) },
    Refusal("epochs") { $0.training.length = .epochs(0) },
    Refusal("epochs") { $0.training.length = .epochs(.nan) },
    Refusal("batch-size") { $0.training.batchSize = 0 },
    Refusal("learning-rate") { $0.training.learningRate = 0 },
    Refusal("learning-rate") { $0.training.learningRate = .infinity },
    Refusal("learning-rate") { $0.training.learningRate = .nan },
    Refusal("warmup-steps") { $0.training.warmupSteps = -1 },
    Refusal("max-grad-norm") { $0.training.maximumGradientNorm = 0 },
    Refusal("max-grad-norm") { $0.training.maximumGradientNorm = .infinity },
    Refusal("micro-batch-tokens") { $0.training.microBatchTokens = 0 },
    Refusal("alpha") { $0.training.optimizer = .rmsProp(alpha: 1) },
    Refusal("epsilon") { $0.training.optimizer = .rmsProp(epsilon: 0) },
    Refusal("beta1") { $0.training.optimizer = .adamW(beta1: 1) },
    Refusal("beta2") { $0.training.optimizer = .adamW(beta2: -1) },
    Refusal("epsilon") { $0.training.optimizer = .adamW(epsilon: -1) },
    Refusal("weight-decay") { $0.training.optimizer = .adamW(weightDecay: -1) },
    Refusal("rank") { $0.lora.rank = 0 },
    Refusal("alpha") { $0.lora.alpha = -1 },
    Refusal("alpha") { $0.lora.alpha = .infinity },
    Refusal("lora-dropout") { $0.lora.dropout = 1 },
    Refusal("lora-dropout") { $0.lora.dropout = -0.1 },
    Refusal("device") { $0.device = "gpu" },
    Refusal("dtype") { $0.dtype = "int8" },
    Refusal("dtype") { $0.dtype = "half" },
    Refusal("exclude") {
      $0.method = .lora
      $0.exclude = ["a.mask"]
    },
    Refusal("layers") { $0.layers = .even },
    Refusal("replay-fraction") { $0.replay.fraction = 0 },
    Refusal("replay-fraction") { $0.replay.fraction = 1.5 },
    Refusal("no-shuffle") {
      $0.replay.files = ["old.jsonl"]
      $0.training.shuffles = false
    },
    Refusal("clipping") {
      $0.method = .fft
      $0.training.clipping = .global
    },
  ])
  func refusals(_ refusal: Refusal) {
    var configuration = RunConfiguration(model: "m", data: "d")
    refusal.change(&configuration)
    let error = #expect(throws: TrainingError.self) { try configuration.validate() }
    guard case .invalidOption(let name, _, _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(name == refusal.name)
  }

  @Test func defaultsAreThePapers() throws {
    let configuration = RunConfiguration(model: "m", data: "d")
    try configuration.validate()
    #expect(configuration.sparsity == 0.9 && configuration.calibration == .epochs(1))
    #expect(configuration.maximumLength == 512)
    let training = configuration.training
    #expect(training.batchSize == 32 && training.length == .epochs(3) && training.loss == .sequenceSum)
    #expect(training.optimizer == .rmsProp(alpha: 0.99, epsilon: 1e-8) && training.maximumGradientNorm == 1)
    #expect(training.clipping == .perTensor && training.warmupSteps == 0)
  }

  @Test func typesAndDevices() throws {
    var configuration = RunConfiguration(model: "m", data: "d")
    #expect(try configuration.computeType() == nil)
    #expect(try configuration.computeDevice() == .cpu)
    configuration.dtype = "bfloat16"
    configuration.device = "cuda:1"
    #expect(try configuration.computeType() == .bfloat16)
    #expect(try configuration.computeDevice() == Device(kind: .cuda, index: 1))
  }
}
