import Torch

extension ModelConfiguration {
  /// The tensors a checkpoint of this configuration must hold, by their Hugging Face names, in model order:
  /// embedding, layers (attention norm, q k v o, MLP norm, gate up down; a weight before its bias), final norm, head.
  public func expectedTensors() throws -> [TensorDescription] {
    var result: [TensorDescription] = []
    func add(_ name: String, _ shape: Int...) throws {
      result.append(try TensorDescription(name: name, dtype: dtype ?? .float32, shape: shape))
    }
    func addLinear(_ name: String, _ output: Int, _ input: Int, bias: Bool) throws {
      try add(name + ".weight", output, input)
      if bias { try add(name + ".bias", output) }
    }
    let queryWidth = headCount * headSize
    let keyWidth = keyValueHeadCount * headSize
    try add("model.embed_tokens.weight", vocabularySize, hiddenSize)
    for layer in 0..<layerCount {
      let prefix = "model.layers.\(layer)."
      try add(prefix + "input_layernorm.weight", hiddenSize)
      try addLinear(prefix + "self_attn.q_proj", queryWidth, hiddenSize, bias: hasQueryKeyValueBias)
      try addLinear(prefix + "self_attn.k_proj", keyWidth, hiddenSize, bias: hasQueryKeyValueBias)
      try addLinear(prefix + "self_attn.v_proj", keyWidth, hiddenSize, bias: hasQueryKeyValueBias)
      try addLinear(prefix + "self_attn.o_proj", hiddenSize, queryWidth, bias: hasOutputBias)
      try add(prefix + "post_attention_layernorm.weight", hiddenSize)
      try addLinear(prefix + "mlp.gate_proj", intermediateSize, hiddenSize, bias: hasMLPBias)
      try addLinear(prefix + "mlp.up_proj", intermediateSize, hiddenSize, bias: hasMLPBias)
      try addLinear(prefix + "mlp.down_proj", hiddenSize, intermediateSize, bias: hasMLPBias)
    }
    try add("model.norm.weight", hiddenSize)
    if !tiesEmbeddings { try add("lm_head.weight", vocabularySize, hiddenSize) }
    return result
  }

  /// Checks that `checkpoint` holds every expected tensor, in its shape and as floating point. Other tensors are ignored
  /// (old files store rotary frequencies, tied models sometimes the head).
  ///
  /// - Throws: ``CheckpointError/mismatchedTensors(path:missing:mismatched:)`` with everything that does not fit.
  public func validate(_ checkpoint: Checkpoint) throws {
    var missing: [TensorDescription] = []
    var mismatched: [ShapeMismatch] = []
    for expected in try expectedTensors() {
      guard checkpoint.contains(expected.name) else {
        missing.append(expected)
        continue
      }
      let found = try checkpoint.description(of: expected.name)
      if found.shape != expected.shape {
        mismatched.append(ShapeMismatch(name: expected.name, expected: expected.shape, found: found.shape))
      } else if !found.dtype.isFloatingPoint {
        throw CheckpointError.notFloatingPoint(tensor: found.name, dtype: found.dtype)
      }
    }
    guard missing.isEmpty, mismatched.isEmpty else {
      throw CheckpointError.mismatchedTensors(path: checkpoint.path, missing: missing, mismatched: mismatched)
    }
  }
}
