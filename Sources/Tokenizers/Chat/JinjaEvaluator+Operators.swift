import Foundation

extension Jinja.Evaluator {
  /// A number, with booleans as 0 and 1.
  enum Number {
    case int(Int)
    case float(Double)

    var double: Double {
      switch self {
      case .int(let value): Double(value)
      case .float(let value): value
      }
    }
  }

  func number(_ value: Value) -> Number? {
    switch value {
    case .bool(let value): .int(value ? 1 : 0)
    case .int(let value): .int(value)
    case .float(let value): .float(value)
    default: nil
    }
  }

  func refuseUndefined(_ values: Value...) throws {
    for case .undefined(let message) in values { throw TemplateFailure(message) }
  }

  func negated(_ value: Value) throws -> Value {
    try refuseUndefined(value)
    switch number(value) {
    case .int(let number):
      let (result, overflow) = 0.subtractingReportingOverflow(number)
      guard !overflow else { throw Self.overflow }
      return .int(result)
    case .float(let number): return .float(-number)
    case nil: throw TemplateFailure("a \(value.typeName) has no negative")
    }
  }

  func positive(_ value: Value) throws -> Value {
    try refuseUndefined(value)
    switch number(value) {
    case .int(let number): return .int(number)
    case .float(let number): return .float(number)
    case nil: throw TemplateFailure("'+' needs a number, got a \(value.typeName)")
    }
  }

  static let overflow = TemplateFailure("an integer does not fit 64 bits")

  func compute(_ operation: Jinja.BinaryOperator, _ left: Value, _ right: Value) throws -> Value {
    if operation == .remainder, case .string(let format) = left {
      return try text(try formatted(format, CallArguments(positional: formatArguments(right))))
    }
    try refuseUndefined(left, right)
    if let first = number(left), let second = number(right) {
      if case .int(let first) = first, case .int(let second) = second {
        return try computeIntegers(operation, first, second)
      }
      return try computeFloats(operation, first.double, second.double)
    }
    switch (operation, left, right) {
    case (.add, .string(let first), .string(let second)):
      guard first.utf8.count + second.utf8.count <= limits.outputBytes else { throw exceeded(.outputBytes) }
      return try text(first + second)
    case (.add, .sequence(let first), .sequence(let second)) where first.kind == .list && second.kind == .list:
      return try list(first.items + second.items)
    case (.add, .sequence(let first), .sequence(let second)) where first.isTuple && second.isTuple:
      return try sequence(.tuple, first.items + second.items)
    case (.multiply, _, _):
      if case .int(let count)? = number(right), let value = try repeated(left, count) { return value }
      if case .int(let count)? = number(left), let value = try repeated(right, count) { return value }
    default: break
    }
    throw TemplateFailure(
      "'\(operation.rawValue)' does not work between a \(left.typeName) and a \(right.typeName)")
  }

  private func repeated(_ value: Value, _ count: Int) throws -> Value? {
    let count = max(0, count)
    switch value {
    case .string(let text):
      let (size, overflow) = text.utf8.count.multipliedReportingOverflow(by: count)
      guard !overflow, size <= limits.outputBytes else { throw exceeded(.outputBytes) }
      return try self.text(String(repeating: text, count: text.isEmpty ? 0 : count))
    case .sequence(let node) where node.kind == .list || node.isTuple:
      let (size, overflow) = node.items.count.multipliedReportingOverflow(by: count)
      guard !overflow, size <= limits.allocatedBytes / MemoryLayout<Value>.stride else {
        throw exceeded(.allocatedBytes)
      }
      // Before they are made.
      try charge(bytes: size * MemoryLayout<Value>.stride)
      guard size > 0 else { return try sequence(node.kind == .list ? .list : .tuple, []) }
      var items: [Value] = []
      items.reserveCapacity(size)
      for _ in 0..<count { items += node.items }
      return try sequence(node.kind == .list ? .list : .tuple, items)
    default: return nil
    }
  }

  private func computeIntegers(_ operation: Jinja.BinaryOperator, _ left: Int, _ right: Int) throws -> Value {
    func checked(_ result: (partialValue: Int, overflow: Bool)) throws -> Value {
      guard !result.overflow else { throw Self.overflow }
      return .int(result.partialValue)
    }
    switch operation {
    case .add: return try checked(left.addingReportingOverflow(right))
    case .subtract: return try checked(left.subtractingReportingOverflow(right))
    case .multiply: return try checked(left.multipliedReportingOverflow(by: right))
    case .divide: return try computeFloats(.divide, Double(left), Double(right))
    case .floorDivide, .remainder:
      guard right != 0 else { throw TemplateFailure("division by zero") }
      guard !(left == .min && right == -1) else {
        if operation == .remainder { return .int(0) }
        throw Self.overflow
      }
      let (quotient, remainder) = left.quotientAndRemainder(dividingBy: right)
      let crossesZero = remainder != 0 && (remainder < 0) != (right < 0)
      if operation == .floorDivide { return .int(crossesZero ? quotient - 1 : quotient) }
      return .int(crossesZero ? remainder + right : remainder)
    case .power:
      guard right >= 0 else { return try computeFloats(.power, Double(left), Double(right)) }
      return try integerPower(left, right)
    }
  }

  private func integerPower(_ base: Int, _ exponent: Int) throws -> Value {
    if base == 0 || base == 1 { return .int(exponent == 0 ? 1 : base) }
    if base == -1 { return .int(exponent.isMultiple(of: 2) ? 1 : -1) }
    guard exponent < 64 else { throw Self.overflow }
    var result = 1
    for _ in 0..<exponent {
      let (next, overflow) = result.multipliedReportingOverflow(by: base)
      guard !overflow else { throw Self.overflow }
      result = next
    }
    return .int(result)
  }

  private func computeFloats(_ operation: Jinja.BinaryOperator, _ left: Double, _ right: Double) throws -> Value {
    switch operation {
    case .add: return .float(left + right)
    case .subtract: return .float(left - right)
    case .multiply: return .float(left * right)
    case .divide:
      guard right != 0 else { throw TemplateFailure("division by zero") }
      return .float(left / right)
    case .floorDivide, .remainder:
      guard right != 0 else { throw TemplateFailure("division by zero") }
      var remainder = fmod(left, right)
      var quotient = (left - remainder) / right
      if remainder != 0, (remainder < 0) != (right < 0) {
        remainder += right
        quotient -= 1
      } else if remainder == 0 {
        remainder = right.sign == .minus ? -0.0 : 0.0
      }
      if operation == .remainder { return .float(remainder) }
      return .float(quotient.rounded())
    case .power:
      guard !(left == 0 && right < 0) else { throw TemplateFailure("zero cannot be raised to a negative power") }
      let result = pow(left, right)
      guard !result.isNaN || left.isNaN || right.isNaN else { throw TemplateFailure("this power is no real number") }
      return .float(result)
    }
  }

  // MARK: comparison

  func compare(_ left: Value, _ operation: Jinja.ComparisonOperator, _ right: Value) throws -> Bool {
    switch operation {
    case .equal: try equals(left, right)
    case .notEqual: !(try equals(left, right))
    case .less: try precedes(left, right)
    case .greater: try precedes(right, left)
    case .lessOrEqual: try precedes(left, right, orEquals: true)
    case .greaterOrEqual: try precedes(right, left, orEquals: true)
    case .isIn: try contains(right, left)
    case .isNotIn: !(try contains(right, left))
    }
  }

  func equals(_ left: Value, _ right: Value) throws -> Bool {
    try charge()
    if let first = number(left), let second = number(right) {
      if case .int(let first) = first, case .int(let second) = second { return first == second }
      return first.double == second.double
    }
    switch (left, right) {
    case (.undefined, .undefined), (.none, .none): return true
    case (.string(let first), .string(let second)):
      try charge(steps: min(first.utf8.count, second.utf8.count) / 64)
      return Jinja.sameText(first, second)
    case (.sequence(let first), .sequence(let second)):
      if first === second { return true }
      let comparable = first.kind == second.kind || (first.isTuple && second.isTuple)
      guard comparable || (first.isRange && second.isRange), first.isSized else { return false }
      guard first.items.count == second.items.count else { return false }
      for (first, second) in zip(first.items, second.items) where !(try equals(first, second)) { return false }
      return true
    case (.dictionary(let first), .dictionary(let second)):
      if first === second { return true }
      guard first.entries.count == second.entries.count else { return false }
      for entry in first.entries {
        guard let other = second[try entry.key.hashKey()], try equals(entry.value, other) else { return false }
      }
      return true
    case (.namespace(let first), .namespace(let second)): return first === second
    case (.callable(let first), .callable(let second)): return first === second
    case (.loop(let first), .loop(let second)): return first === second
    default: return false
    }
  }

  func precedes(_ left: Value, _ right: Value, orEquals: Bool = false) throws -> Bool {
    try charge()
    try refuseUndefined(left, right)
    if let first = number(left), let second = number(right) {
      if case .int(let first) = first, case .int(let second) = second {
        return orEquals ? first <= second : first < second
      }
      return orEquals ? first.double <= second.double : first.double < second.double
    }
    switch (left, right) {
    case (.string(let first), .string(let second)):
      try charge(steps: min(first.utf8.count, second.utf8.count) / 64)
      return orEquals ? !Jinja.precedes(second, first) : Jinja.precedes(first, second)
    case (.sequence(let first), .sequence(let second))
    where (first.kind == .list && second.kind == .list) || (first.isTuple && second.isTuple):
      for (first, second) in zip(first.items, second.items) where !(try equals(first, second)) {
        return try precedes(first, second, orEquals: orEquals)
      }
      return orEquals ? first.items.count <= second.items.count : first.items.count < second.items.count
    default:
      throw TemplateFailure("a \(left.typeName) and a \(right.typeName) have no order")
    }
  }

  func contains(_ container: Value, _ value: Value) throws -> Bool {
    switch container {
    case .undefined: return false
    case .string(let text):
      guard case .string(let part) = value else {
        throw TemplateFailure("'in' a string needs a string, got a \(value.typeName)")
      }
      try chargeReading(text)
      try chargeReading(part)
      return Jinja.firstIndex(of: Array(part.unicodeScalars), in: Array(text.unicodeScalars), from: 0) != nil
    case .sequence(let node):
      try charge(steps: node.items.count / 8)
      for item in try node.take() where try equals(item, value) { return true }
      return false
    case .dictionary(let node):
      if value.isUndefined { return false }
      if case .string(let key) = value { try chargeReading(key) }
      return node[try value.hashKey()] != nil
    default: throw TemplateFailure("a \(container.typeName) contains nothing, so 'in' cannot look into it")
    }
  }
}

extension Jinja.SequenceNode {
  var isRange: Bool {
    if case .range = kind { true } else { false }
  }
}
