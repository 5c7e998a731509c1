extension Jinja.Evaluator {
  static let testNames: Set<String> = [
    "boolean", "callable", "defined", "divisibleby", "eq", "equalto", "escaped", "even", "false", "filter", "float",
    "ge", "greaterthan", "gt", "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none",
    "number", "odd", "sameas", "sequence", "string", "test", "true", "undefined", "upper", "==", "!=", ">", ">=", "<",
    "<=",
  ]

  func test(_ name: String, _ value: Value, _ arguments: CallArguments) throws -> Bool {
    if let operation = Self.comparison(named: name) {
      guard let other = try arguments.bound(to: ["other"], in: "the test '\(name)'")[0] else {
        throw TemplateFailure("the test '\(name)' needs a value to compare with")
      }
      return try compare(value, operation, other)
    }
    switch name {
    case "divisibleby":
      guard let divisor = try arguments.bound(to: ["num"], in: name)[0] else {
        throw TemplateFailure("divisibleby needs a number")
      }
      return try equals(try compute(.remainder, value, divisor), .int(0))
    case "sameas":
      guard let other = try arguments.bound(to: ["other"], in: name)[0] else {
        throw TemplateFailure("sameas needs a value")
      }
      return try isSame(value, other)
    default:
      _ = try arguments.bound(to: [], in: "the test '\(name)'")
      return try testKind(name, value)
    }
  }

  private static func comparison(named name: String) -> Jinja.ComparisonOperator? {
    switch name {
    case "eq", "equalto", "==": .equal
    case "ne", "!=": .notEqual
    case "lt", "lessthan", "<": .less
    case "le", "<=": .lessOrEqual
    case "gt", "greaterthan", ">": .greater
    case "ge", ">=": .greaterOrEqual
    case "in": .isIn
    default: nil
    }
  }

  private func testKind(_ name: String, _ value: Value) throws -> Bool {
    switch (name, value) {
    case ("defined", _): return !value.isUndefined
    case ("undefined", _): return value.isUndefined
    case ("none", .none), ("boolean", .bool), ("integer", .int), ("float", .float), ("string", .string),
      ("mapping", .dictionary):
      return true
    case ("true", .bool(let value)): return value
    case ("false", .bool(let value)): return !value
    case ("none", _), ("boolean", _), ("integer", _), ("float", _), ("string", _), ("mapping", _), ("true", _),
      ("false", _), ("escaped", _):
      return false
    case ("number", _): return number(value) != nil
    case ("odd", _), ("even", _):
      let remainder = try compute(.remainder, value, .int(2))
      return try equals(remainder, .int(name == "odd" ? 1 : 0))
    case ("sequence", .string), ("sequence", .dictionary), ("sequence", .undefined): return true
    case ("sequence", .sequence(let node)): return node.isIndexable
    case ("iterable", .string), ("iterable", .dictionary), ("iterable", .undefined), ("iterable", .sequence),
      ("iterable", .loop):
      return true
    case ("callable", .callable), ("callable", .undefined), ("callable", .loop): return true
    case ("sequence", _), ("iterable", _), ("callable", _): return false
    case ("lower", _): return Jinja.isCased(try string(of: value), upper: false)
    case ("upper", _): return Jinja.isCased(try string(of: value), upper: true)
    case ("filter", .string(let text)): return Self.filterNames.contains(text)
    case ("test", .string(let text)): return Self.testNames.contains(text)
    case ("filter", _), ("test", _): return false
    default: throw TemplateFailure("no test is called '\(name)'")
    }
  }

  /// Identity where a value has one, else equality of the same type.
  private func isSame(_ left: Value, _ right: Value) throws -> Bool {
    switch (left, right) {
    case (.sequence(let first), .sequence(let second)): first === second
    case (.dictionary(let first), .dictionary(let second)): first === second
    default: left.typeName == right.typeName ? try equals(left, right) : false
    }
  }
}
