public import Foundation
public import Torch

/// Shape and constants of a decoder-only transformer, as `config.json` gives them.
///
/// Read in both dialects: transformers 4 (`rope_theta`, `rope_scaling`, `torch_dtype`) and 5 (`rope_parameters`, `dtype`).
/// A key that is absent takes transformers' default for the family; unknown keys are ignored, as they are there.
public struct ModelConfiguration: Equatable, Sendable {
  public enum Family: String, CaseIterable, Sendable {
    case llama, mistral, qwen2

    /// The name in `architectures`.
    public var architecture: String {
      switch self {
      case .llama: "LlamaForCausalLM"
      case .mistral: "MistralForCausalLM"
      case .qwen2: "Qwen2ForCausalLM"
      }
    }
  }

  /// How rotary frequencies are stretched beyond the original context.
  public enum RopeScaling: Equatable, Sendable {
    case none
    case linear(factor: Double)
    case llama3(
      factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalMaximumPositions: Int)
  }

  public let family: Family
  public let vocabularySize: Int
  public let hiddenSize: Int
  public let intermediateSize: Int
  public let layerCount: Int
  public let headCount: Int
  public let keyValueHeadCount: Int
  /// Width of one attention head; not always `hiddenSize / headCount`.
  public let headSize: Int
  public let rmsNormEpsilon: Double
  public let ropeTheta: Double
  public let ropeScaling: RopeScaling
  public let maximumPositions: Int
  /// A position sees itself and the `slidingWindow - 1` before it; nil: all before it.
  public let slidingWindow: Int?
  /// Whether the output head is the embedding matrix.
  public let tiesEmbeddings: Bool
  public let hasQueryKeyValueBias: Bool
  public let hasOutputBias: Bool
  public let hasMLPBias: Bool
  /// What the checkpoint says it is stored in.
  public let dtype: DType?
  public let bosTokenID: Int?
  /// Any of these ends a generation. From `generation_config.json` when it names some, else from `config.json`.
  public let eosTokenIDs: [Int]

  static let maximumLayerCount = 10_000

  /// - Parameter path: Only for messages.
  /// - Throws: ``CheckpointError/invalidConfigurationValue(path:key:value:expected:)``
  public init(
    family: Family, vocabularySize: Int, hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int,
    keyValueHeadCount: Int? = nil, headSize: Int? = nil, rmsNormEpsilon: Double = 1e-6, ropeTheta: Double = 10_000,
    ropeScaling: RopeScaling = .none, maximumPositions: Int = 2048, slidingWindow: Int? = nil,
    tiesEmbeddings: Bool = false, hasQueryKeyValueBias: Bool = false, hasOutputBias: Bool = false,
    hasMLPBias: Bool = false, dtype: DType? = nil, bosTokenID: Int? = nil, eosTokenIDs: [Int] = [],
    path: String = "configuration"
  ) throws {
    if headSize == nil, headCount > 0, hiddenSize % headCount != 0 {
      throw CheckpointError.invalidConfigurationValue(
        path: path, key: "hidden_size", value: String(hiddenSize),
        expected: "without head_dim it must be a multiple of num_attention_heads (\(headCount))")
    }
    self.family = family
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.layerCount = layerCount
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount ?? headCount
    self.headSize = headSize ?? (headCount > 0 ? hiddenSize / headCount : 0)
    self.rmsNormEpsilon = rmsNormEpsilon
    self.ropeTheta = ropeTheta
    self.ropeScaling = ropeScaling
    self.maximumPositions = maximumPositions
    self.slidingWindow = slidingWindow
    self.tiesEmbeddings = tiesEmbeddings
    self.hasQueryKeyValueBias = hasQueryKeyValueBias
    self.hasOutputBias = hasOutputBias
    self.hasMLPBias = hasMLPBias
    self.dtype = dtype
    self.bosTokenID = bosTokenID
    self.eosTokenIDs = eosTokenIDs
    try checkValues(path: path)
  }

  /// Reads `config.json` of a model directory, and `generation_config.json` when there.
  public init(directory: String) throws {
    let path = FileSystem.join(directory, "config.json")
    let generationPath = FileSystem.join(directory, "generation_config.json")
    let generation = FileSystem.exists(generationPath) ? try FileSystem.readJSON(generationPath) : nil
    try self.init(json: try FileSystem.readJSON(path), generation: generation, path: path)
  }

  /// - Parameters:
  ///   - json: Text of `config.json`.
  ///   - generation: Text of `generation_config.json`.
  ///   - path: Only for messages.
  public init(json: Data, generation: Data? = nil, path: String = "config.json") throws {
    try self.init(
      json: try FileSystem.parseJSON(json, path: path),
      generation: try generation.map { try FileSystem.parseJSON($0, path: "generation_config.json") }, path: path)
  }

  private func checkValues(path: String) throws {
    func check(_ condition: Bool, _ key: String, _ value: Any, _ expected: String) throws {
      if condition { return }
      throw CheckpointError.invalidConfigurationValue(
        path: path, key: key, value: String(describing: value), expected: expected)
    }
    // Sizes within Int32 keep every product of two within Int.
    let largest = Int(Int32.max)
    let sizes = [
      ("vocab_size", vocabularySize), ("hidden_size", hiddenSize), ("intermediate_size", intermediateSize),
      ("num_attention_heads", headCount), ("num_key_value_heads", keyValueHeadCount), ("head_dim", headSize),
      ("max_position_embeddings", maximumPositions), ("sliding_window", slidingWindow ?? 1),
    ]
    for (key, size) in sizes { try check(1...largest ~= size, key, size, "it must be a positive integer below 2^31") }
    try check(
      1...Self.maximumLayerCount ~= layerCount, "num_hidden_layers", layerCount,
      "it must be from 1 to \(Self.maximumLayerCount)")
    try check(
      headCount % keyValueHeadCount == 0, "num_attention_heads", headCount,
      "it must be a multiple of num_key_value_heads (\(keyValueHeadCount))")
    try check(headSize % 2 == 0, "head_dim", headSize, "rotary embedding needs an even head size")
    try check(
      rmsNormEpsilon >= 0 && rmsNormEpsilon.isFinite, "rms_norm_eps", rmsNormEpsilon, "it must not be negative")
    try check(ropeTheta > 0 && ropeTheta.isFinite, "rope_theta", ropeTheta, "it must be positive")
    try check(
      dtype?.isFloatingPoint ?? true, "dtype", dtype?.configurationName ?? "", "a floating-point type is needed")
    switch ropeScaling {
    case .none: break
    case .linear(let factor):
      try check(factor > 0 && factor.isFinite, "rope_scaling.factor", factor, "it must be positive")
    case .llama3(let factor, let low, let high, let original):
      try check(factor > 0 && factor.isFinite, "rope_scaling.factor", factor, "it must be positive")
      try check(low > 0 && low.isFinite, "rope_scaling.low_freq_factor", low, "it must be positive")
      try check(
        high > low && high.isFinite, "rope_scaling.high_freq_factor", high, "it must exceed low_freq_factor (\(low))")
      try check(
        1...largest ~= original, "rope_scaling.original_max_position_embeddings", original, "it must be positive")
    }
  }
}
