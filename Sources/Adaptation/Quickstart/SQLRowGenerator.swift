public import Foundation
import Primitives

/// A question about a table, with its answer in SQL, as a training row.
public struct SQLRow: Equatable, Sendable {
  /// With its columns in the order that the prompt gives.
  public let table: SQLTable
  public let question: String
  public let sql: String

  public var prompt: String {
    "Table: \(table.name) (\(table.columns.map(\.name).joined(separator: ", ")))\nQuestion: \(question)\nSQL:"
  }

  public var completion: String { " \(sql)" }
}

/// Rows to learn from, and rows to be judged by.
public struct SQLRows: Equatable, Sendable {
  public let training: [SQLRow]
  public let heldOut: [SQLRow]

  /// One `{"prompt", "completion"}` object a line.
  public static func jsonLines(_ rows: [SQLRow]) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try rows.map { row in
      let object = ["prompt": row.prompt, "completion": row.completion]
      return String(decoding: try encoder.encode(object), as: UTF8.self) + "\n"
    }.joined()
  }
}

/// Makes text-to-SQL rows: the same ones for the same seed, on every platform.
///
/// Held-out rows are about tables of which training sees neither the name nor the set of columns, and no question
/// occurs twice. All forms of statement are equally frequent, as long as their questions last.
public struct SQLRowGenerator: Sendable {
  public enum Failure: Error, Equatable, Sendable, LocalizedError {
    /// The tables yield no more different questions.
    case tooManyRows(asked: Int, made: Int)

    public var errorDescription: String? {
      switch self {
      case .tooManyRows(let asked, let made):
        "only \(made) different questions of \(asked) could be made; ask for fewer rows"
      }
    }
  }

  /// Of the tables, those that training never sees.
  static let heldOutTableCount = 20

  public let seed: UInt64

  public init(seed: UInt64 = 0) { self.seed = seed }

  /// Throws: ``Failure/tooManyRows(asked:made:)``.
  public func rows(training: Int = 900, heldOut: Int = 120) throws -> SQLRows {
    var tables = SQLCatalogue.tables
    var split = RandomStream(seed: seed, purpose: "sql-tables")
    split.shuffle(&tables)
    let cut = Self.heldOutTableCount
    return SQLRows(
      training: try make(training, about: Array(tables[cut...]), purpose: "sql-training"),
      heldOut: try make(heldOut, about: Array(tables[..<cut]), purpose: "sql-held-out"))
  }

  package func make(_ count: Int, about tables: [SQLTable], purpose: String) throws -> [SQLRow] {
    var stream = RandomStream(seed: seed, purpose: purpose)
    var seen: Set<String> = []
    var rows: [SQLRow] = []
    var shapes = SQLShape.allCases
    var turn = 0
    while rows.count < count {
      guard !shapes.isEmpty else { throw Failure.tooManyRows(asked: count, made: rows.count) }
      turn %= shapes.count
      if let row = fresh(shapes[turn], about: tables, seen: &seen, using: &stream) {
        rows.append(row)
        turn += 1
      } else {
        shapes.remove(at: turn)
      }
    }
    stream.shuffle(&rows)
    return rows
  }

  /// A row of this form with a question not seen yet, or nil when a few hundred draws give none.
  private func fresh(
    _ shape: SQLShape, about tables: [SQLTable], seen: inout Set<String>, using stream: inout RandomStream
  ) -> SQLRow? {
    for _ in 0..<300 {
      let table = stream.pick(tables)
      guard let question = shape.question(about: table, using: &stream), seen.insert(question.text).inserted else {
        continue
      }
      let ordered = SQLTable(table, columns: stream.draw(table.columns.count, from: table.columns))
      return SQLRow(table: ordered, question: question.text, sql: question.sql)
    }
    return nil
  }
}

extension SQLTable {
  fileprivate init(_ table: SQLTable, columns: [SQLColumn]) {
    name = table.name
    one = table.one
    self.columns = columns
  }
}
