import Experiments
import Foundation
import Testing

/// Plans are read whole, and what is wrong with one is said with its line before anything runs.
struct ExperimentPlanTests {
  static let tasks = """
    model: base
    tasks:
      a: {train: a.train.jsonl, dev: a.dev.jsonl, test: a.test.jsonl}
      b: {train: b.train.jsonl, dev: b.dev.jsonl, test: b.test.jsonl}

    """

  @Test func wholePlan() throws {
    let folder = try PlanFolder()
    let plan = try folder.plan(
      Self.tasks + """
        name: two
        seeds: [3, 4]
        train: {batch-size: 16, recompute: true, no-shuffle: false}
        curve: 5
        stages:
          first: {train: a, method: fft, learning-rate: 1e-5}
          second:
            from: first
            train: b
            learning-rate: {choose: [1e-5, 3e-5]}
            replay: [a]
            batch-size: 8
        table:
          - {title: one then other, first: first, second: second}
        """)
    #expect(plan.name == "two" && plan.seeds == [3, 4] && plan.curveInterval == 5)
    #expect(plan.model == folder("base"))
    #expect(plan.task("a")?.development == folder("a.dev.jsonl"))
    let second = try #require(plan.stage("second"))
    #expect(second.from == "first" && second.task == "b")
    #expect(
      second.settings == [
        .init(name: "learning-rate", value: .choose(["1e-5", "3e-5"])), .init(name: "replay", value: .fixed(["a"])),
        .init(name: "batch-size", value: .fixed(["8"])),
      ])
    #expect(plan.training.map(\.value) == [.fixed(["16"]), .fixed([]), .off])
    #expect(plan.table == [.init(title: "one then other", first: "first", second: "second")])
  }

  @Test(
    "what is wrong is named",
    arguments: [
      ("stages: {}", "stages is empty"),
      ("stages: {s: {train: c}}", "the tasks are a, b"),
      ("stages: {s: {from: t, train: a}}", "there is no such stage"),
      ("stages: {s: {from: t, train: a}, t: {train: a}}", "must stand before"),
      ("stages: {s: {train: a, model: m}}", "set by the plan itself"),
      ("stages: {s: {method: fft}}", "either 'train: TASK'"),
      ("stages: {s: {train: a, learning-rate: {vary: [1e-5]}}}", "at least two values"),
      ("stages: {s: {train: a, learning-rate: {vary: [1, 1]}}}", "none twice"),
      ("stages: {s: {train: a, learning-rate: {pick: [1, 2]}}}", "unknown key 'pick'"),
      ("stages: {s: {train: a}, s: {train: b}}", "duplicate"),
      ("stages: {s: {train: a, replay: x}}", "no task with rows"),
      ("stages: {s/t: {train: a}}", "may hold letters"),
      ("seeds: [0, 0]\nstages: {s: {train: a}}", "a number twice"),
      ("seeds: [-1]\nstages: {s: {train: a}}", "whole number"),
      ("stages: {s: {train: a}}\ntable: [{first: s, second: t}]", "no stage 't'"),
      ("stages: {s: {train: a}, t: {train: b}}\ntable: [{first: s, second: t}]", "does not go on from"),
      ("stages: [", "not valid YAML"),
      ("colour: red", "unknown key 'colour'"),
    ])
  func wrongPlans(text: String, reason: String) throws {
    let folder = try PlanFolder()
    let error = #expect(throws: ExperimentError.self) { _ = try folder.plan(Self.tasks + text) }
    let description = error?.description ?? ""
    #expect(description.contains(reason) && description.contains("plan.yaml:"), "\(description)")
  }

  @Test func missingFile() throws {
    let folder = try PlanFolder()
    try FileManager.default.removeItem(atPath: folder("b.test.jsonl"))
    let error = #expect(throws: ExperimentError.self) { _ = try folder.plan(Self.tasks + "stages: {s: {train: a}}") }
    #expect(error == .missingFile(path: folder("b.test.jsonl"), plan: folder("plan.yaml")))
  }

  @Test("values that vary multiply, also for the stages after them")
  func expansion() throws {
    let folder = try PlanFolder()
    let plan = try folder.plan(
      Self.tasks + """
        seeds: [0, 1]
        stages:
          s: {train: a, sparsity: {vary: [0.9, 0.99]}}
          t: {from: s, train: b, learning-rate: {vary: [1e-5, 1e-4]}}
          u: {train: b}
        """)
    let graph = StageGraph(plan)
    let labels = graph.instances.filter { $0.seed == 1 }.map(\.label)
    #expect(
      labels == [
        "s[sparsity=0.9]", "s[sparsity=0.99]", "t[sparsity=0.9,learning-rate=1e-5]",
        "t[sparsity=0.9,learning-rate=1e-4]", "t[sparsity=0.99,learning-rate=1e-5]",
        "t[sparsity=0.99,learning-rate=1e-4]", "u",
      ])
    #expect(graph.instances.count == 14)
    #expect(
      graph.chain(to: 5).map { graph.instances[$0].label } == [
        "s[sparsity=0.99]", "t[sparsity=0.99,learning-rate=1e-4]",
      ])
  }
}
