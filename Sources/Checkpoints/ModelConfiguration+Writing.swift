import Primitives
import Torch

extension ModelConfiguration {
  /// Text of a `config.json` that transformers 4 and 5 both load: the older dialect, which the newer one still reads.
  public func encoded() -> String {
    var lines: [(key: String, value: String)] = [
      ("architectures", "[\(JSONValue.quoted(family.architecture))]"),
      ("attention_dropout", "0.0"),
      ("bos_token_id", bosTokenID.map(String.init) ?? "null"),
      ("eos_token_id", eosTokenText),
      ("head_dim", String(headSize)),
      ("hidden_act", "\"silu\""),
      ("hidden_size", String(hiddenSize)),
      ("initializer_range", "0.02"),
      ("intermediate_size", String(intermediateSize)),
      ("max_position_embeddings", String(maximumPositions)),
      ("model_type", JSONValue.quoted(family.rawValue)),
      ("num_attention_heads", String(headCount)),
      ("num_hidden_layers", String(layerCount)),
      ("num_key_value_heads", String(keyValueHeadCount)),
      ("rms_norm_eps", String(rmsNormEpsilon)),
      ("rope_scaling", ropeScalingText),
      ("rope_theta", String(ropeTheta)),
      ("tie_word_embeddings", String(tiesEmbeddings)),
      ("torch_dtype", JSONValue.quoted((dtype ?? .float32).configurationName)),
      ("use_cache", "true"),
      ("vocab_size", String(vocabularySize)),
    ]
    switch family {
    case .llama:
      lines.append(("attention_bias", String(hasQueryKeyValueBias)))
      lines.append(("mlp_bias", String(hasMLPBias)))
    case .mistral: lines.append(("sliding_window", slidingWindow.map(String.init) ?? "null"))
    case .qwen2:
      lines.append(("use_sliding_window", String(slidingWindow != nil)))
      lines.append(("sliding_window", slidingWindow.map(String.init) ?? "null"))
      lines.append(("max_window_layers", slidingWindow == nil ? String(layerCount) : "0"))
    }
    let text = lines.sorted { $0.key < $1.key }.map { "  \(JSONValue.quoted($0.key)): \($0.value)" }
    return "{\n\(text.joined(separator: ",\n"))\n}\n"
  }

  private var eosTokenText: String {
    switch eosTokenIDs.count {
    case 0: "null"
    case 1: String(eosTokenIDs[0])
    default: "[\(eosTokenIDs.map(String.init).joined(separator: ", "))]"
    }
  }

  private var ropeScalingText: String {
    switch ropeScaling {
    case .none: "null"
    case .linear(let factor): "{\"rope_type\": \"linear\", \"type\": \"linear\", \"factor\": \(factor)}"
    case .llama3(let factor, let low, let high, let original):
      "{\"rope_type\": \"llama3\", \"factor\": \(factor), \"low_freq_factor\": \(low), "
        + "\"high_freq_factor\": \(high), \"original_max_position_embeddings\": \(original)}"
    }
  }
}
