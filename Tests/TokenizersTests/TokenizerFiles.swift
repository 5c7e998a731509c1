import Foundation
import Tokenizers

/// A model directory written for one test.
final class TokenizerFiles {
  let directory: String

  init(_ files: [String: String]) throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("lota-tokenizer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    directory = url.path
    for (name, text) in files {
      try Data(text.utf8).write(to: url.appendingPathComponent(name))
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  func path(_ name: String = "tokenizer.json") -> String { directory + "/" + name }
  func load() throws -> Tokenizer { try Tokenizer(directory: directory) }

  /// A `tokenizer.json` of characters, with the given fields as JSON.
  static func json(
    vocabulary: String = #"{"<unk>":0,"a":1,"b":2,"ab":3," ":4,"c":5}"#, merges: String = #"["a b"]"#,
    added: String = "[]", normalizer: String = "null", preTokenizer: String = "null",
    postProcessor: String = "null",
    decoder: String = #"{"type":"Fuse"}"#
  ) -> String {
    """
    {"version":"1.0","truncation":null,"padding":null,"added_tokens":\(added),
    "normalizer":\(normalizer),"pre_tokenizer":\(preTokenizer),"post_processor":\(postProcessor),"decoder":\(decoder),
    "model":{"type":"BPE","dropout":null,"unk_token":"<unk>","continuing_subword_prefix":null,"end_of_word_suffix":null,
    "fuse_unk":false,"byte_fallback":false,"vocab":\(vocabulary),"merges":\(merges)}}
    """
  }
}
