import Primitives

/// What a WHERE clause says, in words and in SQL.
struct SQLCondition {
  var text: String
  var sql: String
  var columns: [SQLColumn]

  /// Any of the single conditions but LIKE and BETWEEN.
  static func any(_ table: SQLTable, _ stream: inout RandomStream) -> SQLCondition? {
    stream.below(2) == 0 ? equal(table, &stream) : compare(table, &stream)
  }

  static func equal(_ table: SQLTable, _ stream: inout RandomStream) -> SQLCondition? {
    guard let (column, pool) = textColumn(table, &stream) else { return nil }
    let value = stream.pick(pool)
    return SQLCondition(
      text: stream.pick(["with \(column.words) \(value)", "whose \(column.words) is \(value)"]),
      sql: "\(column.name) = \(quoted(value))", columns: [column])
  }

  static func compare(_ table: SQLTable, _ stream: inout RandomStream) -> SQLCondition? {
    guard let column = stream.draw(1, from: table.columns.filter { !$0.isText }).first else { return nil }
    let (value, above) = (number(column, &stream), stream.below(2) == 1)
    let words = stream.pick(above ? ["above", "over", "greater than"] : ["below", "under", "less than"])
    return SQLCondition(
      text: stream.pick(["with \(column.words) \(words) \(value)", "whose \(column.words) is \(words) \(value)"]),
      sql: "\(column.name) \(above ? ">" : "<") \(value)", columns: [column])
  }

  static func between(_ table: SQLTable, _ stream: inout RandomStream) -> SQLCondition? {
    guard let column = stream.draw(1, from: table.columns.filter { !$0.isText }).first else { return nil }
    let (first, second) = (number(column, &stream), number(column, &stream))
    guard first != second else { return nil }
    let (low, high) = (min(first, second), max(first, second))
    return SQLCondition(
      text: stream.pick([
        "with \(column.words) between \(low) and \(high)", "whose \(column.words) is from \(low) to \(high)",
      ]), sql: "\(column.name) BETWEEN \(low) AND \(high)", columns: [column])
  }

  static func like(_ table: SQLTable, _ stream: inout RandomStream) -> SQLCondition? {
    guard let (column, _) = textColumn(table, &stream) else { return nil }
    switch stream.below(3) {
    case 0:
      let letter = stream.pick(["A", "B", "C", "D", "F", "G", "H", "L", "M", "P", "R", "S", "T"])
      return SQLCondition(
        text: stream.pick([
          "whose \(column.words) starts with \(letter)", "whose \(column.words) begins with \(letter)",
        ]),
        sql: "\(column.name) LIKE '\(letter)%'", columns: [column])
    case 1:
      let letter = stream.pick(["a", "e", "n", "s", "y", "r", "t", "l"])
      return SQLCondition(
        text: "whose \(column.words) ends with \(letter)", sql: "\(column.name) LIKE '%\(letter)'", columns: [column])
    default:
      let part = stream.pick(["an", "er", "in", "or", "el", "ar", "st", "le", "on", "ro"])
      return SQLCondition(
        text: "whose \(column.words) contains \(part)", sql: "\(column.name) LIKE '%\(part)%'", columns: [column])
    }
  }

  static func both(_ table: SQLTable, _ stream: inout RandomStream) -> SQLCondition? {
    guard let first = equal(table, &stream), let second = compare(table, &stream) else { return nil }
    return SQLCondition(
      text: "\(first.text) and \(second.text)", sql: "\(first.sql) AND \(second.sql)",
      columns: first.columns + second.columns)
  }

  static func either(_ table: SQLTable, _ stream: inout RandomStream) -> SQLCondition? {
    guard let (column, pool) = textColumn(table, &stream) else { return nil }
    let values = stream.draw(2, from: pool)
    guard values.count == 2 else { return nil }
    return SQLCondition(
      text: stream.pick([
        "with \(column.words) \(values[0]) or \(values[1])", "whose \(column.words) is \(values[0]) or \(values[1])",
      ]), sql: "\(column.name) = \(quoted(values[0])) OR \(column.name) = \(quoted(values[1]))", columns: [column])
  }

  private static func textColumn(_ table: SQLTable, _ stream: inout RandomStream) -> (SQLColumn, [String])? {
    guard let column = stream.draw(1, from: table.columns.filter(\.isText)).first, case .text(let pool) = column.kind
    else {
      return nil
    }
    return (column, pool)
  }

  private static func number(_ column: SQLColumn, _ stream: inout RandomStream) -> Int {
    switch column.kind {
    case .measure(let low, let high, let step): low + step * stream.below((high - low) / step + 1)
    case .year(let low, let high): low + stream.below(high - low + 1)
    case .text: 0
    }
  }

  private static func quoted(_ value: String) -> String {
    "'" + value.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
  }
}

enum SQLAggregate: String, CaseIterable {
  case average = "AVG"
  case maximum = "MAX"
  case minimum = "MIN"
  case sum = "SUM"

  var words: [String] {
    switch self {
    case .average: ["average", "mean"]
    case .maximum: ["maximum", "highest"]
    case .minimum: ["minimum", "lowest"]
    case .sum: ["total", "summed"]
    }
  }
}

extension RandomStream {
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

  /// `count` different elements in drawn order, or all when there are fewer.
  mutating func draw<Element>(_ count: Int, from elements: [Element]) -> [Element] {
    var rest = elements
    var drawn: [Element] = []
    while drawn.count < count, !rest.isEmpty { drawn.append(rest.remove(at: below(rest.count))) }
    return drawn
  }
}
