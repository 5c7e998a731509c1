import Checkpoints
import Decoder
import TestSupport
import Testing
import Torch

/// Low-rank additions inside whole models.
@Suite(.engine) struct LowRankModelTests {
  static let sequences = [[1, 7, 3, 3, 10, 2], [4], [9, 0, 5, 8]]

  private func model(
    _ dtype: DType, dropout: Double = 0, zeroB: Bool = false, tied: Bool = true
  ) throws -> (model: LanguageModel, additions: LowRankAdditions) {
    let model = try LanguageModel.random(try .tiny(tied: tied, layers: 3), dtype)
    let additions = try model.addLowRank(LowRankSettings(rank: 3, scale: 1.5, dropout: dropout), seed: 9)
    var generator = SeededGenerator(seed: 34)
    for parameter in additions.parameters {
      let values = generator.values(parameter.value.elementCount, scale: 0.5)
      try parameter.value.copy(from: try Tensor.from(values, shape: parameter.shape))
      if zeroB, parameter.name.contains("lora_B") { try parameter.value.fill(0) }
    }
    return (model, additions)
  }

  @Test func namesAndShapes() throws {
    let (model, additions) = try model(.float32)
    #expect(additions.parts.count == 21)
    for part in additions.parts {
      let weight = try #require(model.parameter(named: part.down.name.replacing(".lora_A", with: "")))
      #expect(part.down.shape == [3, weight.shape[1]] && part.up.shape == [weight.shape[0], 3])
      #expect(part.up.name == part.down.name.replacing("lora_A", with: "lora_B"))
    }
    #expect(
      additions.settings.parameterCount(model.configuration)
        == additions.parameters.reduce(0) { $0 + $1.value.elementCount })
    #expect(model.parameters.allSatisfy { !$0.name.contains("lora") })
  }

  /// With B zero, as training begins, the model computes what it did.
  @Test func zeroChangesNothing() throws {
    let (model, _) = try model(.float32, zeroB: true)
    let plain = try LanguageModel.random(try .tiny(tied: true, layers: 3), .float32)
    let logits: [Float] = try model.logits(try model.pack(Self.sequences)).values()
    #expect(try logits == plain.logits(try plain.pack(Self.sequences)).values())
  }

  @Test(arguments: [0.0, 0.3]) func finiteDifferencesThroughTheModel(_ dropout: Double) throws {
    let (model, additions) = try model(.float64, dropout: dropout)
    let packed = try model.pack(Self.sequences)
    let labels = try allLabels(Self.sequences)
    additions.dropout.pass = 4
    let sink = RecordingSink { $0.contains("lora") }
    let losses: [Double] = try model.backward(packed, labels: labels, scale: 0.5, sink: sink).values()
    // Within the same pass, evaluation meets the same dropout.
    expectClose(try model.losses(packed, labels: labels).values(), losses, absolute: 1e-12)
    var generator = SeededGenerator(seed: 35)
    for parameter in additions.parameters {
      let gradient = try #require(sink.gradients[parameter.name])
      let largest = max(gradient.map(abs).max() ?? 0, 1e-3)
      for element in generator.tokens(4, below: gradient.count) {
        let cell = try parameter.value.flattened().rows(element..<(element + 1))
        let value: Double = try cell.values()[0]
        func loss(_ moved: Double) throws -> Double {
          try cell.fill(moved)
          return 0.5 * (try model.losses(packed, labels: labels).sum())
        }
        let difference = (try loss(value + 1e-5) - loss(value - 1e-5)) / 2e-5
        try cell.fill(value)
        expectClose(gradient[element], difference, absolute: 2e-6 * largest, "\(parameter.name)[\(element)]")
      }
    }
  }

  /// A sink that overwrites every weight it gets, the low-rank ones and the others, changes no gradient of the same pass.
  @Test(arguments: [0.0, 0.3], ActivationPolicy.allCases)
  func updatesComeAfterUse(_ dropout: Double, _ policy: ActivationPolicy) throws {
    func gradients(_ sink: (any GradientSink)) throws {
      let (model, additions) = try model(.float32, dropout: dropout)
      additions.dropout.pass = 1
      _ = try model.backward(
        try model.pack(Self.sequences), labels: try allLabels(Self.sequences), scale: 0.5, activations: policy,
        sink: sink)
    }
    let (recording, overwriting) = (RecordingSink(), OverwritingSink())
    try gradients(recording)
    try gradients(overwriting)
    #expect(recording.gradients == overwriting.gradients)
    #expect(recording.gradients.keys.count { $0.contains("lora") } == 42)
  }

  @Test(arguments: [0.0, 0.3]) func recomputedGradientsAreIdentical(_ dropout: Double) throws {
    var results: [[String: [Double]]] = []
    for policy in ActivationPolicy.allCases {
      let (model, additions) = try model(.float32, dropout: dropout)
      additions.dropout.pass = 1
      let sink = RecordingSink { $0.contains("lora") }
      _ = try model.backward(
        try model.pack(Self.sequences), labels: try allLabels(Self.sequences), scale: 0.5, activations: policy,
        sink: sink)
      results.append(sink.gradients)
    }
    #expect(results[0] == results[1] && results[0].count == 42)
  }

  @Test(arguments: [0.0, 0.3], ActivationPolicy.allCases)
  func layoutListsEveryBuffer(_ dropout: Double, _ policy: ActivationPolicy) throws {
    for isWanted in [{ (name: String) in name.contains("lora") }, { _ in true }] {
      let (model, additions) = try model(.float32, dropout: dropout)
      let packed = try model.pack(Self.sequences)
      let labels = try allLabels(Self.sequences)
      additions.dropout.pass = 1
      let sink = RecordingSink(isWanted)
      _ = try model.backward(packed, labels: labels, scale: 1, activations: policy, sink: sink)
      let layout = WorkspaceLayout(
        model.configuration, dtype: .float32, on: .cpu, tokens: packed.tokenCount, labels: labels.count,
        activations: policy,
        lowRank: additions.settings
      ) { isWanted($0) ? .whole : .none }
      #expect(model.workspace.byteCounts == layout.byteCounts)
      try model.reserve(tokens: packed.tokenCount, labels: labels.count, activations: policy, sink: sink)
      #expect(model.workspace.byteCounts == layout.byteCounts)
    }
  }

  /// Packed or alone, the same sequence gets the same logits; and so does cached decoding.
  @Test func packingAndDecoding() throws {
    let (model, _) = try model(.float32)
    let logits: [Double] = try model.logits(try model.pack(Self.sequences)).values()
    let width = model.configuration.vocabularySize
    let alone: [Double] = try model.logits(try model.pack([Self.sequences[2]])).values()
    expectClose(alone, Array(logits[(7 * width)...]), absolute: 1e-5)
    let cache = try KeyValueCache(model: model, slots: 1, capacity: 8)
    _ = try model.prefill(try model.pack([Array(Self.sequences[2].prefix(3))]), slots: [0], cache: cache)
    let last: [Double] = try model.decode([Self.sequences[2][3]], slots: [0], cache: cache).values()
    expectClose(last, Array(logits[(10 * width)...]), absolute: 1e-5)
  }

  /// In half precision their gradients are about as exact as those of the weights they stand beside.
  @Test(arguments: [DType.bfloat16, .float16]) func halfPrecision(_ dtype: DType) throws {
    func gradients(_ dtype: DType) throws -> [String: [Double]] {
      let (model, _) = try model(dtype)
      let sink = RecordingSink { $0.contains("_proj") }
      _ = try model.backward(
        try model.pack(Self.sequences), labels: try allLabels(Self.sequences), scale: 0.5, sink: sink)
      return sink.gradients
    }
    let (half, exact) = (try gradients(dtype), try gradients(.float64))
    let errors = try exact.map { name, expected in
      (isLowRank: name.contains("lora"), error: relativeErrors(try #require(half[name]), expected).norm)
    }
    let worst = errors.filter { !$0.isLowRank }.map(\.error).max() ?? 0
    let worstLowRank = errors.filter(\.isLowRank).map(\.error).max() ?? .infinity
    #expect(worstLowRank < 2 * worst && worst < 0.5, "\(worstLowRank), beside \(worst)")
  }
}
