import Primitives
import Torch

/// A llama model as a GGUF file describes it: sizes from the metadata, and which tensor becomes which.
///
/// Mistral models are stored under the same architecture name; with a sliding window they are written as Mistral.
struct GGUFLlamaModel {
  let vocabularySize: Int
  let hiddenSize: Int
  let intermediateSize: Int
  let layerCount: Int
  let headCount: Int
  let keyValueHeadCount: Int
  let headSize: Int
  let epsilon: Double
  let theta: Double
  let ropeScaling: GGUFRopeScaling
  let maximumPositions: Int
  let slidingWindow: Int?
  let tiesEmbeddings: Bool
  let attentionBias: Bool
  let mlpBias: Bool

  init(_ file: GGUFFile) throws {
    let architecture = try file.string("general.architecture")
    guard architecture == "llama" else {
      throw GGUFError.unsupportedArchitecture(path: file.path, name: architecture)
    }
    hiddenSize = try file.size("llama.embedding_length")
    intermediateSize = try file.size("llama.feed_forward_length")
    layerCount = try file.size("llama.block_count")
    headCount = try file.size("llama.attention.head_count")
    keyValueHeadCount = try file.optionalSize("llama.attention.head_count_kv") ?? headCount
    epsilon = try file.number("llama.attention.layer_norm_rms_epsilon")
    theta = try file.optionalNumber("llama.rope.freq_base") ?? 10_000
    maximumPositions = try file.size("llama.context_length")
    headSize = try Self.headSize(file, hiddenSize: hiddenSize, headCount: headCount)
    guard headCount % keyValueHeadCount == 0 else {
      throw GGUFError.invalidValue(
        path: file.path, key: "llama.attention.head_count_kv",
        problem: "is \(keyValueHeadCount), which does not divide the \(headCount) heads")
    }
    guard epsilon > 0, theta > 0 else {
      throw GGUFError.invalidValue(
        path: file.path, key: epsilon > 0 ? "llama.rope.freq_base" : "llama.attention.layer_norm_rms_epsilon",
        problem: "must be positive")
    }
    let window = try file.optionalNumber("llama.attention.sliding_window") ?? 0
    slidingWindow = window > 0 ? try file.size("llama.attention.sliding_window") : nil
    ropeScaling = try GGUFRopeScaling.read(file, theta: theta, headSize: headSize)
    guard let embedding = file.tensor("token_embd.weight") else {
      throw GGUFError.missingTensors(path: file.path, names: ["token_embd.weight"])
    }
    vocabularySize = embedding.rowCount
    tiesEmbeddings = file.tensor("output.weight") == nil
    attentionBias = ["q", "k", "v", "output"].contains { file.tensor("blk.0.attn_\($0).bias") != nil }
    mlpBias = ["gate", "up", "down"].contains { file.tensor("blk.0.ffn_\($0).bias") != nil }
    try Self.refuseVariants(file)
    // Every layer needs tensors of its own; this also bounds the work a hostile count could cause.
    guard layerCount <= file.tensors.count else {
      throw GGUFError.invalidValue(
        path: file.path, key: "llama.block_count", problem: "is \(layerCount), with only \(file.tensors.count) tensors")
    }
    if slidingWindow != nil, attentionBias || mlpBias {
      throw GGUFError.unsupportedFeature(path: file.path, what: "a sliding window together with biases")
    }
  }

  private static func headSize(_ file: GGUFFile, hiddenSize: Int, headCount: Int) throws -> Int {
    let key = "llama.attention.key_length"
    guard let headSize = try file.optionalSize(key) ?? (hiddenSize % headCount == 0 ? hiddenSize / headCount : nil)
    else {
      throw GGUFError.invalidValue(
        path: file.path, key: "llama.attention.head_count",
        problem: "is \(headCount), which does not divide the embedding length \(hiddenSize)")
    }
    guard headSize % 2 == 0 else {
      throw GGUFError.invalidValue(
        path: file.path, key: key, problem: "is \(headSize); rotary embedding needs an even size")
    }
    for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
      if let size = try file.optionalSize(key), size != headSize {
        throw GGUFError.unsupportedFeature(path: file.path, what: "\(key) is \(size), but heads have size \(headSize)")
      }
    }
    return headSize
  }

  private static func refuseVariants(_ file: GGUFFile) throws {
    if let experts = try file.optionalNumber("llama.expert_count"), experts > 0 {
      throw GGUFError.unsupportedFeature(path: file.path, what: "a mixture of experts")
    }
  }

  // MARK: config.json

  func configuration(dtype: DType, tokenizer: GGUFTokenizer) -> JSONValue {
    let isMistral = slidingWindow != nil
    var members: [JSONValue.Member] = [
      ("architectures", [.string(isMistral ? "MistralForCausalLM" : "LlamaForCausalLM")]),
      ("model_type", .string(isMistral ? "mistral" : "llama")),
      ("vocab_size", .integer(vocabularySize)),
      ("hidden_size", .integer(hiddenSize)),
      ("intermediate_size", .integer(intermediateSize)),
      ("num_hidden_layers", .integer(layerCount)),
      ("num_attention_heads", .integer(headCount)),
      ("num_key_value_heads", .integer(keyValueHeadCount)),
      ("head_dim", .integer(headSize)),
      ("hidden_act", "silu"),
      ("max_position_embeddings", .integer(maximumPositions)),
      ("rms_norm_eps", .number(epsilon)),
      ("rope_theta", .number(theta)),
      ("rope_scaling", ropeScaling.json),
      ("tie_word_embeddings", .bool(tiesEmbeddings)),
      ("torch_dtype", .string(dtype.configurationName)),
      ("use_cache", true),
      ("attention_dropout", 0.0),
      ("initializer_range", 0.02),
    ]
    if isMistral {
      members.append(("sliding_window", slidingWindow.map(JSONValue.integer) ?? .null))
    } else {
      members += [
        ("attention_bias", .bool(attentionBias)), ("mlp_bias", .bool(mlpBias)), ("pretraining_tp", 1),
      ]
    }
    return .object(members + tokenizer.modelTokenIDs)
  }
}
