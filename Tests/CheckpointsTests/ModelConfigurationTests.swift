import Checkpoints
import Foundation
import Testing
import Torch

@Suite struct ModelConfigurationTests {
  struct Golden: Decodable, CustomTestStringConvertible {
    let name: String
    let config: String
    let expected: Expected
    var testDescription: String { name }
  }

  struct Expected: Decodable {
    let vocabSize, hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads: Int
    let numKeyValueHeads, headDim, maxPositionEmbeddings, tensorCount: Int
    let rmsNormEps, ropeTheta: Double
    let ropeType: String
    let ropeFactor, ropeLow, ropeHigh: Double?
    let ropeOriginal, slidingWindow, bosTokenId: Int?
    let tieWordEmbeddings: Bool
    let dtype: String?
    let eosTokenIds: [Int]
    let tensorsSha256: String

    var ropeScaling: ModelConfiguration.RopeScaling? {
      switch ropeType {
      case "linear": .linear(factor: ropeFactor ?? .nan)
      case "llama3":
        .llama3(
          factor: ropeFactor ?? .nan, lowFrequencyFactor: ropeLow ?? .nan, highFrequencyFactor: ropeHigh ?? .nan,
          originalMaximumPositions: ropeOriginal ?? -1)
      case "default": ModelConfiguration.RopeScaling.none
      default: nil
      }
    }
  }

  static let goldens = (try? golden([Golden].self, "configurations.json")) ?? []

  @Test func goldensAreThere() { #expect(Self.goldens.count >= 20) }

  func expect(_ configuration: ModelConfiguration, _ expected: Expected) {
    #expect(configuration.vocabularySize == expected.vocabSize)
    #expect(configuration.hiddenSize == expected.hiddenSize)
    #expect(configuration.intermediateSize == expected.intermediateSize)
    #expect(configuration.layerCount == expected.numHiddenLayers)
    #expect(configuration.headCount == expected.numAttentionHeads)
    #expect(configuration.keyValueHeadCount == expected.numKeyValueHeads)
    #expect(configuration.headSize == expected.headDim)
    #expect(configuration.rmsNormEpsilon == expected.rmsNormEps)
    #expect(configuration.ropeTheta == expected.ropeTheta)
    #expect(configuration.ropeScaling == expected.ropeScaling)
    #expect(configuration.maximumPositions == expected.maxPositionEmbeddings)
    #expect(configuration.slidingWindow == expected.slidingWindow)
    #expect(configuration.tiesEmbeddings == expected.tieWordEmbeddings)
    #expect(configuration.bosTokenID == expected.bosTokenId)
    #expect(configuration.eosTokenIDs == expected.eosTokenIds)
  }

  @Test(arguments: goldens)
  func meansWhatTransformersReads(_ golden: Golden) throws {
    let configuration = try ModelConfiguration(json: Data(golden.config.utf8))
    expect(configuration, golden.expected)
    #expect(configuration.dtype == golden.expected.dtype.flatMap(DType.init(configurationName:)))
  }

  @Test(arguments: goldens)
  func expectsTheTensorsOfTransformersModel(_ golden: Golden) throws {
    let tensors = try ModelConfiguration(json: Data(golden.config.utf8)).expectedTensors()
    #expect(tensors.count == golden.expected.tensorCount)
    let listing = tensors.sorted { $0.name.precedesInBytes($1.name) }
      .map { "\($0.name) [\($0.shape.map(String.init).joined(separator: ", "))]\n" }.joined()
    #expect(Array(listing.utf8).withUnsafeBytes { sha256($0) } == golden.expected.tensorsSha256)
  }

  @Test(arguments: goldens)
  func writtenTextReadsBack(_ golden: Golden) throws {
    let configuration = try ModelConfiguration(json: Data(golden.config.utf8))
    let again = try ModelConfiguration(json: Data(configuration.encoded().utf8))
    expect(again, golden.expected)
    #expect(again.hasQueryKeyValueBias == configuration.hasQueryKeyValueBias)
    #expect(again.hasOutputBias == configuration.hasOutputBias && again.hasMLPBias == configuration.hasMLPBias)
    #expect(again.dtype == configuration.dtype ?? .float32)
  }

  static let refused: [(String, String)] = [
    (#""hidden_act":"gelu""#, #""hidden_act" is "gelu"; only silu is supported"#),
    (
      #""quantization_config":{"quant_method":"gptq"}"#,
      #""quantization_config" is "gptq"; quantized weights are not supported; use the unquantized model, or import a GGUF file"#
    ),
    (#""hidden_size":0"#, #""hidden_size" is 0; it must be a positive integer below 2^31"#),
    (#""hidden_size":-8"#, #""hidden_size" is -8; it must be a positive integer below 2^31"#),
    (#""hidden_size":"64""#, #""hidden_size" is "64"; an integer is needed"#),
    (#""hidden_size":64.5"#, #""hidden_size" is 64.5; an integer is needed"#),
    (#""hidden_size":true"#, #""hidden_size" is true; an integer is needed"#),
    (
      #""hidden_size":66"#,
      #""hidden_size" is 66; without head_dim it must be a multiple of num_attention_heads (4)"#
    ),
    (#""hidden_size":12"#, #""head_dim" is 3; rotary embedding needs an even head size"#),
    (#""vocab_size":4294967296"#, #""vocab_size" is 4294967296; it must be a positive integer below 2^31"#),
    (#""num_hidden_layers":0"#, #""num_hidden_layers" is 0; it must be from 1 to 10000"#),
    (#""num_attention_heads":0"#, #""num_attention_heads" is 0; it must be a positive integer below 2^31"#),
    (
      #""num_key_value_heads":3"#, #""num_attention_heads" is 4; it must be a multiple of num_key_value_heads (3)"#
    ),
    (#""rms_norm_eps":-1"#, #""rms_norm_eps" is -1.0; it must not be negative"#),
    (#""rope_theta":0"#, #""rope_theta" is 0.0; it must be positive"#),
    (#""rope_theta":"big""#, #""rope_theta" is "big"; a number is needed"#),
    (
      #""rope_scaling":{"type":"dynamic","factor":2}"#,
      #""rope_scaling.type" is "dynamic"; supported are default, linear and llama3"#
    ),
    (
      #""rope_scaling":{"rope_type":"yarn","factor":2}"#,
      #""rope_scaling.rope_type" is "yarn"; supported are default, linear and llama3"#
    ),
    (
      #""rope_parameters":{"rope_type":"longrope"}"#,
      #""rope_parameters.rope_type" is "longrope"; supported are default, linear and llama3"#
    ),
    (#""rope_scaling":{"type":"linear"}"#, #"key "rope_scaling.factor" is missing"#),
    (#""rope_scaling":{"type":"linear","factor":0}"#, #""rope_scaling.factor" is 0.0; it must be positive"#),
    (
      #""rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4}"#,
      #""rope_scaling.high_freq_factor" is 4.0; it must exceed low_freq_factor (4.0)"#
    ),
    (#""rope_scaling":"linear""#, #""rope_scaling" is "linear"; an object is needed"#),
    (
      #""rope_parameters":{"full_attention":{"rope_theta":1}}"#,
      #""rope_parameters.full_attention" is {rope_theta}; rotary parameters that differ by layer are not supported"#
    ),
    (#""partial_rotary_factor":0.5"#, #""partial_rotary_factor" is 0.5; only full rotary embedding is supported"#),
    (
      #""torch_dtype":"int8""#, #""torch_dtype" is "int8"; supported are float32, bfloat16, float16 and float64"#
    ),
    (#""eos_token_id":"</s>""#, #""eos_token_id" is "</s>"; token ids are needed"#),
    (#""tie_word_embeddings":1"#, #""tie_word_embeddings" is 1; true or false is needed"#),
    (#""model_type":"mistral""#, #""model_type" is "mistral"; it does not agree with architecture LlamaForCausalLM"#),
  ]

  @Test(arguments: refused)
  func namesKeyAndValue(_ change: String, _ message: String) throws {
    let defaults = [
      "architectures": #"["LlamaForCausalLM"]"#, "vocab_size": "32", "hidden_size": "64", "intermediate_size": "96",
      "num_hidden_layers": "2", "num_attention_heads": "4",
    ].filter { !change.hasPrefix("\"\($0.key)\"") }
    let text = "{" + defaults.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "," + change + "}"
    let error = #expect(throws: CheckpointError.self) {
      try ModelConfiguration(json: Data(text.utf8), path: "m/config.json")
    }
    #expect(error?.description == "m/config.json: " + message)
  }

  @Test func mixedWindowsOfQwen2AreRefused() throws {
    let text = #"{"model_type":"qwen2","use_sliding_window":true,"sliding_window":8,"max_window_layers":1}"#
    let error = #expect(throws: CheckpointError.self) { try ModelConfiguration(json: Data(text.utf8), path: "c") }
    #expect(
      error?.description
        == #"c: "use_sliding_window" is true; layers that differ in their window are not supported; set it to false"#)
  }

  @Test(arguments: [
    #"{"architectures":["GPT2LMHeadModel"]}"#, #"{"model_type":"gpt2"}"#, #"{"architectures":["LlamaModel"]}"#,
  ])
  func unknownArchitecturesListTheKnown(_ text: String) throws {
    let error = #expect(throws: CheckpointError.self) { try ModelConfiguration(json: Data(text.utf8), path: "c") }
    #expect(
      error?.description.hasSuffix(
        "is not supported; supported are LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM") == true)
  }

  @Test func neitherArchitectureNorTypeIsAnError() {
    #expect(throws: CheckpointError.missingConfigurationKey(path: "c", key: "architectures")) {
      try ModelConfiguration(json: Data("{}".utf8), path: "c")
    }
    #expect(throws: CheckpointError.malformedJSON(path: "c", offset: 0, reason: "not a JSON object")) {
      try ModelConfiguration(json: Data("[]".utf8), path: "c")
    }
    #expect(throws: CheckpointError.malformedJSON(path: "c", offset: 1, reason: "expected '\"'")) {
      try ModelConfiguration(json: Data("{x".utf8), path: "c")
    }
  }

  @Test(arguments: [
    (nil, [2]), ("{}", [2]), (#"{"eos_token_id":5}"#, [5]), (#"{"eos_token_id":[7,9]}"#, [7, 9]),
    (#"{"eos_token_id":null}"#, []), (#"{"eos_token_id":-1}"#, []),
  ])
  func generationConfigurationDecidesTheEnd(_ generation: String?, _ expected: [Int]) throws {
    try withTemporaryDirectory { directory in
      try FileSystem.writeAtomically(#"{"model_type":"llama"}"#, to: directory + "/config.json")
      if let generation { try FileSystem.writeAtomically(generation, to: directory + "/generation_config.json") }
      #expect(try ModelConfiguration(directory: directory).eosTokenIDs == expected)
    }
  }

  @Test func aMissingConfigurationIsNamed() throws {
    try withTemporaryDirectory { directory in
      #expect(throws: CheckpointError.fileNotFound(path: directory + "/config.json")) {
        try ModelConfiguration(directory: directory)
      }
    }
  }

  @Test func validationCollectsEverything() throws {
    let configuration = try ModelConfiguration(
      family: .llama, vocabularySize: 5, hiddenSize: 4, intermediateSize: 6, layerCount: 1, headCount: 2,
      keyValueHeadCount: 1, tiesEmbeddings: true)
    try withTemporaryDirectory { directory in
      var shapes = try configuration.expectedTensors().map { ($0.name, $0.shape) }
      shapes.append(("lm_head.weight", [5, 4]))
      shapes.append(("model.layers.0.self_attn.rotary_emb.inv_freq", [1]))
      let good = directory + "/good.safetensors"
      try writeTensors(shapes, to: good)
      try configuration.validate(Checkpoint(directory: good))

      shapes.removeAll { $0.0.hasSuffix("up_proj.weight") || $0.0 == "model.norm.weight" }
      shapes = shapes.map { $0.0.hasSuffix("q_proj.weight") || $0.0.contains("embed") ? ($0.0, [7, 4]) : $0 }
      let bad = directory + "/bad.safetensors"
      try writeTensors(shapes, to: bad)
      let error = #expect(throws: CheckpointError.self) { try configuration.validate(Checkpoint(directory: bad)) }
      #expect(
        error?.description == """
          \(bad): weights do not fit config.json; missing: model.layers.0.mlp.up_proj.weight [6, 4], model.norm.weight [4]\
          ; wrong shape: model.embed_tokens.weight is [7, 4], expected [5, 4], \
          model.layers.0.self_attn.q_proj.weight is [7, 4], expected [4, 4]
          """)

      let integers = directory + "/integers.safetensors"
      let tensors = try configuration.expectedTensors().map {
        try TensorDescription(name: $0.name, dtype: .uint8, shape: $0.shape)
      }
      let writer = try SafetensorsWriter(path: integers, tensors: tensors)
      let bytes = [UInt8](repeating: 0, count: tensors.reduce(0) { $0 + $1.byteCount })
      try bytes.withUnsafeBytes { try writer.append($0) }
      try writer.finish()
      #expect(throws: CheckpointError.notFloatingPoint(tensor: "model.embed_tokens.weight", dtype: .uint8)) {
        try configuration.validate(Checkpoint(directory: integers))
      }
    }
  }
}
