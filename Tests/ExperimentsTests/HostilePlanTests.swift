import Experiments
import Foundation
import TestSupport
import Testing

/// Plans of a few lines that stand for very much: each is refused in little time.
struct HostilePlanTests {
  private func refusal(_ text: String) throws -> String {
    let folder = try PlanFolder()
    let error = try expectEnds { try #require(throws: ExperimentError.self) { try folder.plan(text) } }
    return "\(error)"
  }

  @Test func variedValuesAreCountedBeforeRuns() throws {
    let settings = (0..<12).map { "    s\($0): {vary: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}\n" }.joined()
    let found = try refusal(ExperimentPlanTests.tasks + "stages:\n  first:\n    train: a\n" + settings)
    #expect(found.contains("more than 10000 runs"))
  }

  @Test func varietyOfStagesBeforeCounts() throws {
    let settings = (0..<3).map { "s\($0): {vary: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}" }.joined(separator: ", ")
    let stages = "stages:\n  one: {train: a, \(settings)}\n  two: {from: one, train: b, \(settings)}\n"
    #expect(try refusal(ExperimentPlanTests.tasks + stages).contains("plan.yaml:7: with stage two"))
    let one = "stages:\n  one: {train: a, \(settings)}\n"
    let plan = try PlanFolder().plan(ExperimentPlanTests.tasks + one)
    #expect(StageGraph(plan).instances.count == 1000)
  }

  /// Every stage asks for the tasks of the two before it.
  @Test func mergesOfMerges() throws {
    var text = ExperimentPlanTests.tasks + "stages:\n  s0: {train: a}\n  s1: {train: b}\n"
    for stage in 2..<80 {
      text += "  s\(stage): {merge: [s\(stage - 1), s\(stage - 2)], method: ties, density: {choose: [0.1, 0.2]}}\n"
    }
    let folder = try PlanFolder()
    let plan = try expectEnds { try folder.plan(text) }
    let last = try #require(plan.stages.last)
    #expect(expectEnds { plan.tasks(of: last) } == ["b", "a"] || plan.tasks(of: last) == ["a", "b"])
  }

  /// Nine lines of aliases that stand for a billion values, and the same as keys.
  @Test(arguments: ["table: *a9\n", "? *a9\n: 1\n? *a9\n: 2\n"])
  func aliasesAreCounted(_ end: String) throws {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1..<10 {
      text += "a\(level): &a\(level) [\([String](repeating: "*a\(level - 1)", count: 10).joined(separator: ", "))]\n"
    }
    #expect(try refusal(text + end).contains("its aliases stand for more than 10000 values"))
  }

  @Test func fewAliasesAreFine() throws {
    let plan = try PlanFolder().plan(
      ExperimentPlanTests.tasks
        + "stages:\n  one: {train: a, replay: &names [a, b]}\n  two: {train: b, replay: *names}\n")
    #expect(plan.stages[0].settings == plan.stages[1].settings)
  }

  @Test(arguments: [
    String(repeating: "[", count: 500) + String(repeating: "]", count: 500),
    "\n" + String(repeating: "- ", count: 500) + "x",
    String(repeating: "[", count: 100_000),
  ])
  func deepNestingIsRefused(_ value: String) throws {
    // The parser itself gives up where it has to look far ahead.
    let found = try refusal("table: \(value)\n")
    #expect(found.contains("nested deeper than 64 levels") || found.contains("Maximum nesting level reached"))
  }
}
