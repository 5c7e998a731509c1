import Foundation
import TestSupport
import Testing

/// `lota eval --model`: a model answers, and its answers are scored.
@Suite(.engine) struct EvalModelTests {
  private let workspace: Workspace
  private var directory: TemporaryDirectory { workspace.directory }

  init() throws {
    workspace = try Workspace(TinyModel(seed: 3))
    let recipe = """
      name: own
      prompt: "{q}"
      completion: "{a}"
      max_tokens: 12
      stop: ["zz"]
      choices: [{ label: "one", text: "SELECT" }, { label: "two", text: "SELECT x" }, { label: "three", text: "other" }]
      metrics: [{ score: rouge1 }, { name: exact, score: match, extract: text }]
      """
    try directory.write(recipe, to: "own.yaml")
    let rows = (1...9).map {
      #"{"q": "\#(String(repeating: "ab \($0) ", count: 1 + $0 % 4))", "a": "\#(["one", "two", "three"][$0 % 3])"}"#
    }
    try directory.write(rows.joined(separator: "\n") + "\n", to: "d.jsonl")
  }

  private func evaluate(_ more: String...) throws -> LotaResult {
    try Lota.run(["eval", "--model", "model", "--task", "own.yaml=d.jsonl"] + more, in: directory)
  }

  private func samples(_ name: String) throws -> [[String: Any]] {
    try directory.text(name).split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  @Test("answers do not depend on the batch size; an interrupted run goes on")
  func batchesAndResuming() throws {
    for size in ["1", "2", "5", "16"] {
      let result = try evaluate("--batch-size", size, "--samples", "s\(size).jsonl", "--json")
      #expect(result.code == 0, "\(result.errors)")
      #expect(try directory.text("s\(size).jsonl") == (try directory.text("s1.jsonl")), "batch \(size)")
    }
    let whole = try directory.text("s1.jsonl")
    #expect(try samples("s1.jsonl").map { $0["row"] as? Int } == Array(1...9))
    // As if it had ended in the midst of the fourth answer.
    let lines = whole.split(separator: "\n").map { $0 + "\n" }
    try directory.write(lines[..<3].joined() + lines[3].prefix(40), to: "s2.jsonl")
    let resumed = try evaluate("--samples", "s2.jsonl", "--resume", "--json")
    let work = try resumed.json()["work"] as? [String: Any]
    #expect(resumed.code == 0 && work?["resumed"] as? Int == 3)
    #expect(try directory.text("s2.jsonl") == whole)
    let comparison = try Lota.succeed(
      "eval", "compare", "s1.jsonl", "s2.jsonl", "--metric", "likelihood", in: directory)
    #expect(comparison.output.contains("items       9") && comparison.output.contains("+0.0000"))
  }

  @Test("what belongs to another run is not gone on with")
  func otherRuns() throws {
    #expect(try evaluate("--samples", "s.jsonl", "--limit", "4").code == 0)
    func refused(_ arguments: [String], _ mentions: String...) throws {
      let result = try Lota.run(arguments + ["--samples", "s.jsonl"], in: directory)
      #expect(result.code == 1 && mentions.allSatisfy(result.errors.contains), "\(result.errors)")
    }
    let same = ["eval", "--model", "model", "--task", "own.yaml=d.jsonl", "--limit"]
    try refused(same + ["4"], "s.jsonl exists", "--resume")
    try refused(same + ["5", "--resume"], "made by another run", "rows was 4, is 5")
    try refused(same + ["4", "--resume", "--max-tokens", "3"], "maximumTokens was 12, is 3")
    try refused(same + ["4", "--resume", "--dtype", "float64"], "type was float32, is float64")
    try TinyModel(seed: 4).write(to: directory.file("other"))
    try refused(["eval", "--model", "other"] + same[3...] + ["4", "--resume"], "model was ")
    try directory.write(try directory.text("own.yaml").replacingOccurrences(of: "zz", with: "zy"), to: "own.yaml")
    try refused(same + ["4", "--resume"], "another recipe")
    try directory.write(try directory.text("own.yaml").replacingOccurrences(of: "zy", with: "zz"), to: "own.yaml")
    try directory.write(try directory.text("d.jsonl").replacingOccurrences(of: "ab 2", with: "ab 7"), to: "d.jsonl")
    try refused(same + ["4", "--resume"], "row 2 of the data has changed")
  }

  @Test("likelihoods of choices and perplexity are those of lota score")
  func likelihoods() throws {
    #expect(try evaluate("--method", "likelihood", "--samples", "s.jsonl", "--limit", "3").code == 0)
    let choices = ["SELECT", "SELECT x", "other"]
    let prompts = try samples("s.jsonl").compactMap { $0["prompt"] as? String }
    let rows = prompts.flatMap { prompt in choices.map { ["prompt": prompt, "completion": $0] } }
    let text = try rows.map { String(decoding: try JSONSerialization.data(withJSONObject: $0), as: UTF8.self) }
    try directory.write(text.joined(separator: "\n"), to: "rows2.jsonl")
    let scored = try Lota.succeed("score", "--model", "model", "--data", "rows2.jsonl", "--json", in: directory)
    try directory.write(scored.output, to: "scored.jsonl")
    for task in ["perplexity=rows2.jsonl"] {
      let asked = try Lota.succeed(
        "eval", "--model", "model", "--task", task, "--json", "--samples", "p.jsonl", in: directory)
      let given = try Lota.succeed(
        "eval", "--predictions", "scored.jsonl", "--task", "perplexity", "--json", in: directory)
      let values = try [asked, given].map {
        try #require((try $0.json()["metrics"] as? [[String: Any]])?.first?["value"] as? Double)
      }
      expectClose([values[0]], [values[1]], relative: 1e-5)
    }
    // The end of the sequence, which lota score counts in, is the choice's only further token.
    let totals = try samples("p.jsonl").compactMap { $0["count"] as? Int }
    let likelihoods = try samples("s.jsonl").flatMap { try #require($0["choices"] as? [[String: Any]]) }
    #expect(likelihoods.compactMap { $0["count"] as? Int } == totals.map { $0 - 1 })
    #expect(likelihoods.allSatisfy { ($0["logprob"] as? Double ?? 1) < 0 })
  }

  @Test("several tasks, training rows, and generations without a metric")
  func severalTasks() throws {
    try directory.write(#"{"instruction": "Sing.", "output": "La."}"#, to: "alpaca.jsonl")
    let result = try Lota.succeed(
      "eval", "--model", "model", "--task", "sql_create_context=rows.jsonl", "--task", "alpaca_eval=alpaca.jsonl",
      "--limit", "2", "--max-tokens", "4", "--samples", "s.jsonl", "--json", in: directory)
    #expect(result.outputLines.count == 2)
    #expect(
      try samples("s.sql_create_context.jsonl").map { $0["target"] as? String } == [
        "SELECT name FROM t1", "SELECT name FROM t2",
      ])
    let generations = try samples("s.alpaca_eval.jsonl")
    #expect(generations.count == 1 && generations[0]["prediction"] is String)
  }

  @Test(
    "what cannot be evaluated is said",
    arguments: [
      (["--task", "own.yaml=none.jsonl"], "none.jsonl"), (["--task", "gsm8k=d.jsonl"], "'question' is missing"),
      (["--task", "gsm8k=rows.jsonl", "--method", "likelihood"], "task gsm8k has no choices"),
      (["--task", "own.yaml=e.jsonl"], "row 1: the prompt is empty"),
      (["--task", "own.yaml=l.jsonl"], "leaves no room for an answer within the 256"),
    ])
  func refusals(_ arguments: [String], _ mention: String) throws {
    try directory.write(#"{"q": "", "a": "one"}"#, to: "e.jsonl")
    try directory.write(#"{"q": "\#(String(repeating: "x", count: 256))", "a": "one"}"#, to: "l.jsonl")
    try expectRefusal(["eval", "--model", "model"] + arguments, in: directory, mentions: [mention])
  }
}
