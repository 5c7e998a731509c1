import Checkpoints
import Foundation
import Primitives
import Torch

extension FuzzReader {
  static let checkpoints = [safetensors, safetensorsHeader, shardIndex, modelConfiguration]

  private static let headerWords = [
    "__metadata__", "dtype", "shape", "data_offsets", "F32", "BF16", "U8", "F64", "BOOL", "I8", "F8_E4M3", "{}", "[]",
    "version https://git-lfs.github.com/spec/v1",
  ]

  /// A whole file, its bytes changed.
  private static let safetensors = FuzzReader("safetensors", "safetensors file", dictionary: headerWords) {
    [
      FuzzInput(.bytes, try SafetensorsSeeds.file(try SafetensorsSeeds.tensors), fields: [0..<8]),
      FuzzInput(.bytes, try SafetensorsSeeds.file([])),
    ]
  } open: { workspace in
    { try readTensors(try workspace.write($0.bytes, "model.safetensors")) }
  }

  /// The header alone is changed, as JSON; its length and the data section fit it.
  private static let safetensorsHeader = FuzzReader(
    "safetensors-header", "header of a safetensors file", dictionary: headerWords
  ) {
    Seeds(try [try SafetensorsSeeds.tensors, []].map { SafetensorsSeeds.inParts(try SafetensorsSeeds.file($0)) })
  } open: { workspace in
    { input in
      let file = SafetensorsSeeds.assembled(header: input["header"], data: input["data"])
      try readTensors(try workspace.write(file, "model.safetensors"))
    }
  }

  private static func readTensors(_ path: String) throws {
    let file = try SafetensorsFile(path: path)
    for tensor in file.tensors {
      try file.withBytes(of: tensor.name) { bytes in precondition(bytes.count == tensor.byteCount) }
      guard tensor.dtype.isFloatingPoint else { continue }
      _ = try [Float](unsafeUninitializedCapacity: tensor.elementCount) { buffer, initialized in
        let values = UnsafeMutableBufferPointer(rebasing: buffer[..<tensor.elementCount])
        try file.readFloats(of: tensor.name, range: 0..<tensor.elementCount, into: values)
        initialized = tensor.elementCount
      }
      try file.adviseDone(with: tensor.name)
    }
    let checkpoint = try Checkpoint(directory: path)
    _ = try ModelFingerprint(checkpoint, threadCount: 1)
  }

  /// An index and one shard; names in it may lead elsewhere.
  private static let shardIndex = FuzzReader(
    "shard-index", "index of a sharded checkpoint",
    dictionary: [
      "weight_map", "metadata", "total_size", "model-00001-of-00001.safetensors", "../", "/etc/passwd", "..", "\\u0000",
      "./model.safetensors", "sub/model.safetensors", "~", "model.safetensors.index.json",
    ]
  ) {
    let shard = "model-00001-of-00001.safetensors"
    let map = Dictionary(uniqueKeysWithValues: try SafetensorsSeeds.tensors.map { ($0.name, shard) })
    let index = ShardIndex.encoded(weightMap: map, totalByteCount: 100)
    return [
      FuzzInput([
        FuzzInput.part("index", .json, index),
        FuzzInput.Part(
          name: "shard", kind: .bytes, bytes: try SafetensorsSeeds.file(try SafetensorsSeeds.tensors), fields: [0..<8]),
      ]),
      FuzzInput([
        FuzzInput.part("index", .json, #"{"weight_map": {"a": "../outside.safetensors", "b": "/etc/passwd"}}"#),
        FuzzInput.part("shard", .bytes, ""),
      ]),
    ]
  } open: { workspace in
    // A name that leaves its folder would find this one.
    try workspace.write(try SafetensorsSeeds.file(try SafetensorsSeeds.tensors), "outside.safetensors")
    return { input in
      try workspace.write(input["index"], "model/model.safetensors.index.json")
      try workspace.write(input["shard"], "model/model-00001-of-00001.safetensors")
      let checkpoint = try Checkpoint(directory: workspace.path("model"))
      for tensor in checkpoint.tensors {
        try checkpoint.withBytes(of: tensor.name) { precondition($0.count == tensor.byteCount) }
      }
    }
  }

  private static let modelConfiguration = FuzzReader(
    "model-config", "config.json and generation_config.json",
    dictionary: [
      "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "qwen2", "mistral", "rope_scaling",
      "rope_parameters",
      "rope_type", "llama3", "linear", "layer_types", "use_sliding_window", "max_window_layers", "sliding_attention",
      "num_hidden_layers", "head_dim", "quantization_config",
    ]
  ) {
    let llama = """
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 32, "hidden_size": 8, "intermediate_size": 16,
       "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16",
       "rope_theta": 10000.0, "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": [2, 3], "rope_scaling":
       {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192}}
      """
    let qwen = """
      {"architectures": ["Qwen2ForCausalLM"], "vocab_size": 32, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
       "num_attention_heads": 2, "num_key_value_heads": 2, "use_sliding_window": true, "sliding_window": 128,
       "max_window_layers": 0, "dtype": "float32", "layer_types": ["sliding_attention", "sliding_attention"]}
      """
    func input(_ text: String) -> FuzzInput {
      FuzzInput([
        FuzzInput.part("config", .json, text),
        FuzzInput.part("generation", .json, #"{"eos_token_id": [2, 5], "bos_token_id": 1}"#),
      ])
    }
    return Seeds([llama, qwen].map(input), hostile: [Hostile.qwenOfManyLayers].map(input))
  } open: { _ in
    { input in
      let configuration = try ModelConfiguration(json: Data(input["config"]), generation: Data(input["generation"]))
      _ = try configuration.expectedTensors()
      _ = configuration.encoded()
    }
  }
}

/// Small safetensors files, by the project's own writer and by hand.
enum SafetensorsSeeds {
  static var tensors: [TensorDescription] {
    get throws {
      [
        try TensorDescription(name: "model.embed_tokens.weight", dtype: .float32, shape: [4, 2]),
        try TensorDescription(name: "model.layers.0.self_attn.q_proj.weight", dtype: .bfloat16, shape: [2, 2]),
        try TensorDescription(name: "scalar", dtype: .float16, shape: []),
        try TensorDescription(name: "empty", dtype: .float64, shape: [0, 3]),
        try TensorDescription(name: "bytes", dtype: .uint8, shape: [3]),
      ]
    }
  }

  static func file(_ tensors: [TensorDescription], metadata: [String: String] = ["format": "pt"]) throws -> [UInt8] {
    let header = try SafetensorsHeader.encoded(tensors: tensors, metadata: metadata, path: "seed")
    return header + (0..<tensors.reduce(0) { $0 + $1.byteCount }).map { UInt8(truncatingIfNeeded: $0 &* 37) }
  }

  /// A file of tensors with their bytes.
  static func file(_ tensors: [(TensorDescription, [UInt8])], metadata: [String: String]) throws -> [UInt8] {
    try SafetensorsHeader.encoded(tensors: tensors.map(\.0), metadata: metadata, path: "seed") + tensors.flatMap(\.1)
  }

  /// Header and data section apart, so that the header can be changed as JSON.
  static func inParts(_ file: [UInt8]) -> FuzzInput {
    let start = 8 + (Int(file[0]) | Int(file[1]) << 8)
    return FuzzInput([
      FuzzInput.Part(name: "header", kind: .json, bytes: Array(file[8..<start])),
      FuzzInput.Part(name: "data", kind: .bytes, bytes: Array(file[start...])),
    ])
  }

  static func assembled(header: [UInt8], data: [UInt8]) -> [UInt8] {
    withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init) + header + data
  }
}
