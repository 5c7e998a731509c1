import Checkpoints
import Experiments
import Foundation
import TestSupport
import Testing

/// Stages run once, in order, with the right commands; what is finished is used again, and only where nothing changed.
struct ExperimentRunTests {
  static let plan =
    ExperimentPlanTests.tasks + """
      seeds: [0, 1]
      stages:
        first: {train: a, method: lota}
        second: {from: first, train: b, method: lota}
        whole: {from: first, train: b, method: fft, replay: [a]}
        after: {from: whole, train: a, method: lora}
      table:
        - {title: both sparse, first: first, second: second}
      """

  private func run(_ folder: PlanFolder, _ plan: ExperimentPlan, _ runner: StandIn) throws -> ExperimentResults {
    var run = try ExperimentRun(plan, output: folder("out"), runner: runner)
    return try run.run()
  }

  private func trainings(_ runner: StandIn) -> [[String]] { runner.commands.filter { $0.first == "train" } }

  @Test func commandsOfASequence() throws {
    let folder = try PlanFolder()
    let runner = StandIn()
    let results = try run(folder, try folder.plan(Self.plan), runner)
    let commands = trainings(runner).prefix(4)
    func stage(_ name: String) throws -> String {
      let key = try #require(results.records.values.first { $0.stage == name && $0.seed == 0 }).key.prefix(12)
      return folder("out/stages/\(name).seed0.\(key)/run")
    }
    #expect(
      commands.map { StandIn.values("--adapter", $0) } == [
        [], [try stage("first") + "/adapter"],
        [try stage("first") + "/adapter"], [],
      ])
    #expect(
      commands.map { StandIn.value("--model", $0) } == [
        folder("base"), folder("base"), folder("base"), try stage("whole") + "/model",
      ])
    #expect(commands.map { StandIn.value("--data", $0) } == ["a", "b", "b", "a"].map { folder("\($0).train.jsonl") })
    #expect(commands.map { StandIn.values("--replay", $0) } == [[], [], [folder("a.train.jsonl")], []])
    #expect(
      trainings(runner).map { StandIn.value("--seed", $0) } == Array(repeating: "0", count: 4)
        + Array(repeating: "1", count: 4))
    // The base, and four stages of two seeds, on the rows of two tasks.
    #expect(runner.commands.count { $0.first == "score" } == 18)
    let record = try #require(results.records[0])
    #expect(record.seconds == 2 && record.peakMemoryBytes == 7 && record.bytes == 5 && record.made == .adapter)
  }

  @Test("a second run of the same plan runs nothing; a changed stage runs with what comes after it")
  func onlyWhatChanged() throws {
    let folder = try PlanFolder()
    _ = try run(folder, try folder.plan(Self.plan), StandIn())
    let again = StandIn()
    _ = try run(folder, try folder.plan(Self.plan), again)
    #expect(again.commands.isEmpty)
    let changed = StandIn()
    _ = try run(
      folder, try folder.plan(Self.plan.replacing("method: fft", with: "learning-rate: 1e-4, method: fft")), changed)
    #expect(trainings(changed).map { StandIn.value("--method", $0) } == ["fft", "lora", "fft", "lora"])
    // A file of rows that changes concerns all that read it.
    try folder.write("other\n", "b.train.jsonl")
    let rows = StandIn()
    _ = try run(folder, try folder.plan(Self.plan), rows)
    #expect(trainings(rows).map { StandIn.value("--method", $0) } == ["lota", "fft", "lora", "lota", "fft", "lora"])
    #expect(
      trainings(rows).allSatisfy { StandIn.value("--data", $0) != folder("a.train.jsonl") || $0.contains("lora") })
  }

  @Test func goesOnAfterAFailure() throws {
    let folder = try PlanFolder()
    let first = StandIn()
    // Two scores of the base, a stage, and two scores of it come before.
    first.failing = 6
    let error = #expect(throws: ExperimentError.self) { try run(folder, try folder.plan(Self.plan), first) }
    #expect(error?.description.contains("stage second failed with status 1: Error: out of luck") == true)
    #expect(try FileSystem.contents(of: folder("out/stages")).filter { !$0.hasPrefix(".") }.count == 1)
    let second = StandIn()
    _ = try run(folder, try folder.plan(Self.plan), second)
    #expect(trainings(second).count == 7)
    #expect(StandIn.value("--data", second.commands[0]) == folder("b.train.jsonl"))
    // In the same directory, where what it needs to go on may lie.
    #expect(second.commands[0] == first.commands[5] && second.commands[0].contains("--resume"))
    #expect(try !FileSystem.contents(of: folder("out/stages")).contains { $0.hasPrefix(".") })
  }

  @Test("the user's interruption is no failure, and what a stage has left is there for the next run")
  func interruption() throws {
    let folder = try PlanFolder()
    let first = StandIn()
    first.interrupted = 6
    #expect(throws: ExperimentError.interrupted(name: "second")) {
      try run(folder, try folder.plan(Self.plan), first)
    }
    #expect(try !FileSystem.contents(of: folder("out")).contains { $0.hasSuffix(".failed.txt") })
    let out = try #require(StandIn.value("--out", first.commands[5]))
    try FileSystem.createDirectory(out)
    try folder.write("kept", String(out.dropFirst(folder.path.utf8.count + 1)) + "/checkpoint")
    // Of a stage that the plan has no more.
    try FileSystem.createDirectory(folder("out/stages/.old.seed0.0123"))
    let second = StandIn()
    let results = try run(folder, try folder.plan(Self.plan), second)
    let key = try #require(results.records[1]).key.prefix(12)
    #expect(FileSystem.exists(folder("out/stages/second.seed0.\(key)/run/checkpoint")))
    #expect(try !FileSystem.contents(of: folder("out/stages")).contains { $0.hasPrefix(".") })
  }

  @Test("the least development loss decides, with the first seed alone")
  func choice() throws {
    let folder = try PlanFolder()
    let runner = StandIn()
    runner.loss = { arguments, _ in
      ["1e-5": 3, "3e-5": 1, "1e-4": 2][StandIn.value("--learning-rate", arguments) ?? ""] ?? 9
    }
    let plan = try folder.plan(
      ExperimentPlanTests.tasks + """
        seeds: [0, 1]
        stages:
          s: {train: a, learning-rate: {choose: [1e-5, 3e-5, 1e-4]}}
          t: {from: s, train: b, learning-rate: 1e-4}
        """)
    let results = try run(folder, plan, runner)
    #expect(
      trainings(runner).map { StandIn.value("--learning-rate", $0) } == [
        "1e-5", "3e-5", "1e-4", "1e-4", "3e-5", "1e-4",
      ])
    #expect(
      results.records.values.filter { $0.stage == "s" }.map(\.chosen) == [
        ["learning-rate": "3e-5"], ["learning-rate": "3e-5"],
      ])
    #expect(results.candidates.map { $0.record.finalLoss(of: "a") } == [3, 1, 2])
  }

  @Test func optionsAreCheckedFirst() throws {
    let folder = try PlanFolder()
    struct Unknown: Error, CustomStringConvertible { let description = "Unknown option '--colour'" }
    let plan = try folder.plan(ExperimentPlanTests.tasks + "stages: {s: {train: a}, t: {train: b, colour: red}}")
    let error = #expect(throws: ExperimentError.self) {
      try plan.checkOptions(path: "plan.yaml") { arguments in
        if arguments.contains("--colour") { throw Unknown() }
      }
    }
    #expect(error?.description == "plan.yaml:5: stage t: Unknown option '--colour'")
  }

  @Test func oneRunAtATime() throws {
    let folder = try PlanFolder()
    let plan = try folder.plan(Self.plan)
    let first = try ExperimentRun(plan, output: folder("out"), runner: StandIn())
    _ = withExtendedLifetime(first) {
      #expect(throws: ExperimentError.busy(path: folder("out"))) {
        _ = try ExperimentRun(plan, output: folder("out"), runner: StandIn())
      }
    }
  }

  @Test("a process that is running gets SIGTERM; none is begun after") func interruptedProcess() throws {
    let folder = try PlanFolder()
    let stop = folder("stop")
    let shell = ProcessRunner(executable: "/bin/sh") { FileSystem.exists(stop) }
    let command = ["-c", "trap 'echo saved >&2; exit 1' TERM; echo begun >&2; while :; do sleep 0.05; done"]
    #expect(throws: CommandInterruption.self) {
      try shell.run(command, log: folder("log"), progress: { _ in try? folder.write("", "stop") })
    }
    #expect(try String(decoding: FileSystem.read(folder("log")), as: UTF8.self) == "begun\nsaved\n")
    #expect(throws: CommandInterruption.self) {
      try shell.run(["-c", "touch \(folder("touched"))"], log: folder("log"), progress: { _ in })
    }
    #expect(!FileSystem.exists(folder("touched")))
  }

  @Test func processes() throws {
    let folder = try PlanFolder()
    let shell = ProcessRunner(executable: "/bin/sh")
    var lines: [String] = []
    let output = try shell.run(
      ["-c", "echo result; echo first >&2; echo last >&2; exit 3"], log: folder("log"), progress: { lines.append($0) })
    #expect(output == CommandOutput(text: "result\n", status: 3, lastLine: "last"))
    #expect(lines == ["first", "last"])
    #expect(try String(decoding: FileSystem.read(folder("log")), as: UTF8.self) == "first\nlast\n")
  }
}
