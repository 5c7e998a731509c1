import Foundation
import TestSupport
import Testing

/// `lota merge search` against merges made and scored one by one.
@Suite(.engine) struct MergeSearchCommandTests {
  private let workspace: Workspace
  private var directory: TemporaryDirectory { workspace.directory }

  init() throws {
    workspace = try Workspace()
    try workspace.train("one", ["--method", "fft"])
    try workspace.train("two", ["--seed", "9"])
    try workspace.train("three", ["--seed", "10"])
    let other = (1...5).map { #"{"prompt": "Count \#($0): ", "completion": "one two \#($0)"}"# }
    try directory.write(other.joined(separator: "\n") + "\n", to: "other.jsonl")
  }

  private static let merge = [
    "--method", "ties", "--base", "model", "--input", "a=one/model", "--input", "b=two/adapter", "--seed", "3",
  ]
  private static let search =
    ["merge", "search"] + merge + [
      "--score", "rows=rows.jsonl", "--score", "other.jsonl", "--density", "0.2,0.6", "--lambda", "0.5,1,1.5",
      "--results", "found",
    ]

  /// Loss a label of a model on a file.
  private func loss(_ model: [String], _ file: String) throws -> Double {
    let result = try Lota.run(["score"] + model + ["--data", file, "--json"], in: directory)
    try #require(result.code == 0, "\(result.errors)")
    let rows = try result.objects()
    let labels = rows.reduce(0) { $0 + ($1["count"] as? Int ?? 0) }
    return -rows.reduce(0) { $0 + ($1["logprob"] as? Double ?? 0) } / Double(labels)
  }

  private func lines() throws -> [[String: Any]] {
    try directory.text("found/search.jsonl").split(separator: "\n").dropFirst().map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  @Test("every score is that of the merge made alone, and the least mean wins")
  func bestIsTheLeast() throws {
    let result = try Lota.run(Self.search + ["--out", "best", "--json"], in: directory)
    try #require(result.code == 0, "\(result.errors)")
    var means: [Double] = []
    let lines = try lines()
    for (index, (density, lambda)) in [0.2, 0.6].flatMap({ density in [0.5, 1, 1.5].map { (density, $0) } })
      .enumerated()
    {
      try Lota.succeed(
        "merge", "--method", "ties", "--base", "model", "--input", "one/model", "--input", "two/adapter", "--seed", "3",
        "--density", "\(density)", "--lambda", "\(lambda)", "--out", "m\(index)", in: directory)
      let losses = try ["rows.jsonl", "other.jsonl"].map { try loss(["--model", "m\(index)"], $0) }
      means.append((losses[0] + losses[1]) / 2)
      #expect(lines[index]["settings"] as? [String: Double] == ["density": density, "lambda": lambda])
      let scores = try #require(lines[index]["scores"] as? [String: Double])
      expectClose(try #require(scores["rows"]), losses[0], absolute: 1e-12)
      expectClose(try #require(scores["other.jsonl"]), losses[1], absolute: 1e-12)
      expectClose(try #require(lines[index]["objective"] as? Double), means[index], absolute: 1e-12)
    }
    let least = try #require(means.indices.min { means[$0] < means[$1] })
    #expect(Set(means).count == means.count)
    #expect(try directory.contents("best/model.safetensors") == directory.contents("m\(least)/model.safetensors"))
    let best = try #require(try result.json()["best"] as? [String: Any])
    #expect(best["objective"] as? Double == lines[least]["objective"] as? Double)
    #expect(!directory.exists("found/.candidate"))
    #expect(try directory.text("found/results.md").contains("| best |"))
    #expect(try directory.text("found/report.html").contains("<svg"))
  }

  @Test("what is known is not merged again, after an interruption and with more values")
  func goesOn() throws {
    let whole = try Lota.run(Self.search, in: directory)
    try #require(whole.code == 0, "\(whole.errors)")
    let lines = try directory.text("found/search.jsonl").split(separator: "\n")
    try directory.write(lines.prefix(4).joined(separator: "\n") + "\n", to: "found/search.jsonl")
    // As a run leaves it that was ended in the midst of a candidate.
    try FileManager.default.createDirectory(
      atPath: directory.file("found/.candidate"), withIntermediateDirectories: true)
    let again = try Lota.run(Self.search, in: directory)
    #expect(again.errors.split(separator: "\n").filter { $0.hasSuffix(", known") }.count == 3)
    #expect(try self.lines().count == 6 && again.output == whole.output)
    let more = try Lota.run(Self.search.map { $0 == "0.2,0.6" ? "0.2,0.4,0.6" : $0 }, in: directory)
    #expect(more.errors.split(separator: "\n").filter { $0.hasSuffix(", known") }.count == 6)
    #expect(try self.lines().count == 9)
  }

  @Test("tickets are searched and written without a model")
  func adapters() throws {
    let command =
      ["merge", "search", "--method", "task_arithmetic", "--base", "model", "--input", "two=two/adapter"]
      + ["--input", "three=three/adapter", "--weight", "0.5", "--weight", "three=-1,0,1", "--score", "rows.jsonl"]
      + ["--results", "found", "--adapter-out", "both"]
    let result = try Lota.run(command, in: directory)
    try #require(result.code == 0, "\(result.errors)")
    let losses = try lines().compactMap { $0["objective"] as? Double }
    #expect(losses.count == 3)
    expectClose(
      try loss(["--model", "model", "--adapter", "both"], "rows.jsonl"), try #require(losses.min()), absolute: 1e-12)
  }

  @Test("judged by a recipe, the greatest figure wins")
  func recipes() throws {
    try directory.write(
      """
      name: own
      prompt: "{q}"
      completion: "{a}"
      max_tokens: 6
      metrics: [{ score: rouge1 }]
      """, to: "own.yaml")
    try directory.write(#"{"q": "List t1\n", "a": "SELECT name FROM t1"}"# + "\n", to: "d.jsonl")
    let result = try Lota.run(
      ["merge", "search"] + Self.merge + ["--eval", "own.yaml=d.jsonl", "--density", "0.2,1", "--results", "found"],
      in: directory)
    try #require(result.code == 0, "\(result.errors)")
    for (index, density) in ["0.2", "1"].enumerated() {
      try Lota.succeed(
        "merge", "--method", "ties", "--base", "model", "--input", "one/model", "--input", "two/adapter", "--seed", "3",
        "--density", density, "--out", "m\(index)", in: directory)
      let figures =
        try Lota.succeed(
          "eval", "--model", "m\(index)", "--task", "own.yaml=d.jsonl", "--json", in: directory
        ).json()["metrics"] as? [[String: Any]]
      #expect(try lines()[index]["objective"] as? Double == figures?.first?["value"] as? Double)
    }
  }

  @Test("what is wrong shows before anything is merged")
  func refusals() throws {
    func refused(_ arguments: [String], _ mentions: [String]) throws {
      try expectRefusal(arguments, in: directory, mentions: mentions)
    }
    func with(_ old: String, _ new: String) -> [String] { Self.search.map { $0 == old ? new : $0 } }
    try refused(with("0.2,0.6", "0.2,1.6"), ["density is 1.6: use 0 to 1"])
    try refused(with("other.jsonl", "absent.jsonl"), ["absent.jsonl"])
    try refused(with("a=one/model", "a=absent"), ["absent"])
    try refused(Self.search + ["--weight", "c=1,2"], ["no input is called 'c': they are a, b"])
    try refused(Self.search + ["--t", "0,1"], ["ties has no parameter 't'"])
    try refused(Self.search + ["--out", "one"], ["one", "exists"])
    try refused(Self.search + ["--adapter-out", "x"], ["one/model is no LoTA adapter"])
    try Lota.succeed(
      "merge", "search", "--method", "ties", "--base", "model", "--input", "one/model", "--density",
      "0.1,0.2", "--score", "rows.jsonl", "--results", "found", in: directory)
    try refused(Self.search, ["found/search.jsonl", "other inputs, rows or options"])
  }
}
