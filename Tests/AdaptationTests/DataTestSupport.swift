import Adaptation
import Foundation

/// One token a character, the Unicode scalar as its id; the markers below are one token each, and two line breaks in a
/// row merge into one, as in real vocabularies.
struct CharacterEncoder: TextEncoder {
  static let merged: [(text: String, id: Int)] = [("<|im_start|>", 1), ("<|im_end|>", 2), ("\n\n", 3)]
  var endOfSequenceID: Int? = 0

  func encode(_ text: String) -> [Int] {
    var ids: [Int] = []
    var rest = text[...]
    while let first = rest.unicodeScalars.first {
      if let (marker, id) = Self.merged.first(where: { rest.hasPrefix($0.text) }) {
        ids.append(id)
        rest = rest.dropFirst(marker.count)
      } else {
        ids.append(Int(first.value))
        rest.unicodeScalars.removeFirst()
      }
    }
    return ids
  }
}

/// `<|im_start|>role\ncontent<|im_end|>\n`
struct ChatML: ChatRendering {
  func render(_ messages: [RowMessage], addGenerationPrompt: Bool) throws -> String {
    messages.map { "<|im_start|>\($0.role)\n\($0.content)<|im_end|>\n" }.joined()
      + (addGenerationPrompt ? "<|im_start|>assistant\n" : "")
  }
}

struct TemporaryFile {
  let path: String

  init(_ bytes: [UInt8]) throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("lota-\(UUID().uuidString).jsonl")
    try Data(bytes).write(to: url)
    path = url.path
  }

  init(_ text: String) throws { try self.init(Array(text.utf8)) }

  func remove() { try? FileManager.default.removeItem(atPath: path) }
}

/// Loads `text` as a file of rows with the character tokenizer.
func load(
  _ text: String, format: RowFormat? = nil, chat: (any ChatRendering)? = ChatML(), maximumLength: Int = 512,
  overlength: OverlengthPolicy = .drop
) throws -> TrainingData {
  try load(Array(text.utf8), format: format, chat: chat, maximumLength: maximumLength, overlength: overlength)
}

func load(
  _ bytes: [UInt8], format: RowFormat? = nil, chat: (any ChatRendering)? = ChatML(), maximumLength: Int = 512,
  overlength: OverlengthPolicy = .drop
) throws -> TrainingData {
  let file = try TemporaryFile(bytes)
  defer { file.remove() }
  return try TrainingData.load(
    path: file.path, format: format, encoder: CharacterEncoder(), chat: chat, maximumLength: maximumLength,
    overlength: overlength)
}

/// The text of the labelled tokens, one string a range; `$` stands for end-of-sequence.
func labelTexts(_ row: TokenizedRow) -> [String] {
  row.labelRanges.map { range in
    row.tokens[range].map { id in
      if id == 0 { return "$" }
      if let marker = CharacterEncoder.merged.first(where: { $0.id == Int(id) }) { return marker.text }
      return Unicode.Scalar(UInt32(id)).map { String(Character($0)) } ?? "?"
    }.joined()
  }
}
