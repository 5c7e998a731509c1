package import Primitives
import Torch

extension ModelConfiguration {
  package init(json: JSONValue, generation: JSONValue? = nil, path: String) throws {
    let keys = ConfigurationReader(json: json, path: path)
    guard json.objectValue != nil else {
      throw CheckpointError.malformedJSON(path: path, offset: 0, reason: "not a JSON object")
    }
    let family = try keys.family()
    try keys.refuseUnsupported()
    let defaults = Defaults(family: family)
    let headCount = try keys.integer("num_attention_heads") ?? 32
    let layerCount = try keys.integer("num_hidden_layers") ?? 32
    let maximumPositions = try keys.integer("max_position_embeddings") ?? defaults.maximumPositions
    let rope = try keys.rope(maximumPositions: maximumPositions)
    // Only Llama's attention reads `attention_bias` and `mlp_bias`; Qwen2's biases are fixed, Mistral has none.
    let hasAttentionBias = family == .llama ? try keys.bool("attention_bias") ?? false : false
    let eosTokenIDs =
      try generation.flatMap { try ConfigurationReader(json: $0, path: "generation_config.json").eosTokenIDs() }
      ?? keys.eosTokenIDs() ?? defaults.eosTokenIDs
    try self.init(
      family: family,
      vocabularySize: try keys.integer("vocab_size") ?? defaults.vocabularySize,
      hiddenSize: try keys.integer("hidden_size") ?? 4096,
      intermediateSize: try keys.integer("intermediate_size") ?? defaults.intermediateSize,
      layerCount: layerCount,
      headCount: headCount,
      keyValueHeadCount: try keys.integer("num_key_value_heads", null: headCount)
        ?? defaults.keyValueHeadCount ?? headCount,
      headSize: try keys.integer("head_dim"),
      rmsNormEpsilon: try keys.double("rms_norm_eps") ?? 1e-6,
      ropeTheta: rope.theta, ropeScaling: rope.scaling,
      maximumPositions: maximumPositions,
      slidingWindow: try keys.slidingWindow(family: family, layerCount: layerCount),
      tiesEmbeddings: try keys.bool("tie_word_embeddings") ?? false,
      hasQueryKeyValueBias: hasAttentionBias || family == .qwen2, hasOutputBias: hasAttentionBias,
      hasMLPBias: family == .llama ? try keys.bool("mlp_bias") ?? false : false,
      dtype: try keys.dtype(),
      bosTokenID: try keys.isPresent("bos_token_id") ? keys.integer("bos_token_id") : defaults.bosTokenID,
      eosTokenIDs: eosTokenIDs,
      path: path)
  }
}

/// What transformers' configuration classes assume for absent keys, where the families differ.
private struct Defaults {
  let family: ModelConfiguration.Family

  var vocabularySize: Int { family == .qwen2 ? 151_936 : 32_000 }
  var intermediateSize: Int { family == .llama ? 11_008 : family == .mistral ? 14_336 : 22_016 }
  /// Nil: as many as there are heads.
  var keyValueHeadCount: Int? { family == .llama ? nil : family == .mistral ? 8 : 32 }
  var maximumPositions: Int { family == .llama ? 2048 : family == .mistral ? 131_072 : 32_768 }
  var bosTokenID: Int? { family == .qwen2 ? nil : 1 }
  var eosTokenIDs: [Int] { family == .qwen2 ? [] : [2] }
}

/// Typed access to the keys of a configuration file.
private struct ConfigurationReader {
  let json: JSONValue
  let path: String
  var prefix = ""

  func invalid(_ key: String, _ value: JSONValue, _ expected: String) -> CheckpointError {
    .invalidConfigurationValue(path: path, key: prefix + key, value: value.summary, expected: expected)
  }

  /// Whether the key is there, be it with null.
  func isPresent(_ key: String) -> Bool { json[key] != nil }

  /// The value, nil when absent or null.
  func value(_ key: String) -> JSONValue? {
    guard let value = json[key], value != .null else { return nil }
    return value
  }

  func integer(_ key: String, null: Int? = nil) throws -> Int? {
    guard let value = value(key) else { return isPresent(key) ? null : nil }
    guard let number = value.integerValue else { throw invalid(key, value, "an integer is needed") }
    return number
  }

  func double(_ key: String) throws -> Double? {
    guard let value = value(key) else { return nil }
    guard let number = value.doubleValue else { throw invalid(key, value, "a number is needed") }
    return number
  }

  func bool(_ key: String) throws -> Bool? {
    guard let value = value(key) else { return nil }
    guard let flag = value.boolValue else { throw invalid(key, value, "true or false is needed") }
    return flag
  }

  func string(_ key: String) throws -> String? {
    guard let value = value(key) else { return nil }
    guard let text = value.stringValue else { throw invalid(key, value, "a string is needed") }
    return text
  }

  /// From `architectures`, or `model_type` where that is absent; where both are given they must agree.
  func family() throws -> ModelConfiguration.Family {
    let families = ModelConfiguration.Family.allCases
    let modelType = try string("model_type")
    let architecture = value("architectures")?.arrayValue?.first?.stringValue
    guard let name = architecture ?? modelType else {
      throw CheckpointError.missingConfigurationKey(path: path, key: "architectures")
    }
    let family = families.first { $0.architecture == architecture ?? "" || architecture == nil && $0.rawValue == name }
    guard let family else {
      throw CheckpointError.unknownArchitecture(path: path, name: name, supported: families.map(\.architecture))
    }
    if let modelType, modelType != family.rawValue {
      throw invalid("model_type", .string(modelType), "it does not agree with architecture \(name)")
    }
    return family
  }

  func refuseUnsupported() throws {
    if let activation = try string("hidden_act"), activation != "silu", activation != "swish" {
      throw invalid("hidden_act", .string(activation), "only silu is supported")
    }
    if let quantization = value("quantization_config") {
      throw invalid(
        "quantization_config", quantization["quant_method"] ?? quantization,
        "quantized weights are not supported; use the unquantized model, or import a GGUF file")
    }
    if let factor = try double("partial_rotary_factor"), factor != 1 {
      throw invalid("partial_rotary_factor", .number(factor), "only full rotary embedding is supported")
    }
  }

  /// `dtype` (transformers 5), or `torch_dtype`.
  func dtype() throws -> DType? {
    let key = value("dtype") == nil ? "torch_dtype" : "dtype"
    guard let name = try string(key), name != "auto" else { return nil }
    guard let dtype = DType(configurationName: name), dtype.isFloatingPoint else {
      throw invalid(key, .string(name), "supported are float32, bfloat16, float16 and float64")
    }
    return dtype
  }

  /// One id or a list; nil when absent or null. Negative ids, which mean "none", are dropped.
  func eosTokenIDs() throws -> [Int]? {
    guard let value = value("eos_token_id") else { return isPresent("eos_token_id") ? [] : nil }
    let elements = value.arrayValue ?? [value]
    return try elements.map {
      guard let id = $0.integerValue else { throw invalid("eos_token_id", value, "token ids are needed") }
      return id
    }.filter { $0 >= 0 }
  }

  /// Llama ignores `sliding_window`; Mistral slides in every layer; Qwen2 only where asked to.
  func slidingWindow(family: ModelConfiguration.Family, layerCount: Int) throws -> Int? {
    switch family {
    case .llama: return nil
    case .mistral: return isPresent("sliding_window") ? try integer("sliding_window") : 4096
    case .qwen2:
      guard try bool("use_sliding_window") ?? false else { return nil }
      guard let window = isPresent("sliding_window") ? try integer("sliding_window") : 4096 else { return nil }
      let types = try layerTypes(layerCount: layerCount)
      if types.allSatisfy({ $0 == "full_attention" }) { return nil }
      guard types.allSatisfy({ $0 == "sliding_attention" }) else {
        throw invalid(
          "use_sliding_window", .bool(true), "layers that differ in their window are not supported; set it to false")
      }
      return window
    }
  }

  private func layerTypes(layerCount: Int) throws -> [String] {
    if let value = value("layer_types") {
      guard let types = value.arrayValue?.compactMap(\.stringValue), types.count == layerCount else {
        throw invalid("layer_types", value, "one name a layer is needed")
      }
      return types
    }
    let firstSliding = try integer("max_window_layers") ?? 28
    // How many there may be is checked with the other sizes.
    return (0..<min(max(layerCount, 0), ModelConfiguration.maximumLayerCount)).map {
      $0 >= firstSliding ? "sliding_attention" : "full_attention"
    }
  }

  /// `rope_scaling` where it says something, else `rope_parameters`; the base frequency may stand in either or outside.
  func rope(maximumPositions: Int) throws -> (theta: Double, scaling: ModelConfiguration.RopeScaling) {
    let outerTheta = try double("rope_theta") ?? 10_000
    let outerOriginal = try integer("original_max_position_embeddings")
    let key = value("rope_scaling").map { $0 != .object([]) } ?? false ? "rope_scaling" : "rope_parameters"
    guard let dictionary = value(key) else { return (outerTheta, .none) }
    guard dictionary.objectValue != nil else { throw invalid(key, dictionary, "an object is needed") }
    let inner = ConfigurationReader(json: dictionary, path: path, prefix: key + ".")
    if let nested = dictionary.objectValue?.first(where: { $0.value.objectValue != nil }) {
      throw inner.invalid(nested.key, nested.value, "rotary parameters that differ by layer are not supported")
    }
    try inner.refuseUnsupported()
    let theta = try inner.double("rope_theta") ?? outerTheta
    let typeKey = inner.value("rope_type") == nil ? "type" : "rope_type"
    switch try inner.string(typeKey) ?? "default" {
    case "default": return (theta, .none)
    case "linear": return (theta, .linear(factor: try inner.required("factor")))
    case "llama3":
      let original = try outerOriginal ?? inner.integer("original_max_position_embeddings") ?? maximumPositions
      return (
        theta,
        .llama3(
          factor: try inner.required("factor"), lowFrequencyFactor: try inner.required("low_freq_factor"),
          highFrequencyFactor: try inner.required("high_freq_factor"), originalMaximumPositions: original)
      )
    case let other: throw inner.invalid(typeKey, .string(other), "supported are default, linear and llama3")
    }
  }

  private func required(_ key: String) throws -> Double {
    guard let number = try double(key) else {
      throw CheckpointError.missingConfigurationKey(path: path, key: prefix + key)
    }
    return number
  }
}
