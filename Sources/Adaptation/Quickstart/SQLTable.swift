/// A column of a generated table, with what a question may ask of it.
public struct SQLColumn: Equatable, Sendable {
  public enum Kind: Equatable, Sendable {
    /// One of a pool of words.
    case text([String])
    /// Something to compare, sort and average.
    case measure(low: Int, high: Int, step: Int)
    /// Something to compare and sort only.
    case year(low: Int, high: Int)
  }

  public let name: String
  public let kind: Kind

  package static func text(_ name: String, _ pool: [String]) -> SQLColumn { SQLColumn(name: name, kind: .text(pool)) }
  package static func number(_ name: String, _ range: ClosedRange<Int>, by step: Int = 1) -> SQLColumn {
    SQLColumn(name: name, kind: .measure(low: range.lowerBound, high: range.upperBound, step: step))
  }
  package static func year(_ name: String, _ range: ClosedRange<Int> = 1960...2022) -> SQLColumn {
    SQLColumn(name: name, kind: .year(low: range.lowerBound, high: range.upperBound))
  }

  /// The name as a question says it.
  var words: String { name.split(separator: "_").joined(separator: " ") }

  var isText: Bool {
    if case .text = kind { true } else { false }
  }

  var isMeasure: Bool {
    if case .measure = kind { true } else { false }
  }
}

/// A table that questions are asked about. Its first column names its rows.
public struct SQLTable: Equatable, Sendable {
  public let name: String
  /// What one row is called; the table's own name, spoken, is the plural.
  public let one: String
  public let columns: [SQLColumn]

  package init(_ name: String, _ one: String, _ columns: SQLColumn...) {
    self.name = name
    self.one = one
    self.columns = columns
  }

  var many: String { name.split(separator: "_").joined(separator: " ") }

  /// What rows may share: the text columns but the first, which names them.
  var groupColumns: [SQLColumn] { columns.dropFirst().filter(\.isText) }
}
