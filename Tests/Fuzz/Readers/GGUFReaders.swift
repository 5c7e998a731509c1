import Checkpoints
import Foundation
import Tokenizers

extension FuzzReader {
  static let gguf = [ggufImport]

  /// A whole import: header, metadata, tensors, tokenizer, and the model directory that they give.
  private static let ggufImport = FuzzReader(
    "gguf", "import of a GGUF file",
    dictionary: [
      "GGUF", "general.architecture", "general.alignment", "llama.block_count", "llama.attention.head_count",
      "llama.rope.scaling.type", "linear", "llama.rope.scaling.factor", "tokenizer.ggml.model", "gpt2", "llama",
      "tokenizer.ggml.pre", "smollm", "llama-bpe", "qwen2", "tokenizer.ggml.scores", "tokenizer.ggml.merges",
      "tokenizer.ggml.token_type", "tokenizer.chat_template", "rope_freqs.weight", "output.weight", "token_embd.weight",
    ]
  ) {
    Seeds(
      [GGUFSeeds.byteLevel(), GGUFSeeds.sentencePiece(longToken: 6), GGUFSeeds.quantized()],
      hostile: [GGUFSeeds.sentencePiece(longToken: 60_000)])
  } open: { workspace in
    { input in
      let path = try workspace.write(input.bytes, "model.gguf")
      let output = workspace.path("imported")
      try GGUFImporter.importModel(from: path, to: output, overwrite: true)
      _ = try ModelConfiguration(directory: output)
      let tokenizer = try Tokenizer(directory: output)
      _ = tokenizer.decode(tokenizer.encode("ab <s> 12", addSpecialTokens: true))
      _ = try tokenizer.chatTemplate.map { try ChatTemplate(source: $0) }
    }
  }
}

/// GGUF files of a llama model of one layer.
struct GGUFSeeds {
  private var metadata: [UInt8] = []
  private var metadataCount = 0
  private var metadataFields: [Range<Int>] = []
  private var tensors: [UInt8] = []
  private var tensorCount = 0
  private var tensorFields: [Range<Int>] = []
  private var data: [UInt8] = []

  static func byteLevel() -> FuzzInput {
    var seed = GGUFSeeds(width: 8)
    seed.add("tokenizer.ggml.model", text: "gpt2")
    seed.add("tokenizer.ggml.pre", text: "smollm")
    seed.add("tokenizer.ggml.tokens", texts: ["<s>", "</s>", "a", "b", "ab", "Ġ", "1", "2"])
    seed.add("tokenizer.ggml.merges", texts: ["a b"])
    seed.add("tokenizer.ggml.token_type", integers: [3, 3, 1, 1, 1, 1, 1, 1])
    seed.add("tokenizer.ggml.bos_token_id", integer: 0)
    seed.add("tokenizer.ggml.eos_token_id", integer: 1)
    seed.add("tokenizer.chat_template", text: "{% for m in messages %}{{ m.content }}{% endfor %}")
    return seed.finished(vocabulary: 8, width: 8)
  }

  static func sentencePiece(longToken: Int) -> FuzzInput {
    var seed = GGUFSeeds(width: 8)
    seed.add("tokenizer.ggml.model", text: "llama")
    let long = String(repeating: "a", count: longToken)
    seed.add("tokenizer.ggml.tokens", texts: ["<unk>", "<s>", "</s>", "▁", "a", "aa", "b", long])
    seed.add("tokenizer.ggml.scores", floats: [0, 0, 0, -1, -2, -3, -4, -5])
    seed.add("tokenizer.ggml.token_type", integers: [2, 3, 3, 1, 1, 1, 1, 1])
    seed.add("tokenizer.ggml.add_bos_token", flag: true)
    seed.add("tokenizer.ggml.bos_token_id", integer: 1)
    seed.add("tokenizer.ggml.eos_token_id", integer: 2)
    seed.add("llama.rope.scaling.type", text: "linear")
    seed.add("llama.rope.scaling.factor", float: 2)
    return seed.finished(vocabulary: 8, width: 8)
  }

  /// Q8_0, whose rows are blocks of 32.
  static func quantized() -> FuzzInput {
    var seed = GGUFSeeds(width: 32)
    seed.add("tokenizer.ggml.model", text: "gpt2")
    seed.add("tokenizer.ggml.tokens", texts: ["a", "b", "ab", "c"])
    seed.add("tokenizer.ggml.merges", texts: ["a b"])
    return seed.finished(vocabulary: 4, width: 32, type: 8)
  }

  private init(width: Int) {
    add("general.architecture", text: "llama")
    add("llama.embedding_length", integer: UInt32(width))
    add("llama.feed_forward_length", integer: UInt32(width))
    add("llama.block_count", integer: 1)
    add("llama.attention.head_count", integer: 2)
    add("llama.attention.head_count_kv", integer: 1)
    add("llama.context_length", integer: 64)
    add("llama.attention.layer_norm_rms_epsilon", float: 1e-5)
  }

  // MARK: - Metadata

  private mutating func begin(_ key: String, type: UInt32) {
    text(key)
    mark(4)
    metadata += Self.little(type)
    metadataCount += 1
  }

  private mutating func mark(_ width: Int) { metadataFields.append(metadata.count..<(metadata.count + width)) }

  private mutating func text(_ text: String) {
    mark(8)
    metadata += Self.little(UInt64(text.utf8.count)) + Array(text.utf8)
  }

  private mutating func add(_ key: String, text value: String) {
    begin(key, type: 8)
    text(value)
  }

  private mutating func add(_ key: String, integer: UInt32) {
    begin(key, type: 4)
    mark(4)
    metadata += Self.little(integer)
  }

  private mutating func add(_ key: String, float: Float) {
    begin(key, type: 6)
    mark(4)
    metadata += Self.little(float.bitPattern)
  }

  private mutating func add(_ key: String, flag: Bool) {
    begin(key, type: 7)
    metadata.append(flag ? 1 : 0)
  }

  private mutating func beginArray(_ key: String, type: UInt32, count: Int) {
    begin(key, type: 9)
    mark(4)
    metadata += Self.little(type)
    mark(8)
    metadata += Self.little(UInt64(count))
  }

  private mutating func add(_ key: String, texts: [String]) {
    beginArray(key, type: 8, count: texts.count)
    for value in texts { text(value) }
  }

  private mutating func add(_ key: String, floats: [Float]) {
    beginArray(key, type: 6, count: floats.count)
    for value in floats { metadata += Self.little(value.bitPattern) }
  }

  private mutating func add(_ key: String, integers: [Int32]) {
    beginArray(key, type: 5, count: integers.count)
    for value in integers { metadata += Self.little(value) }
  }

  // MARK: - Tensors

  private mutating func add(_ name: String, _ shape: [Int], type: UInt32, byteCount: Int) {
    data += [UInt8](repeating: 0, count: (32 - data.count % 32) % 32)
    func mark(_ width: Int) { tensorFields.append(tensors.count..<(tensors.count + width)) }
    mark(8)
    tensors += Self.little(UInt64(name.utf8.count)) + Array(name.utf8)
    mark(4)
    tensors += Self.little(UInt32(shape.count))
    for size in shape.reversed() {
      mark(8)
      tensors += Self.little(UInt64(size))
    }
    mark(4)
    tensors += Self.little(type)
    mark(8)
    tensors += Self.little(UInt64(data.count))
    data += (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 29) & 0x3F }
    tensorCount += 1
  }

  private mutating func finished(vocabulary: Int, width: Int, type: UInt32 = 0) -> FuzzInput {
    func byteCount(_ count: Int) -> Int { type == 0 ? 4 * count : count / 32 * 34 }
    add("token_embd.weight", [vocabulary, width], type: type, byteCount: byteCount(vocabulary * width))
    for name in ["blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"] {
      add(name + ".weight", [width], type: 0, byteCount: 4 * width)
    }
    for (name, rows) in [
      ("attn_q", width), ("attn_k", width / 2), ("attn_v", width / 2), ("attn_output", width), ("ffn_gate", width),
      ("ffn_up", width), ("ffn_down", width),
    ] {
      add("blk.0.\(name).weight", [rows, width], type: type, byteCount: byteCount(rows * width))
    }
    var bytes = Array("GGUF".utf8) + Self.little(UInt32(3)) + Self.little(UInt64(tensorCount))
    bytes += Self.little(UInt64(metadataCount))
    func moved(_ fields: [Range<Int>]) -> [Range<Int>] {
      fields.map { ($0.lowerBound + bytes.count)..<($0.upperBound + bytes.count) }
    }
    var fields = [4..<8, 8..<16, 16..<24] + moved(metadataFields)
    bytes += metadata
    fields += moved(tensorFields)
    bytes += tensors
    bytes += [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32)
    return FuzzInput(.bytes, bytes + data, fields: fields)
  }

  private static func little(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian, Array.init)
  }
}
