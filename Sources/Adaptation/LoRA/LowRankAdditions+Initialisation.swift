package import Decoder
internal import Primitives
internal import Torch

extension LanguageModel {
  /// Low-rank additions as PEFT begins: A uniform within 1 / sqrt(inputs), which is Kaiming's bound for a = sqrt(5), and B
  /// zero, so that the model computes what it did. Every A comes from a stream of its own name.
  package func addLowRank(
    _ settings: LoRASettings, layers: LayerSelection = .all, seed: UInt64
  ) throws -> LowRankAdditions {
    try settings.validate()
    let additions = try addLowRank(settings.additions(in: layers), seed: seed)
    for part in additions.parts {
      let shape = part.down.shape
      let bound = 1 / Double(shape[1]).squareRoot()
      var stream = RandomStream(seed: seed, purpose: "lora " + part.down.name)
      let values = (0..<(shape[0] * shape[1])).map { _ in Float((2 * stream.unit() - 1) * bound) }
      try part.down.value.copy(from: try Tensor.from(values, shape: shape))
      try part.up.value.fill(0)
    }
    return additions
  }
}
