import Adaptation
import Foundation
import TestSupport
import Testing
import Tokenizers

struct HostileRowTests {
  /// Every one of the numbers cost an error that named all the levels around it.
  @Test func wideListsInDeepOnes() throws {
    let nested = String(repeating: "[", count: 400) + String(repeating: "1,", count: 20_000) + "1"
    let text = #"{"text": "a", "x": "# + nested + String(repeating: "]", count: 400) + "}"
    let error = try expectEnds(within: 3) { try #require(throws: TrainingDataError.self) { try load(text) } }
    #expect(error.description.contains("row 1: malformed JSON: nested deeper than 64 levels"))
  }

  @Test(arguments: [
    (#"{"text": "a",}"#, "expected '\"' at byte 14 of the row"),
    (#"{"text": "a", "text": "b"}"#, "duplicate key \"text\""),
    (#"{"text": "\ud800"}"#, "expected '\\'"),
  ])
  func rowsAreStrictJSON(_ text: String, _ reason: String) throws {
    let error = try #require(throws: TrainingDataError.self) { try load(text) }
    #expect(error.description.contains(reason), "\(error)")
  }

  @Test func numbersOfAnySizeAreLeftAlone() throws {
    #expect(try load(#"{"text": "ab", "score": 1e999, "id": 123456789012345678901234567890}"#).rows.count == 1)
  }

  /// Sums of them would overflow.
  @Test(arguments: ["9223372036854775807", "-1"])
  func countsOfMetricsAreChecked(_ tokens: String) throws {
    let line = """
      {"phase": "training", "step": 1, "loss": 1, "token_loss": 1, "tokens": \(tokens), "labels": 1, "seconds": 1, "learning_rate": 1}
      """
    let directory = try TemporaryDirectory()
    try Data("\(line)\n\(line)\n".utf8).write(to: URL(fileURLWithPath: directory("metrics.jsonl")))
    #expect(throws: ReportError.malformedMetrics(path: directory("metrics.jsonl"), line: 1)) {
      try MetricsRecord.read(path: directory("metrics.jsonl"))
    }
  }

  /// Every turn was rendered and encoded with all before it, in the square of their number.
  @Test func turnsAreBounded() throws {
    func row(_ count: Int) -> String {
      let turn = #"{"role": "assistant", "content": " 12 "}"#
      return #"{"messages": ["# + [String](repeating: turn, count: count).joined(separator: ", ") + "]}"
    }
    let error = try expectEnds(within: 3) { try #require(throws: TrainingDataError.self) { try load(row(2000)) } }
    #expect(error.description.contains("2000 of the assistant's turns"))
    #expect(try load(row(100), maximumLength: 10_000).rows.count == 1)
  }

  /// A model at work with tools: 80 turns of 10 KB each, 800 KB in all.
  @Test func longConversationsAreRead() throws {
    let directory = try TemporaryDirectory()
    let specification = """
      {"added_tokens": [{"id": 4, "content": "<|im_start|>", "special": true}, {"id": 5, "content": "<|im_end|>", "special": true}],
      "model": {"type": "BPE", "vocab": {"<unk>": 0, "a": 1, "b": 2, "aa": 3}, "merges": ["a a"], "unk_token": "<unk>"}}
      """
    try Data(specification.utf8).write(to: URL(fileURLWithPath: directory("tokenizer.json")))
    let tokenizer = try Tokenizer(directory: directory.path)
    let result = String(repeating: #"a line of a file\n"#, count: 600)
    let pair = #"{"role": "user", "content": "\#(result)"}, {"role": "assistant", "content": "baa"}"#
    let rows = directory("rows.jsonl")
    let text = #"{"messages": ["# + [String](repeating: pair, count: 80).joined(separator: ", ") + "]}"
    try Data(text.utf8).write(to: URL(fileURLWithPath: rows))
    let data = try expectEnds(within: 5) {
      try TrainingData.load(path: rows, encoder: tokenizer, chat: ChatML(), maximumLength: 1_000_000)
    }
    let row = try #require(data.rows.first)
    #expect(row.labelRanges.map { Array(row.tokens[$0]) } == [[Int32]](repeating: [2, 3, 5], count: 80))
  }
}
