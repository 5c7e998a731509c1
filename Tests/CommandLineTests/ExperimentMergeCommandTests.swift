import Checkpoints
import Foundation
import TestSupport
import Testing
import Tickets

/// Merges within a plan, by real commands on the tiny model.
struct ExperimentMergeCommandTests {
  private static let plan = """
    tasks:
      sql: {train: sql.train.jsonl, dev: sql.dev.jsonl, test: sql.test.jsonl}
      sorting: {train: sorting.train.jsonl, dev: sorting.dev.jsonl, test: sorting.test.jsonl}
    train: {batch-size: 4, steps: 3, learning-rate: 1e-3}
    stages:
      a-fft: {train: sql, method: fft}
      a-lota: {train: sql, calibration-steps: 2}
      b-lota: {train: sorting, calibration-steps: 2}
      b-lora: {train: sorting, method: lora, rank: 2}
      b-lotto: {from: a-lota, train: sorting, calibration-steps: 2}
      both: {merge: [a-lota, b-lota], method: ties}
      turns: {merge: [b-lotto, a-lota], method: task_arithmetic}
      mixed:
        merge: [a-fft, b-lota]
        method: ties
        density: {choose: [0.1, 0.5]}
        weight-b-lota: {choose: [0.5, 1]}
      low: {merge: [a-lota, b-lora], method: task_arithmetic, weight: 0.5}
      nested: {merge: [both, a-fft], method: linear}
      further: {from: both, train: sql, method: lora, rank: 2}

    """

  private static func workspace() throws -> Workspace {
    let workspace = try Workspace()
    for task in ["sql", "sorting"] {
      try Lota.succeed(
        "data", "generate", task, "--train", "12", "--dev", "4", "--test", "4", "--out", "rows",
        in: workspace.directory)
    }
    return workspace
  }

  private func record(_ stage: String, in directory: TemporaryDirectory) throws -> (path: String, values: [String: Any])
  {
    let names = try FileSystem.contents(of: directory.file("out/stages")).filter { $0.hasPrefix(stage + ".seed0.") }
      .filter { directory.exists("out/stages/\($0)/run") }
    let path = "out/stages/\(try #require(names.first))"
    #expect(names.count == 1)
    let record = try JSONSerialization.jsonObject(with: try directory.contents(path + "/record.json"))
    return (path, try #require(record as? [String: Any]))
  }

  @Test("tickets, models and low-rank adapters, chosen numbers, and nothing done twice")
  func merges() throws {
    let directory = try Self.workspace().directory
    try directory.write(Self.plan, to: "plan.yaml")
    let command = ["experiment", "plan.yaml", "--model", "model", "--data", "rows", "--out", "out"]
    let first = try Lota.run(command, in: directory)
    try #require(first.code == 0, "\(first.errors)")
    for (stage, made) in [
      ("both", "adapter"), ("turns", "adapter"), ("mixed", "model"), ("low", "model"), ("nested", "model"),
    ] {
      let (path, record) = try record(stage, in: directory)
      #expect(record["made"] as? String == made && directory.exists("\(path)/run/\(made)"), "\(stage)")
      #expect((record["peakMemoryBytes"] as? Int ?? 0) > 0 && (record["bytes"] as? Int ?? 0) > 0)
      #expect((record["seconds"] as? Double ?? 0) > 0)
    }
    // Tickets trained in turns are disjoint: their sum is the model that the last of them left, to the bit.
    let scores = try score(
      ["turns", "b-lotto"].map { stage in
        let (path, _) = try record(stage, in: directory)
        return stage == "turns" ? [path] : [try record("a-lota", in: directory).path, path]
      }, in: directory)
    #expect(scores[0] == scores[1] && !scores[0].isEmpty)
    // The numbers are those with the least mean of both tasks' development losses.
    let tables = try directory.text("out/results.md")
    #expect(tables.components(separatedBy: "| mixed | density ").count == 5)
    #expect(tables.contains("## Merges: held-out loss") && tables.contains("| both | sql lota + sorting lota | ties |"))

    let again = try Lota.run(command, in: directory)
    #expect(
      again.code == 0
        && again.errors.split(separator: "\n").allSatisfy {
          $0.hasSuffix(": unchanged") || $0.contains(": density ") || $0.contains(": weight-b-lota ")
        }, "\(again.errors)")
    #expect(try directory.text("out/results.md") == tables)
  }

  private func score(_ stages: [[String]], in directory: TemporaryDirectory) throws -> [String] {
    try stages.map { paths in
      let result = try Lota.run(
        ["score", "--model", "model", "--data", "rows/sorting.test.jsonl", "--json"]
          + paths.flatMap { ["--adapter", "\($0)/run/adapter"] }, in: directory)
      return result.output
    }
  }

  @Test func refusals() throws {
    let directory = try Self.workspace().directory
    func refused(_ stage: String, _ mentions: [String]) throws {
      try directory.write(Self.plan + "  m: {merge: [a-fft, b-lota], \(stage)}\n", to: "plan.yaml")
      try expectRefusal(
        ["experiment", "plan.yaml", "--model", "model", "--data", "rows", "--out", "out"], in: directory,
        mentions: ["plan.yaml:21", "stage m"] + mentions)
    }
    try refused("method: ties, density: much", ["much"])
    try refused("method: ties, colour: red", ["colour"])
    try refused("method: magic", ["magic"])
    try refused("method: ties, weight-a-lota: 1", ["a-lota"])
  }
}
