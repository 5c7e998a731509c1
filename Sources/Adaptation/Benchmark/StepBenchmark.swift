public import Checkpoints
internal import Decoder
internal import Foundation
internal import Primitives
internal import Tickets
public import Torch

/// Times training steps of a model's shape with random weights, random rows of one length and a random ticket.
public struct StepBenchmark: Sendable {
  public var model: ModelConfiguration
  public var device = Device.cpu
  /// nil: float32 on the CPU, else the checkpoint's, else bfloat16.
  public var dtype: DType?
  /// Calibration trains all weights, adaptation a ticket, training the matrices of `lora`.
  public var phase = Phase.adaptation
  public var lora = LoRASettings()
  public var sparsity = 0.9
  /// Tokens a row.
  public var length = 512
  /// Tokens at the beginning of a row that are no labels.
  public var promptLength = 1
  /// Steps that are run before those that count.
  public var warmupSteps = 1
  /// Steps that count.
  public var steps = 5
  /// Batch size, optimizer, clipping, micro-batches and activations; lengths and order do not matter here.
  public var training = TrainingOptions()

  public init(_ model: ModelConfiguration) { self.model = model }

  public struct Report: Encodable, Equatable, Sendable {
    public let phase: Phase
    public let device: String
    public let dtype: String
    public let parameters: Int
    /// Weights that the steps train.
    public let trained: Int
    public let tokensPerStep: Int
    public let labelsPerStep: Int
    /// For weights, ticket and rows.
    public let setupSeconds: Double
    /// Every step that counts.
    public let seconds: [Double]
    public let medianSeconds: Double
    public let tokensPerSecond: Double
    /// 10^12 operations that a step needs; what is computed again is not counted.
    public let teraflopPerStep: Double
    public let teraflopPerSecond: Double
    /// Optimizer state, indices and buffers of the sink.
    public let stateBytes: Int
    /// Held at most on the device; on the CPU the process's largest resident size.
    public let peakMemoryBytes: Int
    /// Of the last step.
    public let loss: Double
  }

  /// - Throws: ``TrainingError/invalidOption(name:value:expected:)``, ``TorchError``, `TicketsError`.
  public func run(observe: (StepReport) -> Void = { _ in }) throws -> Report {
    try validate()
    let clock = ContinuousClock()
    let start = clock.now
    let model = try randomModel()
    let (sink, trained) = try makeSink(model)
    var options = training
    options.length = .steps(warmupSteps + steps)
    options.shuffles = false
    let rows = randomRows(options.batchSize)
    let setup = clock.now - start
    var reports: [StepReport] = []
    try TrainingPhase(phase, options: options, rows: rows).run(model, sink: sink) { report in
      reports.append(report)
      observe(report)
      return .proceed
    }
    return try report(
      reports.dropFirst(warmupSteps).map(\.record), model: model, sink: sink, trained: trained,
      setupSeconds: setup / .seconds(1))
  }

  private func validate() throws {
    func require(_ condition: Bool, _ name: String, _ value: Any, _ expected: String) throws {
      guard condition else { throw TrainingError.invalidOption(name: name, value: "\(value)", expected: expected) }
    }
    try lora.validate()
    try require(
      (2...model.maximumPositions).contains(length), "length", length, "from 2 to \(model.maximumPositions)")
    try require((1..<length).contains(promptLength), "prompt-length", promptLength, "from 1 to \(length - 1)")
    try require((1...1_000_000).contains(steps), "steps", steps, "from 1 to 1000000")
    try require((0...1_000_000).contains(warmupSteps), "warmup", warmupSteps, "from 0 to 1000000")
  }

  /// Matrices normal with deviation 0.02, norms one, biases zero.
  private func randomModel() throws -> LanguageModel {
    let type = dtype ?? LanguageModel.defaultType(of: self.model, on: device)
    let model = try LanguageModel(model, dtype: type, device: device)
    for (index, parameter) in model.parameters.enumerated() {
      if parameter.shape.count == 2 {
        try parameter.value.fillNormal(deviation: 0.02, seed: training.seed &+ UInt64(index))
      } else {
        try parameter.value.fill(parameter.name.hasSuffix("norm.weight") ? 1 : 0)
      }
    }
    return model
  }

  private func makeSink(_ model: LanguageModel) throws -> (sink: any TrainingSink, trained: Int) {
    if phase == .calibration {
      return (DenseSink(training), model.parameters.reduce(0) { $0 + $1.value.elementCount })
    }
    if phase == .training {
      let additions = try model.addLowRank(lora, seed: training.seed)
      return (try LowRankSink(training, additions: additions), additions.settings.parameterCount(self.model))
    }
    let names = Set(TicketScope.scopedNames(of: model.parameters.map(\.name)))
    let mask = try TicketSelection.random(
      shapes: model.shapes.filter { names.contains($0.key) }, amount: .sparsity(sparsity), seed: training.seed)
    return (try TicketSink(training, mask: mask, model: model), mask.keptCount)
  }

  private func randomRows(_ count: Int) -> [TokenizedRow] {
    var stream = RandomStream(seed: training.seed, purpose: "benchmark-rows")
    return (0..<count).map { row in
      let tokens = (0..<length).map { _ in Int32(stream.below(model.vocabularySize)) }
      return TokenizedRow(number: row + 1, tokens: tokens, labelRanges: [promptLength..<length])
    }
  }

  private func report(
    _ records: [MetricsRecord], model: LanguageModel, sink: any TrainingSink, trained: Int, setupSeconds: Double
  ) throws -> Report {
    let seconds = records.map(\.seconds)
    let median = seconds.sorted()[seconds.count / 2]
    let last = records[records.count - 1]
    var work = StepWork()
    for _ in 0..<training.batchSize {
      work.add(RowSize(tokens: length, labels: length - promptLength), window: self.model.slidingWindow)
    }
    let lowRankCount = phase == .training ? lora.additions().parameterCount(self.model) : 0
    let operations = try work.operations(self.model, lowRankCount: lowRankCount) {
      phase == .calibration || (phase == .adaptation && TicketScope.Weight(name: $0) != nil)
    }
    return Report(
      phase: phase, device: device.description, dtype: model.dtype.configurationName,
      parameters: model.parameters.reduce(0) { $0 + $1.value.elementCount }, trained: trained,
      tokensPerStep: last.tokens, labelsPerStep: last.labels, setupSeconds: setupSeconds, seconds: seconds,
      medianSeconds: median, tokensPerSecond: Double(last.tokens) / median,
      teraflopPerStep: operations / 1e12, teraflopPerSecond: operations / 1e12 / median,
      stateBytes: sink.stateByteCount,
      peakMemoryBytes: device == .cpu
        ? Engine.peakMemoryInBytes : try Engine.peakMemoryInBytes(on: device),
      loss: last.loss)
  }
}
