import Checkpoints
import Experiments
import Foundation
import TestSupport
import Testing

/// Merges as stages of a plan: their commands, what is kept of them, how settings are chosen, and their table.
struct ExperimentMergeTests {
  private static let stages = """
    stages:
      first: {train: a, method: lota}
      second: {train: b, method: lota}
      whole: {train: b, method: fft}

    """

  private func run(_ folder: PlanFolder, _ text: String, _ runner: StandIn) throws -> ExperimentResults {
    var run = try ExperimentRun(
      try folder.plan(ExperimentPlanTests.tasks + text), output: folder("out"), runner: runner)
    return try run.run()
  }

  private func merges(_ runner: StandIn) -> [[String]] { runner.commands.filter { $0.first == "merge" } }

  @Test(
    "what is wrong is named with its line",
    arguments: [
      ("{merge: [first, third], method: ties}", "merges 'third': there is no such stage"),
      ("{merge: [first, m], method: ties}", "merges 'm': it must stand before"),
      ("{merge: [first, first], method: ties}", "merges 'first' twice"),
      ("{merge: [], method: ties}", "merges no stages"),
      ("{merge: first, method: ties}", "merge must be a list"),
      ("{merge: [first, second]}", "no method is named"),
      ("{merge: [first, second], method: magic}", "merges by 'magic': use linear"),
      ("{merge: [first, second], method: slerp, t: 0.5}", "from the base to one other model"),
      ("{merge: [first, second], method: ties, weight-whole: 1}", "weighs 'whole', which it does not merge"),
      ("{merge: [first, second], method: ties, weight-first: much}", "weight-first 'much', which is no number"),
      ("{merge: [first, second], method: ties, density: [0.1, 0.2]}", "density takes one value"),
      ("{merge: [first, second], method: ties, curve: 5}", "leave out 'curve'"),
      ("{merge: [first, second], method: ties, from: first}", "leave out 'from'"),
      ("{merge: [first, second], method: ties, base: x}", "set by the plan itself"),
      ("{merge: [first, over], method: ties}", "belongs to the model that full fine-tuning wrote"),
      ("{merge: [first], train: a, method: ties}", "either 'train: TASK' or 'merge: [STAGES]'"),
    ])
  func wrongMerges(stage: String, reason: String) throws {
    let folder = try PlanFolder()
    let text = Self.stages + "  over: {from: whole, train: a, method: lota}\n  m: \(stage)\n"
    let error = #expect(throws: ExperimentError.self) { _ = try folder.plan(ExperimentPlanTests.tasks + text) }
    let description = error?.description ?? ""
    #expect(description.contains(reason) && description.contains("plan.yaml:10"), "\(description)")
  }

  @Test func choosingNeedsRowsOfAllTasks() throws {
    let folder = try PlanFolder()
    let tasks = ExperimentPlanTests.tasks.replacing("dev: b.dev.jsonl, ", with: "")
    let error = #expect(throws: ExperimentError.self) {
      _ = try folder.plan(
        tasks + Self.stages + "  m: {merge: [first, second], method: ties, density: {choose: [0.1, 0.2]}}\n")
    }
    #expect(error?.description.contains("stage m chooses density, but task b has no 'dev' rows") == true)
  }

  @Test("tickets merge into an adapter, everything else into a model")
  func commands() throws {
    let folder = try PlanFolder()
    let runner = StandIn()
    let results = try run(
      folder,
      Self.stages + """
          sparse: {merge: [first, second], method: task_arithmetic, weight: 0.5}
          dense: {merge: [first, whole], method: ties, density: 0.1, weight-whole: 0.7, normalize: false}
          after: {from: sparse, train: a, method: lora}
          again: {merge: [sparse, second], method: linear, normalize: false}
        """, runner)
    func made(_ name: String) throws -> String {
      let key = try #require(results.records.values.first { $0.stage == name }).key.prefix(12)
      return folder("out/stages/\(name).seed0.\(key)/run")
    }
    let (first, second) = (try made("first") + "/adapter", try made("second") + "/adapter")
    #expect(
      merges(runner).map { $0.dropLast() } == [
        [
          "merge", "--base", folder("base"), "--input", first, "--input", second, "--method=task_arithmetic",
          "--weight=0.5", "--seed", "0", "--json", "--adapter-out",
        ],
        [
          "merge", "--base", folder("base"), "--input", first, "--input", try made("whole") + "/model:0.7",
          "--density=0.1", "--method=ties", "--normalize=false", "--seed", "0", "--json", "--out",
        ],
        [
          "merge", "--base", folder("base"), "--input", try made("sparse") + "/adapter", "--input", second,
          "--method=linear", "--normalize=false", "--seed", "0", "--json", "--out",
        ],
      ])
    let after = try #require(runner.commands.last { $0.first == "train" })
    #expect(StandIn.value("--model", after) == folder("base"))
    #expect(StandIn.values("--adapter", after) == [try made("sparse") + "/adapter"])
    let records = results.records.values.filter { ["sparse", "dense"].contains($0.stage) }
      .sorted { $0.stage > $1.stage }
    #expect(records.map(\.made) == [.adapter, .model] && records.map(\.seconds) == [0.5, 4])
    #expect(records.map(\.peakMemoryBytes) == [4, 8] && records.map(\.bytes) == [7, 7])
    #expect(records.map(\.trained) == [6, nil])
    // Every task is scored after every stage, merges too.
    #expect(results.scores.count == 8 && results.scores.allSatisfy { $0.tasks.count == 2 })
  }

  @Test("a merge runs again when an option or a stage that it merges has changed, and only then")
  func onlyWhatChanged() throws {
    let folder = try PlanFolder()
    let text =
      Self.stages + """
          m: {merge: [first, whole], method: ties, density: 0.1}
          n: {merge: [first, second], method: ties}
        """
    _ = try run(folder, text, StandIn())
    let again = StandIn()
    _ = try run(folder, text, again)
    #expect(again.commands.isEmpty)
    let option = StandIn()
    _ = try run(folder, text.replacing("density: 0.1", with: "density: 0.2"), option)
    #expect(merges(option).map { StandIn.value("--density", $0) } == ["0.2"])
    #expect(option.commands.count { $0.first == "train" } == 0)
    let input = StandIn()
    _ = try run(folder, text.replacing("method: fft", with: "learning-rate: 1e-4, method: fft"), input)
    #expect(merges(input).map { StandIn.values("--input", $0).count } == [2])
    #expect(merges(input).allSatisfy { StandIn.value("--density", $0) == "0.1" })
  }

  @Test("variants of what is merged multiply where they fit together")
  func variants() throws {
    let folder = try PlanFolder()
    let plan = try folder.plan(
      ExperimentPlanTests.tasks + """
        seeds: [0, 1]
        stages:
          s: {train: a, sparsity: {vary: [0.9, 0.99]}}
          t: {from: s, train: b}
          u: {train: b, rank: {vary: [1, 2]}}
          m: {merge: [s, t], method: ties}
          n: {merge: [s, u], method: {vary: [ties, della]}}
        """)
    let graph = StageGraph(plan)
    let labels = graph.instances.filter { $0.seed == 1 && !$0.inputs.isEmpty }.map(\.label)
    #expect(
      labels == ["m[sparsity=0.9]", "m[sparsity=0.99]"]
        + ["0.9", "0.99"].flatMap { sparsity in
          ["1", "2"].flatMap { rank in
            ["ties", "della"].map { "n[sparsity=\(sparsity),rank=\(rank),method=\($0)]" }
          }
        })
    for instance in graph.instances where !instance.inputs.isEmpty {
      #expect(instance.inputs.allSatisfy { graph.instances[$0].seed == instance.seed })
    }
    #expect(plan.tasks(of: try #require(plan.stage("n"))) == ["a", "b"])
  }

  @Test("the least mean of the tasks' development losses decides, with the first seed; losers leave no model")
  func choice() throws {
    let folder = try PlanFolder()
    let runner = StandIn()
    // 0.1: 1 and 4; 0.2: 2 and 2; 0.3: 3 and 3.
    runner.loss = { arguments, file in
      guard let model = StandIn.value("--model", arguments), let command = Self.command(of: model, runner) else {
        return 9
      }
      let losses = ["0.1": (1.0, 4.0), "0.2": (2, 2), "0.3": (3, 3)][StandIn.value("--density", command) ?? ""]
      return file.contains("/a.") ? losses?.0 ?? 9 : losses?.1 ?? 9
    }
    let text =
      "seeds: [0, 1]\n" + Self.stages
      + "  m: {merge: [first, whole], method: ties, density: {choose: [0.1, 0.2, 0.3]}}\n"
    let results = try run(folder, text, runner)
    #expect(merges(runner).map { StandIn.value("--density", $0) } == ["0.1", "0.2", "0.3", "0.2"])
    #expect(results.candidates.map(\.loss) == [2.5, 2, 3])
    #expect(results.records.values.filter { $0.stage == "m" }.allSatisfy { $0.chosen == ["density": "0.2"] })
    let models = try FileSystem.contents(of: folder("out/stages")).filter {
      $0.hasPrefix("m.") && FileSystem.exists(folder("out/stages/\($0)/run/model"))
    }
    #expect(models.count == 2)
    // What lost is known, and is not made again.
    let again = StandIn()
    again.loss = runner.loss
    #expect(try run(folder, text, again).candidates.map(\.loss) == [2.5, 2, 3])
    #expect(again.commands.isEmpty)
    // Chosen outright it is.
    let other = StandIn()
    _ = try run(folder, text.replacing("{choose: [0.1, 0.2, 0.3]}", with: "0.3"), other)
    #expect(merges(other).map { StandIn.value("--density", $0) } == ["0.3", "0.3"])
  }

  /// The merge that made a model, by the place in its path; the stand-in sees directories under their temporary names first.
  private static func command(of model: String, _ runner: StandIn) -> [String]? {
    let stage = model.split(separator: "/").dropLast(2).last?.split(separator: ".") ?? []
    return runner.commands.last { command in
      command.first == "merge"
        && (StandIn.value("--out", command) ?? "").contains(stage.prefix(3).joined(separator: "."))
    }
  }

  @Test("alone, merged and by how much worse, over two seeds")
  func table() throws {
    let folder = try PlanFolder()
    let runner = StandIn()
    // Alone 1 and 2; merged 1.25 and 1.75 (a), 2.5 and 3 (b), by seed.
    runner.loss = { arguments, file in
      let model = (StandIn.values("--adapter", arguments) + StandIn.values("--model", arguments)).joined()
      let isFirst = file.contains("/a.")
      guard model.contains("/m.") else { return isFirst ? 1 : 2 }
      return (isFirst ? 1.25 : 2.5) + (model.contains("seed1") ? 0.5 : 0)
    }
    let results = try run(
      folder,
      "seeds: [0, 1]\n" + Self.stages + "  m: {merge: [first, whole], method: ties, density: 0.1, normalize: true}\n",
      runner)
    let outcome = try #require(MergeOutcome.all(results, .loss).first)
    #expect(outcome.tasks.map(\.name) == ["a", "b"])
    #expect(outcome.tasks.map { $0.alone.values } == [[1, 1], [2, 2]])
    #expect(outcome.tasks.map { $0.merged.values } == [[1.25, 1.75], [2.5, 3]])
    #expect(outcome.tasks.map { $0.drop.values } == [[0.25, 0.75], [0.5, 1]])
    #expect(outcome.mean.values == [1.875, 2.375] && outcome.meanDrop.values == [0.375, 0.875])
    #expect(MergeOutcome.all(results, .metric).isEmpty)

    try ExperimentReport(results).write(to: folder("out"))
    let tables = try String(decoding: FileSystem.read(folder("out/results.md")), as: UTF8.self)
    #expect(
      tables.contains("| Merge | Of | By | a alone | a merged | Drop | b alone | b merged | Drop | Mean | Mean drop |"))
    let row =
      "| m | a lota + b fft | ties, density 0.1, normalize true | 1.0000 ± 0.0000 | 1.5000 ± 3.1765 | +0.5000 ± 3.1765 |"
    #expect(tables.contains(row), "\(tables)")
    #expect(!tables.contains("Retention, m:") && tables.contains("Retention, whole: held-out loss"))
  }
}
