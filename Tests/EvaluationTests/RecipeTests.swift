import Evaluation
import Foundation
import Testing

struct RecipeTests {
  static let minimal = "name: t\nprompt: \"{q}\"\ncompletion: \" {a}\"\n"

  @Test("every built-in recipe is read, and every recipe file is built in", arguments: BuiltInTasks.names)
  func builtIn(name: String) throws {
    let recipe = try TaskRecipe.named(name)
    #expect(recipe.name == name && !recipe.summary.isEmpty)
    #expect(!recipe.metrics.isEmpty || name == "alpaca_eval")
  }

  @Test func complete() throws {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let folder = tests.appendingPathComponent("../../Sources/Evaluation/Resources/tasks").standardizedFileURL.path
    let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    #expect(files == BuiltInTasks.names.map { $0 + ".yaml" })
  }

  static let refusedCases: [(String, String)] = [
    ("", "empty"), ("name: [", "not valid YAML"), ("- a", "mapping"), ("name: t\n", "lacks the key 'prompt'"),
    (minimal + "promt: x\n", "r.yaml:4: recipe has the unknown key 'promt'; use name"),
    (minimal + "max_tokens: 0\n", "r.yaml:4: max_tokens must be a whole number from 1"),
    (minimal + "stop: {a: b}\n", "stop must be a single value"), ("name: t\nprompt: \"{q\"\n", "'{' is not closed"),
    ("name: t\nprompt: \"q}\"\n", "'}' stands alone"), ("name: t\nprompt: \"{}\"\n", "names no field"),
    (minimal + "metrics:\n  - score: magic\n", "unknown score 'magic'; use match"),
    (minimal + "metrics:\n  - score: match\n", "lacks the key 'extract'"),
    (
      minimal + "metrics:\n  - score: match\n    extract: number\n    choices: [a]\n",
      "r.yaml:7: metrics has the unknown key 'choices'"
    ),
    (minimal + "metrics:\n  - score: match\n    extract: final_answer\n", "'marker'"),
    (minimal + "metrics:\n  - score: refusal\n", "needs prefixes or keywords"),
    (minimal + "metrics:\n  - score: rouge1\n  - score: rouge1\n", "two metrics"),
    (minimal + "target:\nmetrics:\n  - score: rouge1\n    name: [a]\n", "r.yaml:7: name must be a single value"),
    (minimal + "metrics:\n  - score: rouge1\n    tonality: 1\n", "'tonality'"),
    (minimal + "choices:\n  - { label: a, text: b, weight: 1 }\n", "'weight'"),
  ]

  @Test("what is wrong with a recipe is said with its line", arguments: refusedCases)
  func refused(yaml: String, mention: String) throws {
    let error = #expect(throws: EvaluationError.self) { try TaskRecipe(yaml: yaml, path: "r.yaml") }
    let text = try #require(error).description
    #expect(text.hasPrefix("r.yaml:") && text.contains(mention), "\(text)")
  }

  @Test func unknownTask() {
    #expect(throws: EvaluationError.unknownTask("gsm", known: BuiltInTasks.names)) { try TaskRecipe.named("gsm") }
    #expect(throws: EvaluationError.unreadable(path: "none/r.yaml", reason: "no such file")) {
      try TaskRecipe.named("none/r.yaml")
    }
  }
}

struct DataFileTests {
  private let folder: URL
  private let recipe: TaskRecipe

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("lota-eval-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    recipe = try TaskRecipe(
      yaml: "name: t\nprompt: \"{{{q}}}\"\ncompletion: \" {a}\"\nempty: [input]\n", path: "r.yaml")
  }

  private func file(_ text: String, _ name: String = "d.jsonl") throws -> String {
    let url = folder.appendingPathComponent(name)
    try Data(text.utf8).write(to: url)
    return url.path
  }

  @Test("three layouts give the same rows")
  func layouts() throws {
    let expected =
      "{\"prompt\": \"{1, \\\"x\\\"\\ny}\", \"completion\": \" é\"}\n{\"prompt\": \"{2}\", \"completion\": \" \"}\n"
    let lines = "\u{FEFF}{\"q\":\"1, \\\"x\\\"\\ny\",\"a\":\"é\"}\r\n\n{\"q\":2,\"a\":\"\",\"input\":\"\"}"
    let array = "[{\"q\":\"1, \\\"x\\\"\\ny\",\"a\":\"\\u00e9\"},\n{\"q\":2,\"a\":\"\",\"input\":null}]\n"
    let csv = "q,a\r\n\"1, \"\"x\"\"\ny\",é\r\n2,\r\n"
    for (text, name) in [(lines, "d.jsonl"), (array, "d.json"), (csv, "d.csv")] {
      let rows = try recipe.trainingRows(path: try file(text, name))
      #expect(rows.count == 2)
      #expect(String(decoding: rows.bytes, as: UTF8.self) == expected, "\(name)")
    }
  }

  static let refusedCases: [(String, String, String)] = [
    ("d.jsonl", "{\"q\":\"1\",\"a\":\"2\"}\n\n{\"q\":\"1\"}\n", "d.jsonl: row 2 (line 3): field 'a' is missing"),
    ("d.jsonl", "{\"q\":\"1\",\"a\":[2]}\n", "row 1: field 'a' must be text, a number or a boolean, found an array"),
    ("d.jsonl", "{\"q\":\"1\"\n", "d.jsonl: row 1: malformed JSON"), ("d.jsonl", "5\n", "row 1: expected an object"),
    ("d.jsonl", "{\"q\":\"1\",\"a\":\"2\",\"input\":\"x\"}\n", "field 'input' is not empty"),
    ("d.json", "[{\"q\":\"1\"},\n{\"q\"]", "d.json: line 2: malformed JSON: expected ':'"),
    ("d.json", "[]", "holds no rows"),
    ("d.csv", "q,a\n1,2\n3\n", "d.csv: row 2 (line 3): 1 fields, the header has 2"),
    ("d.csv", "q,a\n1,\"2\n", "row 1 (line 2): a quoted field does not end"),
    ("d.csv", "q,a\n1,\"2\"3\n", "text follows a quoted field's end"), ("d.csv", "q,q\n", "names a field twice"),
    ("d.csv", "q,a\n", "holds no rows"),
  ]

  @Test("bad rows are named", arguments: refusedCases)
  func refused(name: String, text: String, mention: String) throws {
    let path = try file(text, name)
    let error = #expect(throws: EvaluationError.self) { try recipe.trainingRows(path: path) }
    let description = try #require(error).description
    #expect(description.contains(mention), "\(description)")
  }
}
