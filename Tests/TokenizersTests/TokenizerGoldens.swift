import Foundation
import Tokenizers

/// What `Scripts/goldens/tokenizers.py` wrote.
enum TokenizerGoldens {
  static let families = [
    "gpt2", "smollm2", "llama3", "qwen2", "o200k", "llama2", "mistral", "metaspace", "mixed",
  ]

  struct Cases: Decodable {
    let ids: [[Int]]
    /// What special tokens add before and after.
    let special: [[[Int]]]
    /// Null where decoding gives the text back.
    let decoded: [String?]
    /// Without special tokens; null where it equals `decoded`.
    let skipped: [String?]
  }

  struct Normalization: Decodable {
    let text: String
    let forms: [String?]
  }

  static func directory(_ family: String) throws -> String {
    try root().appendingPathComponent(family).path
  }

  static func texts() throws -> [String] { try read("texts.json") }
  static func cases(_ family: String) throws -> Cases { try read("\(family)/cases.json") }
  static func normalization() throws -> [Normalization] { try read("normalization.json") }

  private static func root() throws -> URL {
    guard let url = Bundle.module.resourceURL else { throw CocoaError(.fileNoSuchFile) }
    return url.appendingPathComponent("Goldens")
  }

  private static func read<Value: Decodable>(_ name: String) throws -> Value {
    try JSONDecoder().decode(Value.self, from: Data(contentsOf: root().appendingPathComponent(name)))
  }
}

/// `String` compares by canonical equivalence, which hides what these tests look for.
func isIdentical(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }
