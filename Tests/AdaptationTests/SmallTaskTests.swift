import Adaptation
import Testing

/// Made rows are right by their own rules, different from each other, and the same for the same seed.
struct SmallTaskTests {
  @Test("no prompt twice, the same rows again", arguments: SmallTask.allCases)
  func distinct(task: SmallTask) throws {
    let rows = try task.rows(training: 200, development: 20, test: 30, seed: 1)
    let all = rows.training + rows.development + rows.test
    #expect([rows.training.count, rows.development.count, rows.test.count] == [200, 20, 30])
    #expect(Set(all.map(\.prompt)).count == 250)
    #expect(try task.rows(training: 200, development: 20, test: 30, seed: 1) == rows)
    #expect(try task.rows(training: 200, development: 20, test: 30, seed: 2) != rows)
    #expect(all.allSatisfy { $0.completion.hasPrefix(" ") && !$0.prompt.hasSuffix(" ") })
  }

  @Test func answers() throws {
    for row in try SmallTask.arithmetic.rows(training: 300, development: 1, test: 1, seed: 0).training {
      let work = try #require(row.completion.split(separator: "\n").first).split(separator: " ").map(String.init)
      let (first, second, result) = (try #require(Int(work[0])), try #require(Int(work[2])), try #require(Int(work[4])))
      let expected = work[1] == "+" ? first + second : work[1] == "-" ? first - second : first * second
      #expect(result == expected && row.completion.hasSuffix("#### \(expected)"))
    }
    for row in try SmallTask.counting.rows(training: 100, development: 1, test: 1, seed: 0).training {
      let lines = row.prompt.split(separator: "\n")
      let asked = try #require(lines[1].split(separator: "\"").dropFirst().first)
      let count = lines[0].split(separator: " ").dropFirst().count { $0 == asked }
      #expect(row.completion == " \(count)")
    }
  }

  @Test func tooMany() {
    #expect(throws: SmallTaskError.self) {
      try SmallTask.refusals.rows(training: 100_000, development: 1, test: 1, seed: 0)
    }
  }
}
