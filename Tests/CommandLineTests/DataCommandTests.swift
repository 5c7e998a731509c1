import Foundation
import TestSupport
import Testing

/// `lota data check`, `show` and `split`.
struct DataCommandTests {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    try TinyModel().write(to: directory.file("model"))
  }

  private static let check = ["data", "check", "--model", "model", "--data", "d.jsonl"]

  @Test("sound rows end with 0, and the figures are printed")
  func sound() throws {
    try directory.write(Workspace.rows.joined(separator: "\n"), to: "d.jsonl")
    let result = try Lota.run(Self.check, in: directory)
    #expect(result.code == 0 && result.errors.isEmpty)
    #expect(result.output.contains("rows    12, usable 12, format prompt-completion"))
    #expect(result.output.contains("nothing to complain about"))
    let json = try Lota.run(Self.check + ["--json"], in: directory).json()
    #expect(json["usable"] as? Int == 12 && (json["findings"] as? [Any])?.isEmpty == true)
    #expect(json["endLearned"] as? Int == 12)
    let lengths = try #require(json["lengths"] as? [String: Any])
    #expect((lengths["bins"] as? [[String: Any]])?.compactMap { $0["rows"] as? Int }.reduce(0, +) == 12)
  }

  @Test("warnings end with 0")
  func warnings() throws {
    try directory.write((Workspace.rows + [Workspace.rows[0]]).joined(separator: "\n"), to: "d.jsonl")
    let result = try Lota.run(Self.check, in: directory)
    #expect(result.code == 0 && result.errors.isEmpty)
    #expect(result.output.contains("warning duplicate: row 13: the same as an earlier row"))
  }

  @Test("errors end with 1, after the figures, with the rows on one line")
  func errors() throws {
    let rows = Workspace.rows + [#"{"prompt": "p", "completion": ""}"#, "nonsense"]
    try directory.write(rows.joined(separator: "\n"), to: "d.jsonl")
    try directory.write(Workspace.rows[2], to: "test.jsonl")
    let result = try Lota.run(Self.check + ["--against", "test.jsonl", "--json"], in: directory)
    #expect(result.code == 1)
    #expect(
      result.errors.hasPrefix("Error: d.jsonl: do not train on it: ") && result.errors.split(separator: "\n").count == 1
    )
    for text in ["empty-completion: row 13", "unreadable: row 14", "overlap: row 3"] {
      #expect(result.errors.contains(text), "\(result.errors)")
    }
    let findings = try #require(try result.json()["findings"] as? [[String: Any]])
    #expect(findings.map { $0["kind"] as? String } == ["unreadable", "empty-completion", "overlap"])
    #expect(findings.map { $0["rows"] as? [Int] } == [[14], [13], [3]])
  }

  @Test("a file that cannot be read at all says so")
  func unreadable() throws {
    try expectRefusal(Self.check, in: directory, mentions: ["d.jsonl", "no such file"])
    try directory.write("", to: "d.jsonl")
    try expectRefusal(Self.check, in: directory, mentions: ["d.jsonl", "holds no rows"])
    try directory.write(Workspace.rows[0], to: "d.jsonl")
    try expectRefusal(Self.check + ["--against", "none"], in: directory, mentions: ["none"])
  }

  @Test("tokens are shown, learned ones apart")
  func show() throws {
    let rows = [Workspace.rows[0], #"{"prompt": "a|\n", "completion": "SELECT [é]"}"#, Workspace.rows[1]]
    try directory.write(rows.joined(separator: "\n"), to: "d.jsonl")
    let show = ["data", "show", "--model", "model", "--data", "d.jsonl", "--rows"]
    let text = try Lota.run(show + ["2"], in: directory)
    let line = #"a|\||\n[SELE][C][T][ ][\[][…][é][\]][<\|end\|>]"#
    #expect(text.output == "row 2: 12 tokens, 9 learned\n\(line)\n", "\(text.output)\(text.errors)")
    let coloured = try Lota.run(show + ["1-2", "--color", "always"], in: directory).output
    #expect(
      coloured.contains("\u{1B}[90ma\u{1B}[0m\u{1B}[90;4m|\u{1B}[0m\u{1B}[90m\\n\u{1B}[0m\u{1B}[32;4mSELE\u{1B}[0m"))
    try expectRefusal(show + ["4"], in: directory, mentions: ["d.jsonl", "row 4", "the file has 3"])
  }

  @Test("parts are written, and existing ones kept")
  func split() throws {
    try directory.write((Workspace.rows + [Workspace.rows[0]]).joined(separator: "\n"), to: "d.jsonl")
    let split = ["data", "split", "--from", "d.jsonl", "--out-dir", "out", "--part", "train=8", "--part", "test=3"]
    let result = try Lota.run(split, in: directory)
    #expect(result.code == 0)
    #expect(result.output.contains("of 13 rows, 2 are in no part; 1 equal an earlier one"))
    let train = try directory.text("out/train.jsonl").split(separator: "\n")
    let test = try directory.text("out/test.jsonl").split(separator: "\n")
    #expect(train.count == 8 && test.count == 3 && Set(train).isDisjoint(with: test))
    try expectRefusal(split, in: directory, mentions: ["out/train.jsonl", "exists"])
    let again = try Lota.run(split + ["--overwrite", "--json"], in: directory).json()
    #expect(again["remainder"] as? Int == 2 && (again["parts"] as? [String: Int])?["train"] == 8)
    #expect(try directory.text("out/train.jsonl").split(separator: "\n") == train)
    try expectRefusal(
      ["data", "split", "--from", "d.jsonl", "--out-dir", "o", "--part", "a=14"], in: directory,
      mentions: ["d.jsonl", "has 13 rows", "ask for 14"])
  }
}
