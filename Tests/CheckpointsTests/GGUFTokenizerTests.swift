import Checkpoints
import Foundation
import Testing

@Suite("GGUF tokenizers")
struct GGUFTokenizerTests {
  private func json(_ builder: GGUFBuilder, _ name: String = "tokenizer.json") throws -> [String: Any] {
    try builder.withImport { directory in
      let data = try FileSystem.read(FileSystem.join(directory, name))
      return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }
  }

  /// Compact text of one member, with sorted keys.
  private func member(_ object: [String: Any], _ key: String) throws -> String {
    let data = try JSONSerialization.data(
      withJSONObject: [object[key] ?? NSNull()], options: [.sortedKeys, .withoutEscapingSlashes])
    return String(decoding: data, as: UTF8.self)
  }

  static let gpt2 = #"{"add_prefix_space":false,"trim_offsets":true,"type":"ByteLevel","use_regex":true}"#

  @Test("byte-level pre-tokenizers", arguments: [nil, "gpt-2", "default", "smollm", "llama-bpe", "qwen2"])
  func preTokenizers(name: String?) throws {
    var builder = GGUFBuilder.tinyLlama()
    if let name { builder["tokenizer.ggml.pre"] = .string(name) }
    let json = try json(builder)
    let model = try #require(json["model"] as? [String: Any])
    let text = try member(json, "pre_tokenizer")
    switch name {
    case "smollm":
      #expect(
        text == #"[{"pretokenizers":[{"individual_digits":true,"type":"Digits"},\#(Self.gpt2)],"type":"Sequence"}]"#)
    case "llama-bpe", "qwen2":
      #expect(text.contains(name == "qwen2" ? #"|\\p{N}|"# : #"|\\p{N}{1,3}|"#))
      #expect(text.contains(#""use_regex":false"#))
      #expect(text.contains(#""behavior":"Isolated""#))
    default: #expect(text == "[\(Self.gpt2)]")
    }
    #expect(model["ignore_merges"] as? Bool == (name == "llama-bpe"))
    #expect(model["byte_fallback"] as? Bool == false)
    #expect(try member(json, "normalizer") == (name == "qwen2" ? #"[{"type":"NFC"}]"# : "[null]"))
    // Llama 3 begins every text with a token; the others only when the file says so.
    #expect(try member(json, "post_processor").contains("TemplateProcessing") == (name == "llama-bpe"))
  }

  @Test func sentencePiecePipeline() throws {
    var builder = GGUFBuilder.tinyLlama(tokens: ["<unk>", "<s>", "</s>", "<0x41>", "a", "b", "ab", "▁"])
    builder["tokenizer.ggml.model"] = .string("llama")
    builder["tokenizer.ggml.scores"] = .array(.float32([0, 0, 0, 0, -2, -3, -1, -4]))
    builder["tokenizer.ggml.token_type"] = .array(.int32([2, 3, 3, 6, 1, 1, 1, 1]))
    builder["tokenizer.ggml.bos_token_id"] = .uint32(1)
    builder["tokenizer.ggml.eos_token_id"] = .uint32(2)
    var json = try json(builder)
    var model = try #require(json["model"] as? [String: Any])
    #expect(model["unk_token"] as? String == "<unk>")
    #expect(model["byte_fallback"] as? Bool == true)
    #expect(model["fuse_unk"] as? Bool == true)
    #expect(model["merges"] as? [[String]] == [["a", "b"]])
    #expect(try member(json, "pre_tokenizer") == "[null]")
    #expect(try member(json, "normalizer").contains(#"{"prepend":"▁","type":"Prepend"}"#))
    #expect(try member(json, "decoder").contains("Strip"))
    #expect(try member(json, "post_processor").contains(#""ids":[1]"#))

    builder["tokenizer.ggml.add_space_prefix"] = .bool(false)
    builder["tokenizer.ggml.add_bos_token"] = .bool(false)
    builder["tokenizer.ggml.add_eos_token"] = .bool(true)
    json = try self.json(builder)
    model = try #require(json["model"] as? [String: Any])
    #expect(!(try member(json, "normalizer").contains("Prepend")))
    #expect(!(try member(json, "decoder").contains("Strip")))
    #expect(try member(json, "post_processor").contains(#""ids":[2]"#))
  }

  @Test func scoresOrderMerges() throws {
    let tokens = ["a", "b", "c", "ab", "bc", "abc", "<x>", "<", "x>"]
    var builder = GGUFBuilder.tinyLlama(tokens: tokens)
    builder["tokenizer.ggml.model"] = .string("llama")
    builder["tokenizer.ggml.scores"] = .array(.float32([0, 0, 0, -2, -1, -3, -0.5, 0, 0]))
    // A control token never comes from text, so "<" and "x>" must not be joined.
    builder["tokenizer.ggml.token_type"] = .array(.int32([1, 1, 1, 1, 1, 1, 3, 1, 1]))
    builder["tokenizer.ggml.bos_token_id"] = nil
    builder["tokenizer.ggml.eos_token_id"] = nil
    let model = try #require(try json(builder)["model"] as? [String: Any])
    #expect(model["merges"] as? [[String]] == [["b", "c"], ["a", "b"], ["ab", "c"], ["a", "bc"]])
  }

  /// "é" composed and decomposed are one Swift `String` to `==`, but two tokens.
  @Test func equivalentTokensStayDistinct() throws {
    let tokens = [
      "<s>", "</s>", "\u{E9}", "e\u{301}", "\u{1E69}", "s\u{307}\u{323}", "s\u{323}\u{307}", "\u{0}\u{1F}\"\\\n",
    ]
    var builder = GGUFBuilder.tinyLlama(tokens: tokens)
    builder["tokenizer.ggml.merges"] = .array(.string(["e \u{301}"]))
    let bytes = try builder.withImport { Array(try FileSystem.read(FileSystem.join($0, "tokenizer.json"))) }
    for (id, token) in tokens.enumerated().dropLast() {
      let line = Array("\"\(token)\": \(id)".utf8)
      #expect(bytes.firstRange(of: line) != nil, "token \(id)")
    }
    #expect(bytes.firstRange(of: Array(#""\u0000\u001f\"\\\n": 7"#.utf8)) != nil)
  }

  @Test func tokenKindsBecomeFlags() throws {
    var builder = GGUFBuilder.tinyLlama(tokens: ["<s>", "</s>", "a", "<tool>", "<eot>"])
    builder["tokenizer.ggml.merges"] = .array(.string([]))
    builder["tokenizer.ggml.token_type"] = .array(.int32([3, 3, 1, 4, 3]))
    builder["tokenizer.ggml.eot_token_id"] = .uint32(4)
    builder["tokenizer.chat_template"] = .string("{{ 'ü\\n' }}")
    let added = try #require(try json(builder)["added_tokens"] as? [[String: Any]])
    #expect(added.map { $0["id"] as? Int } == [0, 1, 3, 4])
    #expect(added.map { $0["special"] as? Bool } == [true, true, false, true])
    let configuration = try json(builder, "tokenizer_config.json")
    #expect(configuration["tokenizer_class"] as? String == "PreTrainedTokenizerFast")
    #expect(configuration["chat_template"] as? String == "{{ 'ü\\n' }}")
    #expect(configuration["bos_token"] as? String == "<s>")
    #expect(configuration["model_max_length"] as? Int == 64)
    #expect(try json(builder, "generation_config.json")["eos_token_id"] as? [Int] == [1, 4])
  }

  @Test func brokenTokenizers() throws {
    func expectError(_ key: String, _ value: GGUFValue?, _ make: (String) -> GGUFError) throws {
      var builder = GGUFBuilder.tinyLlama()
      builder["tokenizer.ggml.\(key)"] = value
      try expectGGUFError(builder, importing: true, make)
    }
    let types = "tokenizer.ggml.token_type"
    try expectError("model", .string("t5")) { .unsupportedTokenizer(path: $0, model: "t5") }
    try expectError("model", nil) { .missingKey(path: $0, key: "tokenizer.ggml.model") }
    try expectError("model", .string("llama")) { .missingKey(path: $0, key: "tokenizer.ggml.scores") }
    try expectError("pre", .string("tekken")) { .unsupportedPreTokenizer(path: $0, name: "tekken") }
    try expectError("tokens", .array(.string(["a", "b", "ab", "c", "b"]))) {
      .duplicateToken(path: $0, token: "b", first: 1, second: 4)
    }
    try expectError("token_type", .array(.int32([1, 1]))) {
      .invalidValue(path: $0, key: types, problem: "has 2 elements for 5 tokens")
    }
    try expectError("token_type", .array(.int32([1, 1, 1, 1, 9]))) {
      .invalidValue(path: $0, key: types, problem: "gives token 4 the unknown type 9")
    }
    try expectError("eos_token_id", .uint32(5)) {
      .invalidValue(path: $0, key: "tokenizer.ggml.eos_token_id", problem: "must be the number of one of the 5 tokens")
    }
    for text in ["ab", "a b c", " b", "a "] {
      try expectError("merges", .array(.string([text]))) { .malformedMerge(path: $0, index: 0, text: text) }
    }
    try expectError("tokens", .array(.string(["0", "1", "2", "3", "4", "5"]))) {
      .invalidValue(path: $0, key: "tokenizer.ggml.tokens", problem: "has 6 tokens, but the embedding only 5 rows")
    }
  }
}
