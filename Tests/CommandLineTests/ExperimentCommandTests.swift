import Checkpoints
import Foundation
import Testing
import Tickets

/// `lota experiment`, the shipped plans, and the rows made for them.
struct ExperimentCommandTests {
  private static let plans = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Examples/plans").path

  /// The tiny model, and rows of every made task, also under the names that the plans for users' own data have.
  private static func workspace() throws -> Workspace {
    let workspace = try Workspace()
    let directory = workspace.directory
    let tasks = ["sql", "arithmetic", "reversal", "sorting", "counting", "refusals", "compliance"]
    for task in tasks {
      try Lota.succeed(
        "data", "generate", task, "--train", "12", "--dev", "4", "--test", "4", "--out", "rows", in: directory)
    }
    for (task, name) in zip(tasks, ["a", "b", "c", "d", "e"]) + [("sql", "benign")] {
      for part in ["train", "dev", "test"] {
        try directory.copy("rows/\(task).\(part).jsonl", to: "rows/\(name).\(part).jsonl")
      }
    }
    return workspace
  }

  @Test("every shipped plan is read, and its options are lota's")
  func shippedPlans() throws {
    let workspace = try Self.workspace()
    for folder in [Self.plans, Self.plans + "/small"] {
      let names = try FileSystem.contents(of: folder).filter { $0.hasSuffix(".yaml") }
      #expect(names.count == 6)
      for name in names {
        let result = try Lota.run(
          ["experiment", folder + "/" + name, "--model", "model", "--data", "rows", "--list"], in: workspace.directory)
        #expect(result.code == 0 && result.output.contains("seed 0  from base"), "\(name): \(result.errors)")
      }
    }
  }

  @Test("five disjoint tickets, a table, and nothing done twice")
  func chain() throws {
    let workspace = try Self.workspace()
    let directory = workspace.directory
    let text = try String(contentsOfFile: Self.plans + "/small/five-tasks.yaml", encoding: .utf8)
    try directory.write(
      text.replacing("steps: 10, calibration-steps: 10", with: "steps: 2, calibration-steps: 2"), to: "plan.yaml")
    let command = ["experiment", "plan.yaml", "--model", "model", "--data", "rows", "--out", "out"]
    let first = try Lota.run(command, in: directory)
    try #require(first.code == 0, "\(first.errors)")
    let stages = try FileSystem.contents(of: directory.file("out/stages"))
    let masks = try stages.map { try Mask(path: directory.file("out/stages/\($0)/run/mask.safetensors")) }
    #expect(masks.count == 5)
    for (index, mask) in masks.enumerated() {
      #expect(mask.keptCount > 0)
      for other in masks[..<index] { #expect(mask.sharedCount(with: other) == 0) }
    }
    let tables = try directory.text("out/results.md")
    #expect(tables.contains("## Retention, counting: held-out loss") && tables.contains("## Overlap of tickets"))
    #expect(try directory.text("out/report.html").contains("<svg"))

    let again = try Lota.run(command, in: directory)
    #expect(again.code == 0 && again.errors.split(separator: "\n").allSatisfy { $0.hasSuffix(": unchanged") })
    #expect(try directory.text("out/results.md") == tables)
    // A stage that is gone is made again, the same; those after it stand.
    let lost = try #require(stages.first { $0.hasPrefix("sorting.") })
    try directory.remove("out/stages/" + lost)
    let mended = try Lota.run(command, in: directory)
    #expect(mended.errors.contains("[4 of 5] sorting") && mended.errors.contains("counting, seed 0: unchanged"))
    #expect(try FileSystem.contents(of: directory.file("out/stages")).sorted() == stages.sorted())
  }

  @Test("Ctrl-C ends the step and saves; the same command goes on, to the same bytes")
  func interrupted() throws {
    let workspace = try Self.workspace()
    let directory = workspace.directory
    try directory.write(
      """
      tasks: {sql: {train: sql.train.jsonl, test: sql.test.jsonl}}
      stages: {s: {train: sql, steps: 300, calibration-steps: 2, batch-size: 2, learning-rate: 1e-3}}
      """, to: "plan.yaml")
    let command = ["experiment", "plan.yaml", "--model", "model", "--data", "rows", "--out"]
    func stages(_ out: String) throws -> [String] { try FileSystem.contents(of: directory.file("\(out)/stages")) }
    #expect(try Lota.run(command + ["whole"], in: directory).code == 0)

    let process = try Lota.start(command + ["out"], in: directory)
    func isUnderway() -> Bool {
      guard let stage = try? stages("out").first else { return false }
      return (try? directory.text("out/stages/\(stage)/run/metrics.jsonl"))?.contains("adaptation") == true
    }
    while process.isRunning, !isUnderway() { usleep(2000) }
    process.signal(SIGINT)
    let stopped = try process.finish()
    #expect(stopped.code == 1 && stopped.errors.contains("Error: stopped in stage s: the same command goes on"))

    let resumed = try Lota.run(command + ["out"], in: directory)
    #expect(resumed.code == 0, "\(resumed.errors)")
    let stage = try #require(try stages("out").first)
    #expect(try stages("out") == stages("whole") && stage.hasPrefix("s.seed0."))
    #expect(try directory.text("out/stages/\(stage)/log.txt").contains("note: going on after step "))
    for name in try FileSystem.contents(of: directory.file("whole/stages/\(stage)/run/adapter")) {
      let file = "stages/\(stage)/run/adapter/\(name)"
      #expect(try directory.contents("out/" + file) == directory.contents("whole/" + file), "\(name)")
    }
  }

  @Test func refusals() throws {
    let workspace = try Self.workspace()
    let directory = workspace.directory
    let tasks = "tasks: {sql: {train: sql.train.jsonl, test: sql.test.jsonl}}\n"
    func refused(_ stages: String, _ mentions: [String]) throws {
      try directory.write(tasks + "stages: {s: {train: sql, \(stages)}}\n", to: "plan.yaml")
      try expectRefusal(
        ["experiment", "plan.yaml", "--model", "model", "--data", "rows", "--out", "out"], in: directory,
        mentions: ["plan.yaml", "stage s"] + mentions)
    }
    try refused("colour: red", ["colour"])
    try refused("method: magic", ["magic"])
    try refused("learning-rate: {choose: [1e-3, 1e-4]}", ["no 'dev' rows"])
    try expectRefusal(
      ["experiment", "absent.yaml", "--out", "out"], in: directory, mentions: ["absent.yaml", "no such file"])
  }
}
