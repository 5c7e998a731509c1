import Checkpoints
import Experiments
import Foundation
import TestSupport
import Testing

/// Figures of a finished plan, worked out by hand from the stand-in's losses.
struct ExperimentResultTests {
  private func results(_ folder: PlanFolder) throws -> ExperimentResults {
    let runner = StandIn()
    // a: 2 before, 1 after its stage, 1.25 and 1.5 after b's; b: 3, 2.9, 1.
    runner.loss = { arguments, file in
      let isSecond =
        (StandIn.value("--data", arguments) ?? "").contains("b.train")
        || StandIn.value("--model", arguments)?.contains("second") == true
      let isFirst =
        (StandIn.value("--data", arguments) ?? "").contains("a.train")
        || StandIn.value("--model", arguments)?.contains("first") == true
      let seed =
        Double(StandIn.value("--seed", arguments) ?? "")
        ?? ((StandIn.value("--model", arguments) ?? "").contains("seed1") ? 1 : 0)
      if file.contains("/a.") { return isSecond ? 1.25 + 0.25 * seed : isFirst ? 1 : 2 }
      return isSecond ? 1 : isFirst ? 2.9 : 3
    }
    let plan = try folder.plan(
      ExperimentPlanTests.tasks + """
        seeds: [0, 1]
        curve: 5
        stages:
          first: {train: a, method: fft}
          second: {from: first, train: b, method: fft}
        table:
          - {title: both, first: first, second: second}
        """)
    var run = try ExperimentRun(plan, output: folder("out"), runner: runner)
    return try run.run()
  }

  @Test func retentionMatrix() throws {
    let folder = try PlanFolder()
    let matrix = Retention(try results(folder), leaf: "second", measure: .loss)
    #expect(matrix.rows.map(\.stage) == [nil, "first", "second"])
    #expect(matrix.rows.map { $0.values["a"]?.mean } == [2, 1, 1.375])
    #expect(matrix.rows.map { $0.values["b"]?.mean } == [3, 2.9, 1])
    #expect(matrix.rows.map { $0.drops["a"]?.values } == [nil, nil, [0.25, 0.5]])
    #expect(matrix.rows.allSatisfy { $0.drops["b"] == nil })
  }

  @Test("Student's interval of two and three values, from tables")
  func seedIntervals() throws {
    #expect(SeedFigure([]) == nil)
    #expect(try #require(SeedFigure([5])).halfWidth == nil)
    // Mean 0.375, deviation 0.17678: 12.706 * 0.17678 / sqrt 2 = 1.58825.
    expectClose(try #require(SeedFigure([0.25, 0.5])?.halfWidth), 1.58825, absolute: 1e-5)
    // Deviation 1: 4.303 / sqrt 3.
    expectClose(try #require(SeedFigure([1, 2, 3])?.halfWidth), 2.48434, absolute: 1e-4)
  }

  @Test("a loss between two scores is read off the line between them")
  func equalUtility() throws {
    let folder = try PlanFolder()
    let comparison = EqualUtility(try results(folder))
    let sequence = try #require(comparison.sequences.first)
    // Steps 0, 5 and 10; the stand-in adds 0.5 at step 5.
    #expect(sequence.paths[0].map(\.second) == [2.9, 1.5, 1])
    #expect(sequence.paths[0].map(\.first) == [1, 1.75, 1.25])
    #expect(comparison.levels.last == 1)
    let found = try #require(sequence.firstLoss(at: 1.25))
    expectClose(found.loss, 1.5, absolute: 1e-12)
    expectClose(found.rise, 0.5, absolute: 1e-12)
    #expect(sequence.firstLoss(at: 0.5) == nil)
  }

  @Test func pages() throws {
    let folder = try PlanFolder()
    let path = try ExperimentReport(try results(folder)).write(to: folder("out"))
    let page = try String(decoding: FileSystem.read(path), as: UTF8.self)
    for text in ["<svg", "Retention, second", "1.3750 ± 1.5882", "At equal utility"] { #expect(page.contains(text)) }
    let tables = try String(decoding: FileSystem.read(folder("out/results.md")), as: UTF8.self)
    #expect(
      tables.contains("| both | fft | fft | 1.3750 ± 1.5882 | +0.3750 ± 1.5882 | 1.0000 ± 0.0000 | - |"), "\(tables)")
  }
}
