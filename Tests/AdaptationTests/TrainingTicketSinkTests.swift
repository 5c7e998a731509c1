import Adaptation
import Decoder
import TestSupport
import Testing
import Tickets
import Torch

/// Sparse training, fed with gradients by hand and by the backward pass.
@Suite(.engine) struct TrainingTicketSinkTests {
  private let goldens: TrainingGoldens

  init() throws { goldens = try TrainingGoldens() }

  private func model(_ dtype: DType? = nil) throws -> LanguageModel {
    try LanguageModel(directory: goldens.model, dtype: dtype)
  }

  /// Every `stride`-th weight of the tensors whose name `isChosen` takes.
  private func mask(
    of model: LanguageModel, stride: Int = 10, _ isChosen: (String) -> Bool = { _ in true }
  ) throws -> Mask {
    try Mask(
      entries: TicketScope.scopedNames(of: model.parameters.map(\.name)).map { name in
        let shape = model.shapes[name] ?? []
        let bits = (0..<shape.reduce(1, *)).map { isChosen(name) && $0 % stride == 0 }
        return Mask.Entry(name: name, shape: shape, bits: BitMask(bits))
      })
  }

  private func step(_ model: LanguageModel, _ sink: any TrainingSink, from first: Int = 0, rate: Double = 1e-3) throws {
    let rows = try goldens.rows()
    let batch = PackedBatch((0..<4).map { rows[(first + $0) % rows.count] })
    sink.beginStep(rate: rate, microBatches: 1)
    sink.beginMicroBatch(0)
    _ = try model.backward(
      try PackedSequences(tokens: batch.tokens, offsets: batch.offsets, vocabularySize: 96),
      labels: try Labels(rows: batch.labelRows, targets: batch.labelTargets), scale: 0.25, sink: sink)
    try sink.endStep()
  }

  @Test(arguments: [DType.float32, .bfloat16]) func nothingElseChangesInManySteps(_ dtype: DType) throws {
    let (trained, base) = (try model(dtype), try model(dtype))
    let mask = try mask(of: trained)
    let sink = try TicketSink(TrainingOptions(), mask: mask, model: trained)
    for number in 0..<40 { try step(trained, sink, from: number * 4) }
    try trained.expectUnchanged(outside: mask, base: base)
    let (before, after) = (try base.values(of: mask), try trained.values(of: mask))
    #expect(zip(before, after).count { $0 != $1 } > mask.keptCount * 9 / 10)
  }

  /// Whole products gathered, or sums of the entries alone: the same training, over several micro-batches too.
  @Test(arguments: [10, 97]) func bothWaysToTheGradientTrainAlike(_ stride: Int) throws {
    let base = try model()
    let mask = try mask(of: base, stride: stride)
    let all = try goldens.rows()
    func trained(_ way: TicketGradient) throws -> (losses: [Double], values: [Float]) {
      let model = try model()
      var options = TrainingOptions()
      options.ticketGradient = way
      let sink = try TicketSink(options, mask: mask, model: model)
      let spy = CountingSink(sink)
      var losses: [Double] = []
      for step in 0..<6 {
        let rows = (0..<24).map { all[(step * 24 + $0) % all.count] }
        let batches = MicroBatches(rows, maximumTokens: step % 2 == 0 ? nil : 300).batches
        #expect(batches.count == 1 || step % 2 == 1)
        spy.beginStep(rate: 1e-3, microBatches: batches.count)
        for (index, batch) in batches.enumerated() {
          spy.beginMicroBatch(index)
          let loss = try model.backward(
            try PackedSequences(tokens: batch.tokens, offsets: batch.offsets, vocabularySize: 96),
            labels: try Labels(rows: batch.labelRows, targets: batch.labelTargets), scale: 1 / 24, sink: spy)
          losses.append(try loss.sum())
        }
        try spy.endStep()
      }
      #expect(spy.wholeCount == (way == .sampled ? 0 : spy.delivered.count))
      try model.expectUnchanged(outside: mask, base: base)
      return (losses, try model.values(of: mask))
    }
    let (dense, sampled) = (try trained(.dense), try trained(.sampled))
    expectClose(sampled.losses, dense.losses, relative: 1e-5)
    let moved = zip(dense.values, try base.values(of: mask)).map { abs($0 - $1) }.max() ?? 0
    // RMSprop's first step moves a weight by the sign of its gradient, however small that is: a few may part.
    let apart = zip(sampled.values, dense.values).count { abs($0 - $1) > 1e-2 * moved }
    #expect(apart <= dense.values.count / 500 + 1)
  }

  @Test func asksOnlyForTheTicketsTensors() throws {
    let model = try model()
    let name = "model.layers.1.self_attn.k_proj.weight"
    let sink = try TicketSink(TrainingOptions(), mask: try mask(of: model) { $0 == name }, model: model)
    #expect(model.parameters.filter { sink.needsGradient(of: $0) }.map(\.name) == [name])
    let spy = CountingSink(sink)
    try step(model, spy)
    #expect(spy.delivered == [name])
  }

  @Test func emptyTicket() throws {
    let model = try model()
    let empty = try mask(of: model) { _ in false }
    #expect(throws: TrainingError.ticketIsEmpty) {
      try TicketSink(TrainingOptions(), mask: empty, model: model)
    }
  }

  @Test func maskOfAnotherModel() throws {
    let model = try model()
    let name = "model.layers.0.mlp.up_proj.weight"
    let wrong = try Mask(entries: [
      Mask.Entry(name: name, shape: [4, 4], bits: BitMask(count: 16, filled: true)),
      Mask.Entry(name: "model.layers.7.mlp.up_proj.weight", shape: [2], bits: BitMask(count: 2, filled: true)),
    ])
    #expect(
      throws: TicketsError.maskDoesNotFit([
        "\(name) has shape [40, 32], the mask has [4, 4]", "model.layers.7.mlp.up_proj.weight is missing",
      ])
    ) { try TicketSink(TrainingOptions(), mask: wrong, model: model) }
  }

  /// Index and every moment are 4 bytes a weight each, and so are master values of half-precision weights and, where entries are
  /// summed alone, each row's beginning; gradients only of the matrix with most entries, unless all must wait.
  @Test(arguments: [(OptimizerSettings.rmsProp(), 8), (.adamW(), 12), (.sgd, 4)])
  func stateSize(_ optimizer: OptimizerSettings, _ bytesPerWeight: Int) throws {
    for dtype in [DType.float32, .bfloat16] {
      let model = try model(dtype)
      var options = TrainingOptions()
      options.optimizer = optimizer
      options.ticketGradient = .sampled
      let mask = try mask(of: model)
      let sink = try TicketSink(options, mask: mask, model: model)
      let rows = mask.entries.reduce(0) { $0 + $1.shape[0] + 1 }
      let starts = Kernels.canSampleProducts(dtype, on: .cpu) ? 4 * rows : 0
      let masters = dtype == .bfloat16 ? 4 * mask.keptCount : 0
      #expect(sink.stateByteCount == 4 * mask.keptCount + masters + starts)
      try step(model, sink)
      let passing = 4 * (mask.entries.map(\.bits.populationCount).max() ?? 0)
      #expect(sink.stateByteCount == bytesPerWeight * mask.keptCount + masters + starts + passing)

      options.clipping = .global
      let waiting = try TicketSink(options, mask: mask, model: model)
      try step(model, waiting)
      #expect(waiting.stateByteCount == (bytesPerWeight + 4) * mask.keptCount + masters + starts)
    }
  }

  @Test func stateSizeOfDenseTraining() throws {
    let model = try model()
    let count = model.parameters.reduce(0) { $0 + $1.value.elementCount }
    let sink = DenseSink(TrainingOptions())
    try step(model, sink)
    #expect(sink.stateByteCount == 4 * count)
    let some = DenseSink(TrainingOptions()) { $0.hasSuffix("norm.weight") }
    #expect(model.parameters.count { some.needsGradient(of: $0) } == 5)
    try step(model, some)
    #expect(some.stateByteCount == 4 * 5 * 32)
  }

  /// Each step is a 32nd of what moves a bfloat16 weight of this size.
  @Test func masterValuesKeepWhatHalfPrecisionRoundsAway() throws {
    let model = try model(.bfloat16)
    let name = "model.layers.0.self_attn.q_proj.weight"
    let parameter = try #require(model.parameter(named: name))
    try parameter.value.fill(1.5)
    var options = TrainingOptions()
    options.optimizer = .sgd
    options.maximumGradientNorm = nil
    let mask = try mask(of: model, stride: 3) { $0 == name }
    let sink = try TicketSink(options, mask: mask, model: model)
    let gradient = try Tensor.full(parameter.shape, 1, .bfloat16)
    let rate = 0x1p-12
    for count in 1...100 {
      sink.beginStep(rate: rate, microBatches: 1)
      sink.beginMicroBatch(0)
      try sink.consume(gradient, of: parameter)
      try sink.endStep()
      let master = 1.5 - Float(count) * Float(rate)
      let rounded = try Tensor.from([master]).converted(to: .bfloat16).values(as: Float.self)[0]
      let stored = try model.values(name)
      #expect(stored[0] == rounded && stored[3] == rounded && stored[1] == 1.5 && stored[2] == 1.5)
      if count == 1 { #expect(stored[0] == 1.5) }
      if count == 100 { #expect(stored[0] < 1.48) }
    }
  }

  @Test func clipping() throws {
    let model = try model()
    let names = ["model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.k_proj.weight"]
    let mask = try mask(of: model, stride: 256) { names.contains($0) }  // 4 and 2 weights
    #expect(mask.keptCount == 6)
    for (clipping, factors) in [
      (Clipping.perTensor, [1 / (36.0.squareRoot() + 1e-6), 1 / (128.0.squareRoot() + 1e-6)]),
      (.global, Array(repeating: 1 / (164.0.squareRoot() + 1e-6), count: 2)),
    ] {
      var options = TrainingOptions()
      options.optimizer = .sgd
      options.clipping = clipping
      let sink = try TicketSink(options, mask: mask, model: model)
      sink.beginStep(rate: 1, microBatches: 1)
      sink.beginMicroBatch(0)
      var before: [Float] = []
      // Gradients outside the ticket must not count towards the norm.
      for (name, value) in zip(names, [3.0, 8.0]) {
        let parameter = try #require(model.parameter(named: name))
        before.append(try model.values(name)[0])
        try sink.consume(try Tensor.full(parameter.shape, value), of: parameter)
      }
      try sink.endStep()
      for (index, name) in names.enumerated() {
        let moved = Double(before[index] - (try model.values(name)[0]))
        expectClose(moved, factors[index] * [3.0, 8.0][index], absolute: 1e-6, "\(clipping) \(name)")
      }
    }
  }

  @Test func gradientThatIsNotANumber() throws {
    let model = try model()
    let name = "model.layers.0.self_attn.q_proj.weight"
    let parameter = try #require(model.parameter(named: name))
    for sink in [
      try TicketSink(TrainingOptions(), mask: try mask(of: model), model: model) as any TrainingSink,
      DenseSink(TrainingOptions()),
    ] {
      let before = try model.snapshot()
      sink.beginStep(rate: 1, microBatches: 1)
      sink.beginMicroBatch(0)
      let gradient = try Tensor.full(parameter.shape, .infinity)
      #expect(throws: NonFiniteGradient.self) { try sink.consume(gradient, of: parameter) }
      #expect(try model.snapshot() == before)
    }
  }
}

/// Passes everything on and notes what arrives.
final class CountingSink: TrainingSink {
  private let sink: any TrainingSink
  /// Tensors whose gradient came, whole or only its entries.
  private(set) var delivered: [String] = []
  private(set) var wholeCount = 0

  init(_ sink: any TrainingSink) { self.sink = sink }

  func beginStep(rate: Double, microBatches: Int, statistics: any StepStatistics) {
    sink.beginStep(rate: rate, microBatches: microBatches, statistics: statistics)
  }
  func beginMicroBatch(_ index: Int) { sink.beginMicroBatch(index) }
  func endStep() throws { try sink.endStep() }
  func needsGradient(of parameter: Parameter) -> Bool { sink.needsGradient(of: parameter) }
  var stateByteCount: Int { sink.stateByteCount }
  func savedTensors() throws -> [SavedTensor] { try sink.savedTensors() }
  func restore(_ saved: SavedTensors, model: LanguageModel) throws { try sink.restore(saved, model: model) }

  func consume(_ gradient: Tensor, of parameter: Parameter) throws {
    delivered.append(parameter.name)
    wholeCount += 1
    try sink.consume(gradient, of: parameter)
  }

  func wantsEntries(of parameter: Parameter) -> Bool { sink.wantsEntries(of: parameter) }
  func entries(of parameter: Parameter) throws -> GradientEntries? { try sink.entries(of: parameter) }

  func consumeEntries(of parameter: Parameter) throws {
    delivered.append(parameter.name)
    try sink.consumeEntries(of: parameter)
  }
}
