import Foundation
import Testing

/// Training rows that cannot be used: one line that names the file and the row.
struct BadRowTests {
  struct Defect: CustomTestStringConvertible, Sendable {
    let testDescription: String
    /// Comes after three good rows.
    let row: String
    var options: [String] = []
    let mentions: [String]
  }

  static let defects = [
    Defect(testDescription: "cut JSON", row: #"{"prompt": "a", "completion": "b"#, mentions: ["malformed JSON"]),
    Defect(testDescription: "no JSON", row: "SELECT 1", mentions: ["malformed JSON"]),
    Defect(testDescription: "no object", row: "[1, 2]", mentions: ["expected an object", "array"]),
    Defect(testDescription: "no completion", row: #"{"prompt": "a"}"#, mentions: ["'completion' is missing"]),
    Defect(
      testDescription: "a number", row: #"{"prompt": "a", "completion": 5}"#, mentions: ["'completion'", "a string"]),
    Defect(
      testDescription: "no labels", row: #"{"prompt": "a", "completion": ""}"#, mentions: ["nothing to learn", "empty"]),
    Defect(testDescription: "another format", row: #"{"text": "a"}"#, mentions: ["'prompt' is missing"]),
    Defect(
      testDescription: "longer than the limit",
      row: #"{"prompt": "a", "completion": "\#(String(repeating: "x", count: 90))"}"#,
      options: ["--max-length", "80", "--overlength", "error"],
      mentions: ["92 tokens", "limit of 80", "--max-length"]),
  ]

  @Test("train names the file and the row", arguments: defects)
  func refuses(defect: Defect) throws {
    let workspace = try Workspace()
    try workspace.directory.write((Workspace.rows.prefix(3) + [defect.row]).joined(separator: "\n"), to: "rows.jsonl")
    try expectRefusal(
      workspace.trainingArguments("run") + defect.options, in: workspace.directory,
      mentions: ["rows.jsonl: row 4"] + defect.mentions)
  }

  @Test("score refuses a row longer than the model's positions")
  func tooLongToScore() throws {
    let workspace = try Workspace()
    try workspace.directory.write(
      #"{"prompt": "a", "completion": "\#(String(repeating: "xy", count: 200))"}"#, to: "rows.jsonl")
    try expectRefusal(
      ["score", "--model", "model", "--data", "rows.jsonl"], in: workspace.directory,
      mentions: ["rows.jsonl: row 1", "402 tokens", "limit of 256"])
  }

  @Test("a file of which no row is left says so")
  func allDropped() throws {
    let workspace = try Workspace()
    try expectRefusal(
      workspace.trainingArguments("run", "--max-length", "10"), in: workspace.directory,
      mentions: ["rows.jsonl", "none of its 12 rows", "--max-length"])
  }

  @Test("missing, empty, unreadable and wrongly encoded files")
  func files() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    func refuse(_ mentions: String...) throws {
      for arguments in [workspace.trainingArguments("run"), ["score", "--model", "model", "--data", "rows.jsonl"]] {
        try expectRefusal(arguments, in: directory, mentions: ["rows.jsonl"] + mentions)
      }
    }
    try directory.write("\n\n", to: "rows.jsonl")
    try refuse("holds no rows")
    try Data([UInt8]("{\"text\": \"a".utf8) + [0xFF] + [UInt8]("\"}".utf8))
      .write(to: URL(fileURLWithPath: directory.file("rows.jsonl")))
    try refuse("row 1", "UTF-8", "byte 12")
    try directory.remove("rows.jsonl")
    try refuse("cannot be read", "no such file")
    try FileManager.default.createDirectory(atPath: directory.file("rows.jsonl"), withIntermediateDirectories: false)
    try refuse("cannot be read")
  }

  @Test("messages need a chat template, rows an end-of-sequence token")
  func templates() throws {
    let workspace = try Workspace(TinyModel(hasEndOfSequence: false))
    try expectRefusal(
      workspace.trainingArguments("run"), in: workspace.directory,
      mentions: ["rows.jsonl", "end-of-sequence", "eos_token"])
    try workspace.directory.write(
      #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#, to: "rows.jsonl")
    try expectRefusal(
      workspace.trainingArguments("run"), in: workspace.directory, mentions: ["rows.jsonl: row 1", "chat template"])
  }
}
