import Adaptation
import Foundation
import TestSupport
import Testing

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
    #expect(error.description.contains("the assistant's 2000 turns"))
    #expect(try load(row(100), maximumLength: 10_000).rows.count == 1)
  }
}
