import Adaptation
import Decoder
import TestSupport
import Testing
import Tickets
import Torch

/// What decides updates on a device, run here on the CPU: it must do what the CPU's own does, and refuse what that refuses.
@Suite(.engine) struct TrainingStatisticsTests {
  enum Kind: String, CaseIterable { case dense, ticket, globalTicket }

  private let goldens: TrainingGoldens
  private let names = [
    "model.layers.1.mlp.down_proj.weight", "model.layers.0.self_attn.q_proj.weight",
    "model.layers.0.self_attn.k_proj.weight",
  ]

  init() throws { goldens = try TrainingGoldens() }

  /// A tiny model and a sink over three of its matrices, fed by hand.
  private struct Trained {
    let model: LanguageModel
    let sink: any TrainingSink

    func weights(_ names: [String]) throws -> [Float] { try names.flatMap { try model.values($0) } }
  }

  private func trained(
    _ kind: Kind, _ optimizer: OptimizerSettings = .rmsProp(), _ dtype: DType = .float32
  ) throws -> Trained {
    let model = try LanguageModel(directory: goldens.model, dtype: dtype)
    var options = TrainingOptions()
    options.optimizer = optimizer
    options.clipping = kind == .globalTicket ? .global : .perTensor
    guard kind != .dense else { return Trained(model: model, sink: DenseSink(options) { names.contains($0) }) }
    let mask = try Mask(
      entries: names.map { name in
        let shape = model.shapes[name] ?? []
        return Mask.Entry(name: name, shape: shape, bits: BitMask((0..<shape.reduce(1, *)).map { $0 % 3 == 0 }))
      })
    return Trained(model: model, sink: try TicketSink(options, mask: mask, model: model))
  }

  /// Normal gradients of every matrix, the same for the same seed; `factor` of one matrix may be NaN.
  private func step(
    _ trained: Trained, seed: UInt64, _ statistics: any StepStatistics, factors: [String: Double] = [:],
    microBatches: Int = 1
  ) throws {
    trained.sink.beginStep(rate: 1e-3, microBatches: microBatches, statistics: statistics)
    for microBatch in 0..<microBatches {
      trained.sink.beginMicroBatch(microBatch)
      for (index, name) in names.enumerated() {
        let parameter = try #require(trained.model.parameter(named: name))
        let gradient = try Tensor.empty(parameter.shape, parameter.value.dtype)
        try gradient.fillNormal(deviation: 0.02 * Double(index + 1), seed: seed &+ UInt64(10 * microBatch + index))
        if let factor = factors[name] { try gradient.rows(0..<1).fill(factor) }
        try trained.sink.consume(gradient, of: parameter)
      }
      try statistics.add(losses: try Tensor.from([1.5, 2.5] as [Float]))
    }
    try trained.sink.endStep()
    #expect(try statistics.finish() == 4 * Double(microBatches))
  }

  @Test(arguments: Kind.allCases, [OptimizerSettings.rmsProp(), .adamW(weightDecay: 0.1), .sgd])
  func updatesAsTheHostDoes(_ kind: Kind, _ optimizer: OptimizerSettings) throws {
    for dtype in [DType.float32, .bfloat16, .float64] {
      for microBatches in [1, 2] {
        let (host, device) = (try trained(kind, optimizer, dtype), try trained(kind, optimizer, dtype))
        let before = try host.weights(names)
        for seed in 0..<5 as Range<UInt64> {
          try step(host, seed: 100 * seed, HostStatistics(), microBatches: microBatches)
          try step(device, seed: 100 * seed, try DeviceStatistics(on: .cpu), microBatches: microBatches)
        }
        let after = try host.weights(names)
        #expect(zip(before, after).count { $0 != $1 } > before.count / 40)
        // A bfloat16 weight may land on the neighbouring value.
        expectClose(
          try device.weights(names), after, absolute: 2e-6, relative: dtype == .bfloat16 ? 0x1p-7 : 0,
          "\(kind) \(optimizer.name) \(dtype)")
      }
    }
  }

  @Test(arguments: Kind.allCases, [DType.float32, .bfloat16])
  func badGradientChangesNothingFromThereOn(_ kind: Kind, _ dtype: DType) throws {
    for optimizer in [OptimizerSettings.rmsProp(), .adamW(weightDecay: 0.1), .sgd] {
      for value in [Double.nan, .infinity] {
        let trained = try trained(kind, optimizer, dtype)
        let before = try names.map { try trained.model.values($0) }
        let error = #expect(throws: NonFiniteGradient.self) {
          try step(trained, seed: 1, try DeviceStatistics(on: .cpu), factors: [names[1]: value, names[2]: value])
        }
        #expect(error?.tensor == names[1])
        let after = try names.map { try trained.model.values($0) }
        // With clipping over all, nothing is applied before all are known.
        #expect((before[0] == after[0]) == (kind == .globalTicket))
        #expect(before[1] == after[1] && before[2] == after[2])
      }
    }
  }

  /// The optimizer's state is that of the last good step: what follows a refused step is what would have followed without it.
  @Test(arguments: Kind.allCases, [OptimizerSettings.rmsProp(), .sgd])
  func refusedStepLeavesNoTrace(_ kind: Kind, _ optimizer: OptimizerSettings) throws {
    let (plain, disturbed) = (try trained(kind, optimizer), try trained(kind, optimizer))
    for trained in [plain, disturbed] { try step(trained, seed: 1, try DeviceStatistics(on: .cpu)) }
    #expect(throws: NonFiniteGradient.self) {
      try step(disturbed, seed: 2, try DeviceStatistics(on: .cpu), factors: [names[0]: .nan])
    }
    for trained in [plain, disturbed] { try step(trained, seed: 3, try DeviceStatistics(on: .cpu)) }
    #expect(try plain.model.snapshot() == disturbed.model.snapshot())
  }

  @Test func lossThatIsNotFinite() throws {
    for statistics in [HostStatistics() as any StepStatistics, try DeviceStatistics(on: .cpu)] {
      #expect(throws: NonFiniteLoss.self) {
        try statistics.add(losses: try Tensor.from([1, .infinity] as [Float]))
        _ = try statistics.finish()
      }
    }
  }

  // MARK: - Whole phases

  private let makers: [(Device) throws -> any StepStatistics] = [
    { _ in HostStatistics() }, { try DeviceStatistics(on: $0) },
  ]

  private func run(
    _ model: LanguageModel, _ statistics: @escaping (Device) throws -> any StepStatistics
  ) throws -> [Double] {
    let options = goldens.configuration { $0.training.microBatchTokens = 64 }.training
    let phase = try TrainingPhase(.training, options: options, rows: try goldens.rows(), statistics: statistics)
    var losses: [Double] = []
    try phase.run(model, sink: DenseSink(options)) { report in
      losses.append(report.record.loss)
      return .proceed
    }
    return losses
  }

  @Test(arguments: [(DType.float32, 2e-5), (.bfloat16, 2e-2)])
  func phaseAsOnTheHost(_ dtype: DType, _ tolerance: Double) throws {
    let losses = try makers.map { try run(try LanguageModel(directory: goldens.model, dtype: dtype), $0) }
    #expect(losses[0].count == 5 && losses[0].allSatisfy(\.isFinite))
    expectClose(losses[1], losses[0], relative: tolerance, "\(dtype)")
  }

  @Test func phaseNamesTheTensorTheHostNames() throws {
    let errors = try makers.map { statistics in
      let model = try LanguageModel(directory: goldens.model)
      try model.parameter(named: "model.layers.1.mlp.up_proj.weight")?.value.rows(0..<1).fill(.nan)
      return #expect(throws: TrainingError.self) { try run(model, statistics) }
    }
    #expect(errors[0] != nil && errors[0] == errors[1])
  }
}
