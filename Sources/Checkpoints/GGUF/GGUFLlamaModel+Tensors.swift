/// One tensor of the imported checkpoint and where it comes from.
struct GGUFTensorSource {
  /// Hugging Face's name.
  let name: String
  let info: GGUFTensorInfo
  /// Size of a head whose rows are stored interleaved, or nil when rows are in order.
  let interleavedHeadSize: Int?

  /// The stored row that becomes row `row`.
  ///
  /// ggml's rotary embedding turns neighbouring rows 2i and 2i + 1 of a head; Hugging Face's turns rows i and
  /// i + headSize / 2. Converters interleave the two halves of each head, and this undoes it.
  @inline(__always)
  func storedRow(_ row: Int) -> Int {
    guard let headSize = interleavedHeadSize else { return row }
    let within = row % headSize
    let half = headSize / 2
    return row - within + (within < half ? 2 * within : 2 * (within - half) + 1)
  }
}

extension GGUFLlamaModel {
  private struct Wanted {
    let name: String
    let stored: String
    let shape: [Int]
    var isInterleaved = false
  }

  /// Every tensor of the checkpoint, in the order of the model.
  ///
  /// - Throws: ``GGUFError`` for tensors that are missing, of a wrong shape or type, or that no llama model has.
  func tensorSources(_ file: GGUFFile) throws -> [GGUFTensorSource] {
    var wanted = [
      Wanted(name: "model.embed_tokens.weight", stored: "token_embd.weight", shape: [vocabularySize, hiddenSize])
    ]
    for layer in 0..<layerCount { wanted += layerTensors(layer) }
    wanted.append(Wanted(name: "model.norm.weight", stored: "output_norm.weight", shape: [hiddenSize]))
    if !tiesEmbeddings {
      wanted.append(Wanted(name: "lm_head.weight", stored: "output.weight", shape: [vocabularySize, hiddenSize]))
    }

    let missing = wanted.filter { file.tensor($0.stored) == nil }.map(\.stored)
    guard missing.isEmpty else { throw GGUFError.missingTensors(path: file.path, names: missing) }
    let known = Set(wanted.map(\.stored) + ["rope_freqs.weight"])
    let unexpected = file.tensors.map(\.name).filter { !known.contains($0) }
    guard unexpected.isEmpty else { throw GGUFError.unexpectedTensors(path: file.path, names: unexpected) }

    return try wanted.compactMap { wanted in
      guard let info = file.tensor(wanted.stored) else { return nil }
      guard info.shape == wanted.shape else {
        throw GGUFError.wrongTensorShape(
          path: file.path, tensor: info.name, found: info.shape, expected: wanted.shape)
      }
      guard GGUFQuantization.isSupported(info.type) else {
        throw GGUFError.unsupportedTensorType(path: file.path, tensor: info.name, type: info.type.name)
      }
      return GGUFTensorSource(
        name: wanted.name, info: info, interleavedHeadSize: wanted.isInterleaved ? headSize : nil)
    }
  }

  private func layerTensors(_ layer: Int) -> [Wanted] {
    let queryWidth = headCount * headSize
    let keyWidth = keyValueHeadCount * headSize
    let projections: [(name: String, stored: String, rows: Int, columns: Int, hasBias: Bool, isInterleaved: Bool)] = [
      ("self_attn.q_proj", "attn_q", queryWidth, hiddenSize, attentionBias, true),
      ("self_attn.k_proj", "attn_k", keyWidth, hiddenSize, attentionBias, true),
      ("self_attn.v_proj", "attn_v", keyWidth, hiddenSize, attentionBias, false),
      ("self_attn.o_proj", "attn_output", hiddenSize, queryWidth, attentionBias, false),
      ("mlp.gate_proj", "ffn_gate", intermediateSize, hiddenSize, mlpBias, false),
      ("mlp.up_proj", "ffn_up", intermediateSize, hiddenSize, mlpBias, false),
      ("mlp.down_proj", "ffn_down", hiddenSize, intermediateSize, mlpBias, false),
    ]
    var tensors: [Wanted] = []
    for (name, stored) in [("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm")] {
      tensors.append(
        Wanted(
          name: "model.layers.\(layer).\(name).weight", stored: "blk.\(layer).\(stored).weight", shape: [hiddenSize]))
    }
    for item in projections {
      let name = "model.layers.\(layer).\(item.name)"
      let stored = "blk.\(layer).\(item.stored)"
      tensors.append(
        Wanted(
          name: name + ".weight", stored: stored + ".weight", shape: [item.rows, item.columns],
          isInterleaved: item.isInterleaved))
      if item.hasBias {
        tensors.append(
          Wanted(name: name + ".bias", stored: stored + ".bias", shape: [item.rows], isInterleaved: item.isInterleaved))
      }
    }
    return tensors
  }
}
