import Checkpoints
import Decoder
import TestSupport
import Testing
import Torch

/// What a step keeps changes memory, never numbers; and the layout lists every buffer that a step asks for.
@Suite(.engine) struct ActivationPolicyTests {
  static let sequences = [[1, 7, 3, 3, 10, 2], [4], [9, 0, 5, 8]]

  static var configurations: [ModelConfiguration] {
    get throws {
      [
        try .tiny(layers: 4), try .tiny(tied: true, biases: false, layers: 3),
        try .tiny(heads: 4, keyValueHeads: 2, window: 3, biases: false), try .tiny(layers: 1),
      ]
    }
  }

  @Test(arguments: 0..<4, [DType.float32, .bfloat16, .float64])
  func recomputedGradientsAreIdentical(_ index: Int, _ dtype: DType) throws {
    let configuration = try Self.configurations[index]
    func result(_ policy: ActivationPolicy) throws -> (losses: [Double], gradients: [String: [Double]]) {
      let model = try LanguageModel.random(configuration, dtype)
      let sink = OverwritingSink()
      let losses = try model.backward(
        try model.pack(Self.sequences), labels: try allLabels(Self.sequences), scale: 0.5, activations: policy,
        sink: sink)
      return (try losses.values(), sink.gradients)
    }
    let kept = try result(.keep)
    let recomputed = try result(.recompute)
    #expect(recomputed.losses == kept.losses && kept.losses.allSatisfy(\.isFinite))
    #expect(recomputed.gradients == kept.gradients && kept.gradients.count > 10)
  }

  /// One model may change between the two, and other uses may come between.
  @Test func policiesMayAlternate() throws {
    let model = try LanguageModel.random(try .tiny(layers: 3), .float32)
    let packed = try model.pack(Self.sequences)
    let labels = try allLabels(Self.sequences)
    func gradients(_ policy: ActivationPolicy) throws -> [String: [Double]] {
      let sink = RecordingSink()
      _ = try model.backward(packed, labels: labels, scale: 1, activations: policy, sink: sink)
      return sink.gradients
    }
    let first = try gradients(.keep)
    #expect(try gradients(.recompute) == first)
    _ = try model.losses(packed, labels: labels)
    #expect(try gradients(.keep) == first)
    #expect(try gradients(.recompute) == first)
  }

  @Test(
    arguments: 0..<4,
    [
      "", "self_attn.k_proj.weight", "mlp.up_proj", "_proj.weight", "norm", "embed_tokens", "bias", "lm_head",
      "nothing",
    ])
  func layoutListsEveryBuffer(_ index: Int, _ part: String) throws {
    for policy in ActivationPolicy.allCases {
      let model = try LanguageModel.random(try Self.configurations[index], .float32)
      let packed = try model.pack(Self.sequences)
      let labels = try allLabels(Self.sequences)
      let sink = RecordingSink { part.isEmpty || $0.contains(part) }
      _ = try model.backward(packed, labels: labels, scale: 1, activations: policy, sink: sink)
      let layout = WorkspaceLayout(
        model.configuration, dtype: .float32, on: .cpu, tokens: packed.tokenCount, labels: labels.count,
        activations: policy
      ) { part.isEmpty || $0.contains(part) ? .whole : .none }
      #expect(model.workspace.byteCounts == layout.byteCounts, "\(policy)")
      #expect(model.workspace.byteCount == layout.byteCount)
    }
  }

  /// After a reservation no step allocates, and what an earlier phase needed alone is given up.
  @Test func reservationHoldsWhatStepsNeed() throws {
    let model = try LanguageModel.random(try .tiny(layers: 3), .float32)
    let packed = try model.pack(Self.sequences)
    let labels = try allLabels(Self.sequences)
    let all = RecordingSink()
    try model.reserve(tokens: packed.tokenCount + 9, labels: labels.count + 4, activations: .keep, sink: all)
    let reserved = model.workspace.byteCounts
    _ = try model.backward(packed, labels: labels, scale: 1, sink: all)
    #expect(model.workspace.byteCounts == reserved)

    let some = RecordingSink { $0.contains("down_proj") }
    try model.reserve(tokens: packed.tokenCount, labels: labels.count, activations: .recompute, sink: some)
    #expect(model.workspace.byteCounts[.embeddingGradient] == nil)
    let smaller = model.workspace.byteCounts
    _ = try model.backward(packed, labels: labels, scale: 1, activations: .recompute, sink: some)
    #expect(model.workspace.byteCounts == smaller)
    #expect(
      some.gradients["model.layers.1.mlp.down_proj.weight"] == all.gradients["model.layers.1.mlp.down_proj.weight"])
  }
}
