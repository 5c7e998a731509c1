import Checkpoints
import Foundation
import Testing
import Torch

@Suite("GGUF import")
struct GGUFImporterTests {
  struct Golden: Decodable {
    struct Weight: Decodable {
      let shape: [Int]
      let sha256: String
    }
    let weights: [String: Weight]
    let merges: [[String]]
  }

  static func golden(_ name: String) throws -> Golden {
    try JSONDecoder().decode(Golden.self, from: Data(contentsOf: URL(fileURLWithPath: ggufGolden("\(name).json"))))
  }

  @Test(
    "weights equal the reference to the bit, q and k in Hugging Face's order",
    arguments: ["byte_level", "sentencepiece"])
  func weights(name: String) throws {
    let golden = try Self.golden(name)
    try withTemporaryDirectory { directory in
      let output = FileSystem.join(directory, "model")
      let summary = try GGUFImporter.importModel(from: ggufGolden("\(name).gguf"), to: output)
      let checkpoint = try Checkpoint(directory: output)
      #expect(Set(checkpoint.tensors.map(\.name)) == Set(golden.weights.keys))
      for tensor in checkpoint.tensors {
        #expect(tensor.dtype == .float32)
        #expect(tensor.shape == golden.weights[tensor.name]?.shape, "\(tensor.name)")
        let digest = try checkpoint.withBytes(of: tensor.name) { sha256($0) }
        #expect(digest == golden.weights[tensor.name]?.sha256, "\(tensor.name)")
      }
      #expect(summary.tensorCount == golden.weights.count)
      #expect(summary.layerCount == 2)
      #expect(summary.tiesEmbeddings == (name == "byte_level"))
      #expect(summary.modelName == "Golden \(name)")
      #expect(summary.parameterCount * 4 == summary.byteCount)
      let configuration = try ModelConfiguration(directory: output)
      #expect(configuration.tiesEmbeddings == summary.tiesEmbeddings)
      #expect(configuration.ropeTheta == (name == "byte_level" ? 100_000 : 10_000))
      #expect(configuration.eosTokenIDs == [2])
      #expect(configuration.keyValueHeadCount == 2)
      #expect(configuration.headSize == 8)
      #expect(configuration.rmsNormEpsilon == 1e-5)
    }
  }

  @Test func merges() throws {
    for name in ["byte_level", "sentencepiece"] {
      try withTemporaryDirectory { directory in
        let output = FileSystem.join(directory, "model")
        try GGUFImporter.importModel(from: ggufGolden("\(name).gguf"), to: output)
        let json = try JSONSerialization.jsonObject(with: FileSystem.read(FileSystem.join(output, "tokenizer.json")))
        let model = try #require((json as? [String: Any])?["model"] as? [String: Any])
        #expect(model["merges"] as? [[String]] == (try Self.golden(name).merges))
      }
    }
  }

  @Test("narrow output is the exact weights, rounded", arguments: [DType.bfloat16, .float16])
  func narrow(dtype: DType) throws {
    try withTemporaryDirectory { directory in
      let wide = FileSystem.join(directory, "wide")
      let narrow = FileSystem.join(directory, "narrow")
      try GGUFImporter.importModel(from: ggufGolden("byte_level.gguf"), to: wide)
      try GGUFImporter.importModel(from: ggufGolden("byte_level.gguf"), to: narrow, dtype: dtype)
      #expect(try ModelConfiguration(directory: narrow).dtype == dtype)
      let exact = try Checkpoint(directory: wide)
      let rounded = try Checkpoint(directory: narrow)
      for tensor in exact.tensors {
        let expected = try exact.withBytes(of: tensor.name) { bytes in
          var encoded = [UInt8](repeating: 0, count: bytes.count / 2)
          encoded.withUnsafeMutableBytes { FloatCodec.encode(bytes.bindMemory(to: Float.self), as: dtype, into: $0) }
          return encoded
        }
        #expect(try rounded.withBytes(of: tensor.name) { Array($0) } == expected, "\(tensor.name)")
      }
    }
  }

  @Test func existingDirectoriesAreSafe() throws {
    try withTemporaryDirectory { directory in
      let output = FileSystem.join(directory, "model")
      try FileSystem.createDirectory(output)
      try FileSystem.writeAtomically("mine", to: FileSystem.join(output, "notes.txt"))
      #expect(throws: CheckpointError.outputExists(path: output)) {
        try GGUFImporter.importModel(from: ggufGolden("byte_level.gguf"), to: output)
      }
      #expect(try FileSystem.contents(of: output) == ["notes.txt"])
      try GGUFImporter.importModel(from: ggufGolden("byte_level.gguf"), to: output, overwrite: true)
      let expected = [
        "config.json", "generation_config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json",
        "tokenizer_config.json",
      ]
      #expect(try FileSystem.contents(of: output) == expected)
      #expect(try FileSystem.contents(of: directory) == ["model"])
    }
  }

  @Test func unsupportedModels() throws {
    func expectError(_ change: (inout GGUFBuilder) -> Void, _ make: (String) -> GGUFError) throws {
      var builder = GGUFBuilder.tinyLlama()
      change(&builder)
      try expectGGUFError(builder, importing: true, make)
    }
    try expectError({ $0["general.architecture"] = .string("gemma") }) {
      .unsupportedArchitecture(path: $0, name: "gemma")
    }
    try expectError({ $0["llama.block_count"] = nil }) { .missingKey(path: $0, key: "llama.block_count") }
    try expectError({ $0["llama.expert_count"] = .uint32(8) }) {
      .unsupportedFeature(path: $0, what: "a mixture of experts")
    }
    try expectError({ $0["llama.rope.scaling.type"] = .string("yarn") }) {
      .unsupportedFeature(path: $0, what: "rotary scaling of type \"yarn\"")
    }
    try expectError({ $0["llama.block_count"] = .uint32(1 << 30) }) {
      .invalidValue(path: $0, key: "llama.block_count", problem: "is 1073741824, with only 11 tensors")
    }
    try expectError({ $0["llama.attention.head_count_kv"] = .uint32(3) }) {
      .invalidValue(path: $0, key: "llama.attention.head_count_kv", problem: "is 3, which does not divide the 2 heads")
    }
    try expectError({ $0["llama.rope.dimension_count"] = .uint32(2) }) {
      .unsupportedFeature(path: $0, what: "llama.rope.dimension_count is 2, but heads have size 4")
    }
  }

  @Test func wrongTensors() throws {
    var builder = GGUFBuilder.tinyLlama()
    builder.tensors.removeAll { $0.name == Array("blk.0.attn_k.weight".utf8) }
    try expectGGUFError(builder, importing: true) { .missingTensors(path: $0, names: ["blk.0.attn_k.weight"]) }
    builder = .tinyLlama()
    builder.addTensor("blk.0.surprise", shape: [1])
    try expectGGUFError(builder, importing: true) { .unexpectedTensors(path: $0, names: ["blk.0.surprise"]) }
    builder = .tinyLlama()
    builder["llama.feed_forward_length"] = .uint32(32)
    try expectGGUFError(builder, importing: true) {
      .wrongTensorShape(path: $0, tensor: "blk.0.ffn_gate.weight", found: [16, 8], expected: [32, 8])
    }
    builder = .tinyLlama()
    builder.tensors[0].type = GGUFTensorType.i32.rawValue
    try expectGGUFError(builder, importing: true) {
      .unsupportedTensorType(path: $0, tensor: "token_embd.weight", type: "I32")
    }
  }

  @Test func outputTypesAreFloatingPoint() throws {
    let path = ggufGolden("byte_level.gguf")
    #expect(throws: GGUFError.unsupportedOutputType(path: path, dtype: "int8")) {
      try GGUFImporter.importModel(from: path, to: "/nonexistent/out", dtype: .int8)
    }
  }

  @Test func float16RangeIsGuarded() throws {
    var builder = GGUFBuilder.tinyLlama()
    let norm = [Float](repeating: 70_000, count: 8).flatMap { GGUFBuilder.little($0.bitPattern) }
    builder.tensors[1].data = norm
    try withTemporaryDirectory { directory in
      let path = FileSystem.join(directory, "large.gguf")
      try builder.write(to: path)
      let what = "output_norm.weight has values beyond float16's range; choose float32 or bfloat16"
      #expect(throws: GGUFError.unsupportedFeature(path: path, what: what)) {
        try GGUFImporter.importModel(from: path, to: FileSystem.join(directory, "out"), dtype: .float16)
      }
      #expect(try FileSystem.contents(of: directory) == ["large.gguf"])
    }
  }

  @Test func biasesFollowTheirWeights() throws {
    var builder = GGUFBuilder.tinyLlama()
    let stored = (0..<8).map(Float.init)
    for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
      builder.addTensor(
        "blk.0.\(name).bias", shape: [8], data: stored.flatMap { GGUFBuilder.little($0.bitPattern) })
    }
    try builder.withImport { directory in
      #expect(try ModelConfiguration(directory: directory).hasOutputBias)
      let checkpoint = try Checkpoint(directory: directory)
      for (name, expected) in [("q", [0, 2, 1, 3, 4, 6, 5, 7]), ("v", [0, 1, 2, 3, 4, 5, 6, 7])] {
        var values = [Float](repeating: -1, count: 8)
        try values.withUnsafeMutableBufferPointer {
          try checkpoint.readFloats(of: "model.layers.0.self_attn.\(name)_proj.bias", range: 0..<8, into: $0)
        }
        #expect(values == expected.map(Float.init))
      }
    }
  }

  @Test func slidingWindowMakesAMistral() throws {
    var builder = GGUFBuilder.tinyLlama()
    builder["llama.attention.sliding_window"] = .uint32(16)
    try builder.withImport { directory in
      let configuration = try ModelConfiguration(directory: directory)
      #expect(configuration.family == .mistral)
      #expect(configuration.slidingWindow == 16)
    }
  }
}
