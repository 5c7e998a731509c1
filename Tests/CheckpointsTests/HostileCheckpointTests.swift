import Checkpoints
import Foundation
import TestSupport
import Testing

/// Small files that would cost very much.
struct HostileCheckpointTests {
  /// Every place to split a token was looked up, in the square of its length.
  @Test func longTokensOfSentencePieceAreRefused() throws {
    let tokens = ["<unk>", "a", "aa", String(repeating: "a", count: 100_000)]
    var builder = GGUFBuilder.tinyLlama(tokens: tokens)
    builder["tokenizer.ggml.model"] = .string("llama")
    builder["tokenizer.ggml.scores"] = .array(.float32([0, -1, -2, -3]))
    builder["tokenizer.ggml.bos_token_id"] = .uint32(1)
    let file = builder
    try expectEnds {
      try expectGGUFError(file, importing: true) { path in
        .invalidValue(
          path: path, key: "tokenizer.ggml.tokens",
          problem: "gives token 3 100000 bytes; at most 1000 are allowed")
      }
    }
  }

  /// The layers were listed before their number was checked.
  @Test(arguments: ["1000000000000", "9223372036854775807", "-9223372036854775808"])
  func numbersOfLayersAreCheckedBeforeUse(_ count: String) throws {
    let json = """
      {"architectures": ["Qwen2ForCausalLM"], "vocab_size": 32, "hidden_size": 8, "intermediate_size": 16,
       "num_hidden_layers": \(count), "num_attention_heads": 2, "num_key_value_heads": 2, "use_sliding_window": true,
       "max_window_layers": 0}
      """
    let error = try #require(throws: CheckpointError.self) { try ModelConfiguration(json: Data(json.utf8)) }
    #expect("\(error)".contains("num_hidden_layers"))
  }
}
