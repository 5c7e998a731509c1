import Checkpoints
import Decoder
import TestSupport
import Testing
import Torch

/// What the backward pass promises its sinks, and finite differences through whole models in float64.
@Suite(.engine) struct GradientTests {
  static let sequences = [[1, 7, 3, 3, 10, 2], [4], [9, 0, 5, 8]]

  static var configurations: [ModelConfiguration] {
    get throws {
      [
        try .tiny(), try .tiny(tied: true, biases: false),
        try .tiny(heads: 4, keyValueHeads: 2, window: 3, biases: false),
        try .tiny(heads: 1, tied: true, ropeScaling: .linear(factor: 4)),
      ]
    }
  }

  /// Each parameter's gradient against central differences, in every element of small ones and some of large ones.
  @Test(arguments: 0..<4) func finiteDifferencesThroughTheModel(_ index: Int) throws {
    let model = try LanguageModel.random(try Self.configurations[index], .float64)
    let packed = try model.pack(Self.sequences)
    let labels = try allLabels(Self.sequences)
    let sink = RecordingSink()
    _ = try model.backward(packed, labels: labels, scale: 0.5, sink: sink)
    var generator = SeededGenerator(seed: 23)
    for parameter in model.parameters {
      let gradient = try #require(sink.gradients[parameter.name])
      let largest = max(gradient.map(abs).max() ?? 0, 1e-3)
      let elements = gradient.count <= 8 ? Array(gradient.indices) : generator.tokens(6, below: gradient.count)
      for element in elements {
        let difference = try centralDifference(model, parameter, element) {
          0.5 * (try model.losses(packed, labels: labels).sum())
        }
        expectClose(gradient[element], difference, absolute: 2e-6 * largest, "\(parameter.name)[\(element)]")
      }
    }
  }

  private func centralDifference(
    _ model: LanguageModel, _ parameter: Parameter, _ element: Int, _ loss: () throws -> Double
  ) throws -> Double {
    let step = 1e-5
    let cell = try parameter.value.flattened().rows(element..<(element + 1))
    let value: Double = try cell.values()[0]
    defer { try? cell.fill(value) }
    try cell.fill(value + step)
    let above = try loss()
    try cell.fill(value - step)
    return (above - (try loss())) / (2 * step)
  }

  @Test(arguments: 0..<4) func everyParameterIsDeliveredOnce(_ index: Int) throws {
    let model = try LanguageModel.random(try Self.configurations[index], .float32)
    let sink = RecordingSink()
    _ = try model.backward(try model.pack(Self.sequences), labels: try allLabels(Self.sequences), scale: 1, sink: sink)
    #expect(sink.deliveries.sorted() == model.parameters.map(\.name).sorted())
    #expect(model.parameters.map(\.name).sorted() == (try model.configuration.expectedTensors().map(\.name).sorted()))
    // From the last layer to the first, the embedding at the very end.
    #expect(sink.deliveries.last == "model.embed_tokens.weight")
    let layers = sink.deliveries.compactMap { $0.split(separator: ".").dropFirst(2).first.flatMap { Int($0) } }
    #expect(layers == layers.sorted(by: >))
  }

  /// The trap: a weight that its sink updates at once must not change what flows further back in the same step.
  @Test(arguments: 0..<4) func updatesInsideTheSinkDoNotLeakBackwards(_ index: Int) throws {
    let configuration = try Self.configurations[index]
    let quiet = RecordingSink()
    let rude = OverwritingSink()
    for sink in [quiet, rude] as [any GradientSink] {
      let model = try LanguageModel.random(configuration, .float32)
      _ = try model.backward(
        try model.pack(Self.sequences), labels: try allLabels(Self.sequences), scale: 1, sink: sink)
    }
    #expect(quiet.gradients.count > 10 && rude.gradients == quiet.gradients)
  }

  @Test(arguments: Goldens.models) func updatesInsideTheSinkDoNotLeakInReferenceModels(_ name: String) throws {
    let reference = try GoldenModel(name)
    let quiet = RecordingSink()
    let rude = OverwritingSink()
    for sink in [quiet, rude] as [any GradientSink] {
      let model = try reference.load()
      _ = try model.backward(
        try reference.sequences(model), labels: try reference.labels(), scale: reference.scale, sink: sink)
    }
    #expect(rude.gradients == quiet.gradients)
  }

  /// Nothing accumulates from call to call, whatever sizes come between; logits and generation may come between too.
  @Test func repeatedCallsGiveIdenticalGradients() throws {
    let model = try LanguageModel.random(try .tiny(), .float32)
    let large = (0..<5).map { row in (0..<(20 + row)).map { ($0 * 7 + row) % 11 } }
    func gradients(_ sequences: [[Int]]) throws -> [String: [Double]] {
      let sink = RecordingSink()
      _ = try model.backward(try model.pack(sequences), labels: try allLabels(sequences), scale: 1, sink: sink)
      return sink.gradients
    }
    let small = try gradients(Self.sequences)
    #expect(try gradients(Self.sequences) == small)
    let first = try gradients(large)
    #expect(try gradients(Self.sequences) == small)
    _ = try model.logits(try model.pack(large))
    _ = try Generator(model).generate([[1, 2]], options: try SamplingOptions(maximumTokens: 3))
    #expect(try gradients(large) == first)
    #expect(try gradients(Self.sequences) == small)
  }

  /// Frozen parameters get no gradient, and the others get the same one.
  @Test(arguments: ["self_attn.k_proj", "mlp.up_proj.weight", "layers.1", "norm", "embed_tokens", "lm_head", "nothing"])
  func onlyWantedGradientsAreComputed(_ part: String) throws {
    for tied in [false, true] {
      let model = try LanguageModel.random(try .tiny(tied: tied), .float32)
      let packed = try model.pack(Self.sequences)
      let labels = try allLabels(Self.sequences)
      let all = RecordingSink()
      _ = try model.backward(packed, labels: labels, scale: 1, sink: all)
      let some = RecordingSink { $0.contains(part) }
      let losses: [Float] = try model.backward(packed, labels: labels, scale: 1, sink: some).values()
      #expect(try model.losses(packed, labels: labels).values(as: Float.self) == losses)
      #expect(Set(some.deliveries) == Set(model.parameters.map(\.name).filter { $0.contains(part) }))
      for (name, gradient) in some.gradients { expectClose(gradient, all.gradients[name] ?? [], absolute: 1e-5, name) }
    }
  }

  /// A sequence without labels, and tokens after a sequence's last label, change no gradient.
  @Test func onlyLabelsCount() throws {
    let model = try LanguageModel.random(try .tiny(), .float64)
    func gradients(_ sequences: [[Int]]) throws -> [String: [Double]] {
      let sink = RecordingSink()
      let labels = try Labels(rows: [1, 3], targets: [5, 6])
      _ = try model.backward(try model.pack(sequences), labels: labels, scale: 1, sink: sink)
      return sink.gradients
    }
    let short = try gradients([[1, 2, 3, 4]])
    for longer in [[[1, 2, 3, 4], [7, 8, 9]], [[1, 2, 3, 4, 10, 0]]] {
      for (name, gradient) in try gradients(longer) {
        expectClose(gradient, short[name] ?? [], absolute: 1e-12, name)
      }
    }
  }

  /// More labels than one chunk of the head holds: losses and gradients are those of the parts together.
  @Test func manyLabelsGoInChunks() throws {
    let model = try LanguageModel.random(try .tiny(biases: false, layers: 1), .float64)
    var generator = SeededGenerator(seed: 24)
    let sequences = (0..<3).map { _ in generator.tokens(400, below: 11) }
    let packed = try model.pack(sequences)
    let labels = try allLabels(sequences)
    #expect(labels.count > 2 * LanguageModelHead.chunkRows(on: .cpu))
    let rows: [Int32] = try labels.rows.values()
    let targets: [Int32] = try labels.targets.values()
    func run(_ range: Range<Int>) throws -> (losses: [Double], gradients: [String: [Double]]) {
      let sink = RecordingSink()
      let part = try Labels(rows: Array(rows[range]), targets: Array(targets[range]))
      let losses: [Double] = try model.backward(packed, labels: part, scale: 0.1, sink: sink).values()
      return (losses, sink.gradients)
    }
    let whole = try run(0..<rows.count)
    let first = try run(0..<100)
    let second = try run(100..<rows.count)
    expectClose(whole.losses, first.losses + second.losses, absolute: 1e-11)
    for (name, gradient) in whole.gradients {
      let parts = zip(try #require(first.gradients[name]), try #require(second.gradients[name])).map { $0 + $1 }
      #expect(relativeErrors(gradient, parts).maximum < 1e-10, "\(name)")
    }
  }

  @Test func gradientsScaleWithTheObjective() throws {
    let model = try LanguageModel.random(try .tiny(), .float64)
    let packed = try model.pack(Self.sequences)
    let labels = try allLabels(Self.sequences)
    let one = RecordingSink()
    let two = RecordingSink()
    let losses: [Double] = try model.backward(packed, labels: labels, scale: 1, sink: one).values()
    #expect(try model.backward(packed, labels: labels, scale: -4, sink: two).values() == losses)
    for (name, gradient) in one.gradients {
      expectClose(two.gradients[name] ?? [], gradient.map { -4 * $0 }, absolute: 1e-12, relative: 1e-12, name)
    }
  }

  /// Damaged weights show in the loss.
  @Test func notANumberReachesTheLoss() throws {
    let model = try LanguageModel.random(try .tiny(), .float32)
    try model.parameter(named: "model.layers.0.mlp.up_proj.weight")?.value.rows(0..<1).fill(.nan)
    let losses: [Float] = try model.losses(try model.pack([[1, 2, 3]]), labels: try Labels(rows: [1], targets: [3]))
      .values()
    #expect(losses[0].isNaN)
  }

  @Test func badInputIsRefused() throws {
    let model = try LanguageModel.random(try .tiny(), .float32)
    #expect(throws: DecoderError.emptyBatch) { _ = try model.pack([]) }
    #expect(throws: DecoderError.emptySequence(index: 1)) { _ = try model.pack([[1], []]) }
    for token in [-1, 11, 1 << 40] {
      #expect(throws: DecoderError.self, "\(token)") { _ = try model.pack([[1, token]]) }
    }
    #expect(throws: DecoderError.noLabels) { _ = try Labels(rows: [], targets: []) }
    #expect(throws: DecoderError.noLabels) { _ = try Labels(rows: [1], targets: []) }
    let packed = try model.pack([[1, 2]])
    #expect(throws: TorchError.self) { _ = try model.losses(packed, labels: try Labels(rows: [2], targets: [1])) }
    #expect(throws: TorchError.self) { _ = try model.losses(packed, labels: try Labels(rows: [0], targets: [11])) }
    #expect(throws: DecoderError.unsupportedDType("int64")) { _ = try LanguageModel(try .tiny(), dtype: .int64) }
    for error in [DecoderError.emptyBatch, .emptySequence(index: 3), .noLabels, .unsupportedDType("int8")] {
      #expect(!error.description.isEmpty && error.errorDescription == error.description)
    }
  }
}
