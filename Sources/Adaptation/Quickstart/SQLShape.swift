import Primitives

/// A question with the one statement that answers it.
struct SQLQuestion: Equatable {
  var text: String
  var sql: String
}

/// The forms of statement there are. Each turns a table into a question by drawing columns, values and a wording; the
/// wording always names the columns, so that one statement is right and no other.
///
/// Written style: keywords in capitals, one space between words, text in single quotes, sort direction always given, no
/// semicolon.
enum SQLShape: String, CaseIterable {
  case everything, one, two, whereText, whereNumber, whereBetween, whereLike, whereAnd, whereOr, distinct
  case count, countWhere, countDistinct, aggregate, aggregateWhere
  case order, top, extreme, groupCount, groupAggregate, having

  /// Nil when `table` has not the columns that the form needs.
  func question(about table: SQLTable, using stream: inout RandomStream) -> SQLQuestion? {
    switch self {
    case .everything, .one, .two, .distinct: list(table, &stream)
    case .whereText, .whereNumber, .whereBetween, .whereLike, .whereAnd, .whereOr: filter(table, &stream)
    case .count, .countWhere, .countDistinct: count(table, &stream)
    case .aggregate, .aggregateWhere: aggregate(table, &stream)
    case .order, .top, .extreme: sort(table, &stream)
    case .groupCount, .groupAggregate, .having: group(table, &stream)
    }
  }

  private func list(_ table: SQLTable, _ stream: inout RandomStream) -> SQLQuestion? {
    let (many, one, name) = (table.many, table.one, table.name)
    switch self {
    case .everything:
      let text = stream.pick(["Show all \(many).", "List every \(one).", "Show everything about all \(many)."])
      return SQLQuestion(text: text, sql: "SELECT * FROM \(name)")
    case .two:
      let columns = stream.draw(2, from: table.columns)
      guard columns.count == 2 else { return nil }
      let words = "\(columns[0].words) and \(columns[1].words)"
      let text = stream.pick([
        "List the \(words) of all \(many).", "Show the \(words) of every \(one).",
        "What are the \(words) of each \(one)?",
      ])
      return SQLQuestion(text: text, sql: "SELECT \(columns[0].name), \(columns[1].name) FROM \(name)")
    case .distinct:
      guard let column = stream.draw(1, from: table.groupColumns).first else { return nil }
      let text = stream.pick([
        "List the different \(column.words) values of the \(many).",
        "Which distinct \(column.words) values do the \(many) have?",
        "Show each \(column.words) of the \(many) only once.",
      ])
      return SQLQuestion(text: text, sql: "SELECT DISTINCT \(column.name) FROM \(name)")
    default:
      guard let column = stream.draw(1, from: table.columns).first else { return nil }
      let text = stream.pick([
        "List the \(column.words) of all \(many).", "Show the \(column.words) of every \(one).",
        "What is the \(column.words) of each \(one)?",
      ])
      return SQLQuestion(text: text, sql: "SELECT \(column.name) FROM \(name)")
    }
  }

  private func filter(_ table: SQLTable, _ stream: inout RandomStream) -> SQLQuestion? {
    guard let condition = condition(table, &stream) else { return nil }
    let others = table.columns.filter { !condition.columns.contains($0) }
    guard let column = stream.draw(1, from: others).first else { return nil }
    let text = stream.pick([
      "List the \(column.words) of \(table.many) \(condition.text).",
      "Show the \(column.words) of all \(table.many) \(condition.text).",
      "What is the \(column.words) of \(table.many) \(condition.text)?",
    ])
    return SQLQuestion(text: text, sql: "SELECT \(column.name) FROM \(table.name) WHERE \(condition.sql)")
  }

  private func condition(_ table: SQLTable, _ stream: inout RandomStream) -> SQLCondition? {
    switch self {
    case .whereText: .equal(table, &stream)
    case .whereNumber: .compare(table, &stream)
    case .whereBetween: .between(table, &stream)
    case .whereLike: .like(table, &stream)
    case .whereAnd: .both(table, &stream)
    case .whereOr: .either(table, &stream)
    default: .any(table, &stream)
    }
  }

  private func count(_ table: SQLTable, _ stream: inout RandomStream) -> SQLQuestion? {
    let (many, name) = (table.many, table.name)
    switch self {
    case .countWhere:
      guard let condition = condition(table, &stream) else { return nil }
      let text = stream.pick([
        "How many \(many) are there \(condition.text)?", "Count the \(many) \(condition.text).",
        "What is the number of \(many) \(condition.text)?",
      ])
      return SQLQuestion(text: text, sql: "SELECT COUNT(*) FROM \(name) WHERE \(condition.sql)")
    case .countDistinct:
      guard let column = stream.draw(1, from: table.groupColumns).first else { return nil }
      let text = stream.pick([
        "How many different \(column.words) values do the \(many) have?",
        "Count the distinct \(column.words) values of the \(many).",
      ])
      return SQLQuestion(text: text, sql: "SELECT COUNT(DISTINCT \(column.name)) FROM \(name)")
    default:
      let text = stream.pick(["How many \(many) are there?", "Count all \(many).", "What is the number of \(many)?"])
      return SQLQuestion(text: text, sql: "SELECT COUNT(*) FROM \(name)")
    }
  }

  private func aggregate(_ table: SQLTable, _ stream: inout RandomStream) -> SQLQuestion? {
    guard let column = stream.draw(1, from: table.columns.filter(\.isMeasure)).first else { return nil }
    let aggregate = stream.pick(SQLAggregate.allCases)
    let words = "\(stream.pick(aggregate.words)) \(column.words)"
    let select = "SELECT \(aggregate.rawValue)(\(column.name)) FROM \(table.name)"
    guard self == .aggregateWhere else {
      let text = stream.pick([
        "What is the \(words) of all \(table.many)?", "Find the \(words) of the \(table.many).",
        "Give the \(words) over all \(table.many).",
      ])
      return SQLQuestion(text: text, sql: select)
    }
    guard let condition = condition(table, &stream), !condition.columns.contains(column) else { return nil }
    let text = stream.pick([
      "What is the \(words) of \(table.many) \(condition.text)?",
      "Find the \(words) of the \(table.many) \(condition.text).",
    ])
    return SQLQuestion(text: text, sql: "\(select) WHERE \(condition.sql)")
  }

  private func sort(_ table: SQLTable, _ stream: inout RandomStream) -> SQLQuestion? {
    let keys = self == .order ? table.columns.filter { !$0.isText } : table.columns.filter(\.isMeasure)
    guard let key = stream.draw(1, from: keys).first,
      let column = stream.draw(1, from: table.columns.filter { $0 != key }).first
    else { return nil }
    let descends = stream.below(2) == 1
    let order = "SELECT \(column.name) FROM \(table.name) ORDER BY \(key.name) \(descends ? "DESC" : "ASC")"
    let end = stream.pick(descends ? ["highest", "largest"] : ["lowest", "smallest"])
    switch self {
    case .top:
      let limit = 2 + stream.below(8)
      let text = stream.pick([
        "Show the \(column.words) of the \(limit) \(table.many) with the \(end) \(key.words).",
        "List the \(column.words) of the \(limit) \(table.many) having the \(end) \(key.words).",
      ])
      return SQLQuestion(text: text, sql: "\(order) LIMIT \(limit)")
    case .extreme:
      let text = stream.pick([
        "Show the \(column.words) of the \(table.one) with the \(end) \(key.words).",
        "What is the \(column.words) of the \(table.one) that has the \(end) \(key.words)?",
      ])
      return SQLQuestion(text: text, sql: "\(order) LIMIT 1")
    default:
      let direction = stream.pick(
        descends
          ? ["from highest to lowest", "in descending order", "from largest to smallest"]
          : ["from lowest to highest", "in ascending order", "from smallest to largest"])
      let text = stream.pick([
        "List the \(column.words) of all \(table.many) sorted by \(key.words) \(direction).",
        "Show the \(column.words) of every \(table.one) ordered by \(key.words) \(direction).",
      ])
      return SQLQuestion(text: text, sql: order)
    }
  }

  private func group(_ table: SQLTable, _ stream: inout RandomStream) -> SQLQuestion? {
    guard let key = stream.draw(1, from: table.groupColumns).first else { return nil }
    let (many, by) = (table.many, "FROM \(table.name) GROUP BY \(key.name)")
    switch self {
    case .groupAggregate:
      guard let column = stream.draw(1, from: table.columns.filter(\.isMeasure)).first else { return nil }
      let aggregate = stream.pick(SQLAggregate.allCases)
      let words = "\(stream.pick(aggregate.words)) \(column.words)"
      let text = stream.pick([
        "What is the \(words) of the \(many) for each \(key.words)?", "Show the \(words) of \(many) per \(key.words).",
      ])
      return SQLQuestion(text: text, sql: "SELECT \(key.name), \(aggregate.rawValue)(\(column.name)) \(by)")
    case .having:
      let limit = 2 + stream.below(8)
      let text = stream.pick([
        "Which \(key.words) values have more than \(limit) \(many)?",
        "List each \(key.words) that has more than \(limit) \(many).",
      ])
      return SQLQuestion(text: text, sql: "SELECT \(key.name) \(by) HAVING COUNT(*) > \(limit)")
    default:
      let text = stream.pick([
        "How many \(many) are there for each \(key.words)?", "Count the \(many) per \(key.words).",
        "Show the number of \(many) for every \(key.words).",
      ])
      return SQLQuestion(text: text, sql: "SELECT \(key.name), COUNT(*) \(by)")
    }
  }
}
