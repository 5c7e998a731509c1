import Adaptation
import Foundation
import Testing

@Suite struct DataErrors {
  static let good = #"{"prompt": "a", "completion": "b"}"#

  /// The file's text, and what the message must hold.
  @Test(arguments: [
    ("", ["holds no rows"]),
    (" \n\r\n", ["holds no rows"]),
    ("[]", ["holds no rows"]),
    ("{\"prompt\": \"a\"}", ["row 1", "'completion' is missing", "prompt-completion"]),
    (good + "\n{\"prompt\": \"a\"}", ["row 2", "'completion' is missing"]),
    (good + "\n\n\n{\"completion\": \"a\"}", ["row 2 (line 4)", "'prompt' is missing"]),
    (good + "\n{\"text\": \"a\"}", ["row 2", "'prompt' is missing"]),
    (good + "\n{\"prompt\": \"a\", \"completion\": 3}", ["row 2", "'completion' must be a string, found a number"]),
    (good + "\n{\"prompt\": null, \"completion\": \"b\"}", ["row 2", "'prompt' must be a string, found null"]),
    (good + "\n{\"prompt\": [], \"completion\": \"b\"}", ["row 2", "'prompt' must be a string, found an array"]),
    (good + "\n{\"prompt\": true, \"completion\": \"b\"}", ["row 2", "'prompt' must be a string, found a boolean"]),
    ("{\"prompt\": \"a\", \"completion\": \"\"}", ["row 1", "nothing to learn", "'completion' is empty"]),
    ("{\"text\": \"\"}", ["row 1", "'text' is empty"]),
    ("{\"instruction\": \"a\", \"output\": \"\"}", ["row 1", "'output' is empty"]),
    ("{\"instruction\": \"a\", \"output\": \"b\", \"input\": 1}", ["row 1", "'input' must be a string"]),
    (good + "\n{\"prompt\": \"a\", \"completion\"", ["row 2", "malformed JSON"]),
    (good + "\n" + good + good, ["row 2", "malformed JSON"]),
    ("{'prompt': 'a'}", ["row 1", "malformed JSON"]),
    ("plain words", ["row 1", "malformed JSON"]),
    (good + "\n3", ["row 2", "expected an object, found a number"]),
    ("[" + good + ", [1]]", ["row 2", "expected an object, found an array"]),
    ("[" + good + ",]", ["row 2", "malformed JSON", "the row is empty"]),
    ("[" + good, ["row 1", "the array is not closed"]),
    ("[" + good + "]\n" + good, ["malformed JSON", "text follows the array"]),
    ("{\"question\": \"a\", \"answer\": \"b\"}", ["row 1", "'answer', 'question' match no row format"]),
    ("{}", ["row 1", "(none) match no row format"]),
    ("{\"messages\": \"a\"}", ["row 1", "'messages' must be an array, found a string"]),
    ("{\"messages\": [\"a\"]}", ["row 1", "'messages[0]' must be an object, found a string"]),
    ("{\"messages\": [{\"role\": \"user\"}]}", ["row 1", "'messages[0].content' is missing"]),
    (
      "{\"messages\": [{\"role\": \"user\", \"content\": []}]}",
      ["'messages[0].content' must be a string, found an array"]
    ),
    ("{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}", ["row 1", "no message of role 'assistant'"]),
    ("{\"messages\": []}", ["row 1", "nothing to learn"]),
  ])
  func message(text: String, parts: [String]) throws {
    let error = try #require(throws: TrainingDataError.self) { try load(text) }
    let message = error.description
    #expect(!message.contains("\n"))
    #expect(error.localizedDescription == message)
    for part in parts { #expect(message.contains(part), "\(message)") }
    #expect(message.contains(".jsonl: "), "\(message)")
  }

  @Test func invalidUTF8NamesTheByte() throws {
    var bytes = Array((Self.good + "\n{\"prompt\": \"é").utf8)
    bytes += [0xC3, 0x28] + Array("\", \"completion\": \"b\"}".utf8)
    let error = try #require(throws: TrainingDataError.self) { try load(bytes) }
    guard case .invalidUTF8(let location, let byte) = error else { return #expect(Bool(false), "\(error)") }
    #expect(location.row == 2 && byte == 15)
  }

  @Test func utf16IsRefused() throws {
    let error = try #require(throws: TrainingDataError.self) { try load([0xFF, 0xFE] + Array("{}".utf8)) }
    guard case .invalidUTF8(let location, byte: 1) = error else { return #expect(Bool(false), "\(error)") }
    #expect(location.row == 1)
  }

  @Test func lengthErrors() throws {
    let text = Self.good + "\n" + #"{"prompt": "abc", "completion": "d"}"#
    let refused = try #require(throws: TrainingDataError.self) { try load(text, maximumLength: 4, overlength: .error) }
    #expect(refused.description.contains("row 2: 5 tokens exceed the limit of 4"))
    let none = try #require(throws: TrainingDataError.self) { try load(text, maximumLength: 2) }
    #expect(none.description.contains("none of its 2 rows is left within 2 tokens (the longest has 5)"))
  }

  @Test func unreadableFiles() {
    #expect(throws: TrainingDataError.unreadable(path: "/nonexistent/rows.jsonl", reason: "no such file")) {
      try TrainingData.load(path: "/nonexistent/rows.jsonl", encoder: CharacterEncoder())
    }
    let directory = FileManager.default.temporaryDirectory.path
    #expect(throws: TrainingDataError.unreadable(path: directory, reason: "it is a directory")) {
      try TrainingData.load(path: directory, encoder: CharacterEncoder())
    }
  }

  @Test func tokenizerWithoutAnEnd() throws {
    let file = try TemporaryFile(Self.good)
    defer { file.remove() }
    #expect(throws: TrainingDataError.noEndOfSequence(path: file.path)) {
      try TrainingData.load(path: file.path, encoder: CharacterEncoder(endOfSequenceID: nil))
    }
  }

  @Test func chatErrors() throws {
    struct Refusing: ChatRendering, LocalizedError {
      var errorDescription: String? { "roles must alternate" }
      func render(_ messages: [RowMessage], addGenerationPrompt: Bool) throws -> String { throw self }
    }
    /// Numbers the messages from the end, so that nothing is a prefix of anything.
    struct Backwards: ChatRendering {
      func render(_ messages: [RowMessage], addGenerationPrompt: Bool) -> String {
        messages.enumerated().map { "\(messages.count - $0): \($1.content)\n" }.joined()
      }
    }
    let text = #"{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "A"}]}"#
    let expectations: [((any ChatRendering)?, String)] = [
      (nil, "row 1: messages need a chat template"),
      (Refusing(), "row 1: the chat template refused the messages: roles must alternate"),
      (Backwards(), "row 1: the chat template renders what precedes message 2 differently"),
    ]
    for (chat, part) in expectations {
      let error = try #require(throws: TrainingDataError.self) { try load(text, chat: chat) }
      #expect(error.description.contains(part), "\(error)")
    }
  }
}
