import Adaptation
import Foundation
import Testing

@Suite struct SQLRowInvariants {
  static let rows = try? SQLRowGenerator(seed: 0).rows()

  @Test func counts() throws {
    let rows = try #require(Self.rows)
    #expect(rows.training.count == 900 && rows.heldOut.count == 120)
  }

  @Test(arguments: [0, 1, 2, UInt64.max])
  func partsAreDisjoint(seed: UInt64) throws {
    let rows = try SQLRowGenerator(seed: seed).rows(training: 800, heldOut: 100)
    func names(_ rows: [SQLRow]) -> Set<String> { Set(rows.map(\.table.name)) }
    func columnSets(_ rows: [SQLRow]) -> Set<Set<String>> { Set(rows.map { Set($0.table.columns.map(\.name)) }) }
    func questions(_ rows: [SQLRow]) -> Set<String> { Set(rows.map { $0.question.lowercased() }) }
    #expect(names(rows.training).isDisjoint(with: names(rows.heldOut)))
    #expect(columnSets(rows.training).isDisjoint(with: columnSets(rows.heldOut)))
    #expect(questions(rows.training).isDisjoint(with: questions(rows.heldOut)))
    #expect(questions(rows.training).count == 800 && questions(rows.heldOut).count == 100)
    #expect(names(rows.training).count >= 40 && names(rows.heldOut).count >= 15)
  }

  @Test func theSameSeedGivesTheSameRows() throws {
    let rows = try #require(Self.rows)
    #expect(try SQLRowGenerator(seed: 0).rows() == rows)
    #expect(try SQLRowGenerator(seed: 1).rows() != rows)
    let shorter = try SQLRowGenerator(seed: 0).rows(training: 300, heldOut: 20)
    #expect(Set(shorter.training.map(\.question)).isSubset(of: rows.training.map(\.question)))
  }

  /// Pins the rows: a change of wording, of values or of the stream changes these.
  @Test func golden() throws {
    let rows = try #require(Self.rows)
    let text = try SQLRows.jsonLines(rows.training) + SQLRows.jsonLines(rows.heldOut)
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    #expect(String(hash, radix: 16) == "82ccd8d5aa47c82e")
  }

  /// The statements use the schema's own names, and the values of the question.
  @Test func statementsFollowFromTheirPrompt() throws {
    let rows = try #require(Self.rows)
    for row in rows.training + rows.heldOut {
      let lines = row.prompt.split(separator: "\n")
      #expect(lines.count == 3 && lines[2] == "SQL:" && row.completion.hasPrefix(" SELECT "))
      #expect(row.sql.contains("FROM \(row.table.name)"))
      #expect(!row.sql.contains("  ") && !row.sql.contains("\"") && !row.sql.hasSuffix(";"))
      var rest = row.sql
      while let quoted = rest.firstMatch(of: /'%?([^']*?)%?'/) {
        #expect(row.question.contains(quoted.1), "\(row.question) -> \(row.sql)")
        rest.removeSubrange(quoted.range)
      }
      let keywords: Set = [
        "SELECT", "FROM", "WHERE", "AND", "OR", "LIKE", "BETWEEN", "ORDER", "BY", "ASC", "DESC", "LIMIT", "GROUP",
        "HAVING",
        "COUNT", "AVG", "MAX", "MIN", "SUM", "DISTINCT",
      ]
      let columns = Set(row.table.columns.map(\.name) + [row.table.name])
      for word in rest.split(whereSeparator: { !$0.isLetter && $0 != "_" }).map(String.init) {
        #expect(keywords.contains(word) || columns.contains(word), "\(word) in \(row.sql)")
      }
    }
  }

  /// The whole range of statements, in both parts.
  @Test(arguments: [
    "*", "WHERE", " = '", " > ", " < ", "BETWEEN", "LIKE '%", " AND ", " OR ", "DISTINCT", "COUNT(*)", "COUNT(DISTINCT",
    "AVG(",
    "MAX(", "MIN(", "SUM(", "ORDER BY", "ASC", "DESC", "LIMIT", "GROUP BY", "HAVING",
  ])
  func variety(part: String) throws {
    let rows = try #require(Self.rows)
    #expect(rows.training.filter { $0.sql.contains(part) }.count >= 15)
    #expect(rows.heldOut.contains { $0.sql.contains(part) })
  }

  @Test func tablesAreSound() throws {
    let rows = try #require(Self.rows)
    for row in rows.training + rows.heldOut {
      let names = row.table.columns.map(\.name)
      #expect(names.count == 4 && Set(names).count == 4)
      #expect(!names.contains(row.table.name))
    }
  }

  @Test func impossibleCounts() {
    let table = SQLTable("units", "unit", .text("name", ["A"]), .text("kind", ["B", "C"]))
    let generator = SQLRowGenerator()
    #expect(throws: SQLRowGenerator.Failure.self) { try generator.make(1_000, about: [table], purpose: "few") }
    #expect((try? generator.make(50, about: [table], purpose: "few"))?.count == 50)
  }

  @Test func rowsReadBack() throws {
    let rows = try #require(Self.rows)
    let data = try load(SQLRows.jsonLines(rows.heldOut))
    #expect(data.format == .promptCompletion && data.rows.count == 120)
    let first = try #require(rows.heldOut.first)
    #expect(labelTexts(data.rows[0]) == [first.completion + "$"])
  }
}

@Suite struct SQLMatching {
  @Test(arguments: [
    ("SELECT a FROM t", true), (" SELECT a  FROM\n t ", true), ("SELECT a FROM t;", true), ("SELECT a FROM t ; ", true),
    ("select a from t", false), ("SELECT a FROM t;;", false), ("SELECT b FROM t", false), ("", false),
    ("SELECT a FROM t\nTable: u", false),
  ])
  func exactMatch(prediction: String, expected: Bool) {
    #expect(SQLExactMatch.matches(prediction, "SELECT a FROM t") == expected)
  }

  @Test func quotesCount() {
    #expect(!SQLExactMatch.matches("WHERE a = \"x\"", "WHERE a = 'x'"))
  }
}
