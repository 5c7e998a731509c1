import Checkpoints
import Foundation
import Merging
import TestSupport
import Testing

/// Candidates, the best of them, and what is kept of a search that was cut short. Scores are made up.
struct MergeSearchTests {
  private static let axes = [
    MergeSearch.Axis("density", values: [0.2, 0.5]), MergeSearch.Axis("lambda", values: [1]),
    MergeSearch.Axis("weight", input: "two", values: [0.5, 1, 2]),
  ]

  private func search(
    _ fixture: MergeFixture, _ axes: [MergeSearch.Axis] = axes, goal: MergeSearch.Goal = .least,
    names: [String] = ["one", "two"]
  ) throws -> MergeSearch {
    let recipe = try fixture.recipe("ties", [.init(fixture.tuned(1)), .init(fixture.tuned(2))])
    return try MergeSearch(recipe, names: names, axes: axes, goal: goal)
  }

  /// Least at density 0.5 and weight 1.
  private func record(_ candidate: MergeSearch.Candidate) -> SearchRecord {
    let weight = candidate.settings["weight two"] ?? 0
    let first = 2 - (candidate.settings["density"] ?? 0)
    return SearchRecord(
      settings: candidate.settings, scores: ["a": first, "b": (weight - 1) * (weight - 1)], mergeSeconds: 1,
      scoreSeconds: 2)
  }

  @Test func everyCombination() throws {
    let search = try search(try MergeFixture())
    let candidates = search.candidates
    #expect(candidates.map { $0.settings["density"] } == [0.2, 0.2, 0.2, 0.5, 0.5, 0.5])
    #expect(candidates.map { $0.settings["weight two"] } == [0.5, 1, 2, 0.5, 1, 2])
    #expect(candidates[4].recipe.parameters == ["density": .number(0.5), "lambda": .number(1)])
    #expect(candidates[5].recipe.inputs.map(\.parameters) == [[:], ["weight": .number(2)]])
  }

  @Test func theBest() throws {
    let fixture = try MergeFixture()
    let least = try search(fixture)
    let records = least.candidates.map(record)
    #expect(least.best(of: records) == records[4] && records[4].objective == 0.75)
    #expect(try search(fixture, goal: .greatest).best(of: records) == records[2])
    #expect(least.best(of: [records[0], records[0]]) == records[0])
    let infinite = SearchRecord(settings: [:], scores: ["a": .infinity, "b": 1], mergeSeconds: 0, scoreSeconds: 0)
    #expect(infinite.objective == nil && infinite.scores == ["b": 1])
    #expect(least.best(of: [infinite, records[0]]) == records[0] && least.best(of: [infinite]) == nil)
  }

  private static let wrong: [(axes: [MergeSearch.Axis], reason: String)] = [
    ([.init("density", values: [0.1, 1.5])], "density is 1.5: use 0 to 1"),
    ([.init("density", values: [0.1, 0.1, 0.2])], "density has a value twice"),
    ([.init("density", values: [0.1])], "nothing to search"),
    ([.init("weight", input: "three", values: [1, 2])], "no input is called 'three': they are one, two"),
    ([.init("weight", values: [1, Double.infinity])], "weight is inf: use a number"),
    ([.init("weight", values: [1, 2]), .init("weight", values: [1, 3])], "weight is given twice"),
  ]

  @Test("what is wrong is named", arguments: wrong)
  func refused(axes: [MergeSearch.Axis], reason: String) throws {
    let fixture = try MergeFixture()
    let error = #expect(throws: MergeError.self) { _ = try search(fixture, axes) }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    #expect(throws: MergeError.self) { _ = try search(fixture, names: ["one", "one"]) }
  }

  private struct CutShort: Error {}

  @Test("a search that was cut short goes on with what is missing; more values add to it")
  func goesOn() throws {
    let fixture = try MergeFixture()
    let directory = fixture.directory("search")
    try FileSystem.createDirectory(directory)
    func run(_ search: MergeSearch, until limit: Int = .max) throws -> (scored: Int, records: [SearchRecord]) {
      var scored = 0
      let log = try SearchLog(directory: directory, digest: try search.digest(objective: ["rows 1"]))
      let records = try search.run(log) { candidate in
        guard scored < limit else { throw CutShort() }
        scored += 1
        return record(candidate)
      } observe: { _, _, _ in
      }
      return (scored, records)
    }
    let search = try search(fixture)
    #expect(throws: CutShort.self) { _ = try run(search, until: 2) }
    let lines = try String(decoding: FileSystem.read(directory + "/search.jsonl"), as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 3 && lines[2].contains(#""weight two":1"#))
    let (scored, records) = try run(search)
    #expect(scored == 4 && records == search.candidates.map(record))
    #expect(try run(search).scored == 0)
    let more = try self.search(
      fixture, [.init("density", values: [0.2, 0.5, 0.8]), Self.axes[1], Self.axes[2]])
    #expect(try run(more).scored == 3)
  }

  @Test func otherInputsAreRefused() throws {
    let fixture = try MergeFixture()
    let directory = fixture.directory("search")
    try FileSystem.createDirectory(directory)
    let search = try search(fixture)
    let digest = try search.digest(objective: ["rows 1"])
    #expect(try search.digest(objective: ["rows 2"]) != digest)
    _ = try search.run(try SearchLog(directory: directory, digest: digest), score: record) { _, _, _ in }
    try fixture.base.tuned(seed: 99).write(to: fixture.tuned(2))
    let other = try search.digest(objective: ["rows 1"])
    #expect(other != digest)
    let path = directory + "/search.jsonl"
    #expect(throws: MergeError.otherSearch(path: path)) { _ = try SearchLog(directory: directory, digest: other) }
    let text = try String(decoding: FileSystem.read(path), as: UTF8.self)
    try FileSystem.writeAtomically(text + "{\"settings\": 3}\n", to: path)
    let error = #expect(throws: MergeError.self) { _ = try SearchLog(directory: directory, digest: digest) }
    #expect(error?.description.contains("search.jsonl:8: not a line of a search") == true)
  }

  @Test func oneSearchInADirectory() throws {
    let fixture = try MergeFixture()
    let directory = fixture.directory("search")
    let first = try SearchLog(directory: directory, digest: "a")
    withExtendedLifetime(first) {
      #expect(throws: MergeError.searchInUse(path: directory)) {
        _ = try SearchLog(directory: directory, digest: "a")
      }
    }
  }

  @Test("a line for one number, a map for two, the best over the rest for more")
  func pages() throws {
    let fixture = try MergeFixture()
    let two = try search(fixture)
    try SearchReport(two, records: two.candidates.map(record), measure: "Loss a label").write(
      to: fixture.directory("two"))
    let table = try String(decoding: FileSystem.read(fixture.directory("two/results.md")), as: UTF8.self)
    #expect(table.contains("| density | lambda | weight two | a | b | Mean | Time |  |"))
    let rows = table.split(separator: "\n").filter { $0.hasPrefix("| 0.") }
    #expect(rows.first == "| 0.5 | 1.0 | 1.0 | 1.5000 | 0.0000 | 0.7500 | 3.0 s | best |" && rows.count == 6)
    let page = try String(decoding: FileSystem.read(fixture.directory("two/report.html")), as: UTF8.self)
    #expect(page.contains("weight two 2.0") && page.contains("density 0.2") && page.contains("1.4000"))
    let one = try search(fixture, [MergeSearch.Axis("weight", input: "two", values: [2, 1])])
    try SearchReport(one, records: one.candidates.map(record), measure: "Loss a label").write(
      to: fixture.directory("one"))
    let chart = try String(decoding: FileSystem.read(fixture.directory("one/report.html")), as: UTF8.self)
    #expect(chart.contains("Loss a label by weight two") && chart.contains("<path class=\"line"))
  }
}
