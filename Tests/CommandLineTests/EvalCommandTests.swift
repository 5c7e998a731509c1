import Foundation
import TestSupport
import Testing

/// `lota data make` and `lota eval`, without a model.
struct EvalCommandTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("rows are made by a built-in recipe, and by one from a file")
  func make() throws {
    try directory.write(#"{"question": "1 + 1?", "answer": "2\n#### 2"}"#, to: "d.jsonl")
    try Lota.succeed("data", "make", "--task", "gsm8k", "--from", "d.jsonl", "--out", "rows.jsonl", in: directory)
    let row = #"{"prompt": "Question: 1 + 1?\nAnswer:", "completion": " 2\n#### 2"}"#
    #expect(try directory.text("rows.jsonl") == row + "\n")
    try directory.write("name: own\nprompt: \"{question}\"\ncompletion: x\n", to: "own.yaml")
    try Lota.succeed("data", "make", "--task", "own.yaml", "--from", "d.jsonl", "--out", "rows.jsonl", in: directory)
    #expect(try directory.text("rows.jsonl") == #"{"prompt": "1 + 1?", "completion": "x"}"# + "\n")
  }

  @Test("answers are scored, and two runs compared")
  func evaluate() throws {
    for (name, predictions) in [("a", ["#### 1", "2", "x"]), ("b", ["1", "2.0", "so $3."])] {
      let rows = predictions.enumerated().map { "{\"target\": \"#### \($0 + 1)\", \"prediction\": \"\($1)\"}" }
      try directory.write(rows.joined(separator: "\n"), to: "\(name).jsonl")
      let result = try Lota.succeed(
        "eval", "--predictions", "\(name).jsonl", "--task", "gsm8k", "--json", "--full-batches", "2", "--samples",
        "\(name).scored", in: directory)
      let metrics = try #require(try result.json()["metrics"] as? [[String: Any]])
      #expect(metrics.map { $0["successes"] as? Int } == [name == "a" ? 2 : 3, 2])
      #expect(metrics.map { $0["metric"] as? String } == ["accuracy", "accuracy_full_batches"])
    }
    let comparison = try Lota.succeed("eval", "compare", "a.scored", "b.scored", "--json", in: directory).json()
    #expect(comparison["onlySecond"] as? Int == 1 && comparison["onlyFirst"] as? Int == 0)
    #expect(comparison["p"] as? Double == 1 && comparison["test"] as? String == "exact McNemar")
    let text = try Lota.succeed("eval", "--predictions", "a.jsonl", "--task", "gsm8k", in: directory).output
    #expect(text.contains("66.7 %  [20.8 %, 93.9 %]  2/3  (wilson)"), "\(text)")
  }

  @Test("perplexity of what lota score prints")
  func perplexity() throws {
    try directory.write(
      "{\"row\":1,\"logprob\":-2,\"count\":1}\n{\"row\":2,\"logprob\":-1,\"count\":2}", to: "scores.jsonl")
    let result = try Lota.succeed(
      "eval", "--predictions", "scores.jsonl", "--task", "perplexity", "--json", in: directory)
    let metrics = try #require(try result.json()["metrics"] as? [[String: Any]])
    let value = try #require(metrics.first?["value"] as? Double)
    #expect(abs(value - M_E) < 1e-12)
  }

  static let refusals: [(arguments: [String], mentions: [String])] = [
    (["--predictions", "none.jsonl", "--task", "gsm8k"], ["none.jsonl", "no such file"]),
    (["--predictions", "d.jsonl", "--task", "gsm"], ["unknown task 'gsm'", "gsm8k"]),
    (["--predictions", "d.jsonl", "--task", "gsm8k"], ["d.jsonl: row 2", "'prediction' is missing"]),
    (["--predictions", "e.jsonl", "--task", "gsm8k"], ["e.jsonl: row 1", "target holds no answer", "accuracy"]),
    (["--predictions", "e.jsonl", "--task", "hexphi"], ["e.jsonl: row 1", "'prompt' is missing"]),
    (["--predictions", "e.jsonl", "--task", "alpaca_eval"], ["alpaca_eval", "no metric"]),
    (["--predictions", "e.jsonl", "--task", "own.yaml"], ["own.yaml:3: ", "unknown key 'promt'"]),
    (["compare", "e.jsonl", "e.jsonl"], ["e.jsonl: row 1", "'scores' is missing"]),
    (["compare", "s.jsonl", "t.jsonl"], ["s.jsonl has 1 rows", "t.jsonl has 2"]),
    (["compare", "s.jsonl", "u.jsonl"], ["s.jsonl: row 1 and u.jsonl: row 1 differ in 'target'"]),
    (["compare", "s.jsonl", "s.jsonl", "--metric", "b"], ["metric 'b' is not in both files"]),
  ]

  @Test("what is wrong is said by file and row", arguments: refusals)
  func refuses(arguments: [String], mentions: [String]) throws {
    try directory.write("{\"target\":\"1\",\"prediction\":\"1\"}\n{\"target\":\"1\"}\n", to: "d.jsonl")
    try directory.write("{\"target\":\"none\",\"prediction\":\"1\"}\n", to: "e.jsonl")
    try directory.write("name: own\nprompt: x\npromt: y\n", to: "own.yaml")
    try directory.write("{\"target\":\"1\",\"scores\":{\"a\":true}}\n", to: "s.jsonl")
    try directory.write("{\"scores\":{\"a\":true}}\n{\"scores\":{\"a\":true}}\n", to: "t.jsonl")
    try directory.write("{\"target\":\"2\",\"scores\":{\"a\":true}}\n", to: "u.jsonl")
    try expectRefusal(["eval"] + arguments, in: directory, mentions: mentions)
  }
}
