extension Jinja.Evaluator {
  typealias Expression = Jinja.Expression

  /// The values of a call's arguments.
  struct CallArguments {
    var positional: [Value] = []
    var keywords: [(name: String, value: Value)] = []

    /// The values by parameter, nil where none is given.
    func bound(to names: [String], in function: String) throws -> [Value?] {
      guard positional.count <= names.count else {
        throw TemplateFailure("\(function) takes at most \(names.count) arguments, got \(positional.count)")
      }
      var values: [Value?] = positional + Array(repeating: nil, count: names.count - positional.count)
      for keyword in keywords {
        guard let index = names.firstIndex(of: keyword.name) else {
          throw TemplateFailure("\(function) takes no argument '\(keyword.name)'")
        }
        guard values[index] == nil else { throw TemplateFailure("\(function) got two values for '\(keyword.name)'") }
        values[index] = keyword.value
      }
      return values
    }
  }

  func evaluate(_ expression: Expression, _ scope: Scope) throws -> Value {
    try charge()
    let outer = line
    line = expression.line
    try enter()
    defer { leave() }
    let value = try evaluateKind(expression, scope)
    line = outer
    return value
  }

  /// Three switches instead of one: an unoptimised build reserves stack for all branches of a function at once.
  private func evaluateKind(_ expression: Expression, _ scope: Scope) throws -> Value {
    switch expression.kind {
    case .constant(let constant): Value(constant)
    case .name(let name): try lookUp(name, scope)
    case .attribute(let base, let name): try attribute(name, of: try evaluate(base, scope))
    case .binary(let operation, let left, let right): try evaluateBinary(operation, left, right, scope)
    case .call(let function, let arguments): try evaluateCall(function, arguments, scope)
    case .list, .tuple, .dictionary, .concatenation: try evaluateMany(expression, scope)
    case .negative, .positive, .not, .and, .or, .comparison, .conditional: try evaluateLogic(expression, scope)
    case .item, .slice, .filter, .test: try evaluateUse(expression, scope)
    }
  }

  private func evaluateMany(_ expression: Expression, _ scope: Scope) throws -> Value {
    switch expression.kind {
    case .list(let items): try list(try evaluateAll(items, scope))
    case .tuple(let items): try sequence(.tuple, try evaluateAll(items, scope))
    case .dictionary(let pairs): try evaluateDictionary(pairs, scope)
    case .concatenation(let parts): try evaluateConcatenation(parts, scope)
    default: .none
    }
  }

  private func evaluateLogic(_ expression: Expression, _ scope: Scope) throws -> Value {
    switch expression.kind {
    case .negative(let operand): return try negated(try evaluate(operand, scope))
    case .positive(let operand): return try positive(try evaluate(operand, scope))
    case .not(let operand): return .bool(!(try evaluate(operand, scope).truth))
    case .and(let left, let right):
      let value = try evaluate(left, scope)
      return value.truth ? try evaluate(right, scope) : value
    case .or(let left, let right):
      let value = try evaluate(left, scope)
      return value.truth ? value : try evaluate(right, scope)
    case .comparison(let first, let rest): return try evaluateComparison(first, rest, scope)
    case .conditional(let test, let then, let otherwise):
      return try evaluateConditional(test, then, otherwise, scope)
    default: return .none
    }
  }

  private func evaluateUse(_ expression: Expression, _ scope: Scope) throws -> Value {
    switch expression.kind {
    case .item(let base, let index):
      let container = try evaluate(base, scope)
      return try item(try evaluate(index, scope), of: container)
    case .slice(let base, let lower, let upper, let step): return try evaluateSlice(base, lower, upper, step, scope)
    case .filter(let base, let use): return try apply(use, to: try evaluate(base, scope), scope)
    case .test(let base, let use):
      let value = try evaluate(base, scope)
      return .bool(try test(use.name, value, try evaluate(use.arguments, scope)))
    default: return .none
    }
  }

  private func evaluateAll(_ expressions: [Expression], _ scope: Scope) throws -> [Value] {
    var values: [Value] = []
    for expression in expressions { values.append(try evaluate(expression, scope)) }
    return values
  }

  private func evaluateBinary(
    _ operation: Jinja.BinaryOperator, _ left: Expression, _ right: Expression, _ scope: Scope
  ) throws -> Value {
    let first = try evaluate(left, scope)
    return try compute(operation, first, try evaluate(right, scope))
  }

  private func evaluateCall(_ function: Expression, _ arguments: Jinja.Arguments, _ scope: Scope) throws -> Value {
    let target = try evaluate(function, scope)
    return try call(target, try evaluate(arguments, scope))
  }

  private func lookUp(_ name: String, _ scope: Scope) throws -> Value {
    let (value, scopes) = scope.find(name)
    try charge(steps: scopes / 4)
    if let value { return value }
    if Self.functionNames.contains(name) { return .callable(Jinja.Callable(.function(name))) }
    return .undefined("'\(name)' is undefined")
  }

  private func evaluateDictionary(_ pairs: [(key: Expression, value: Expression)], _ scope: Scope) throws -> Value {
    try dictionary(
      try pairs.map { pair in
        let key = try evaluate(pair.key, scope)
        return (key, try evaluate(pair.value, scope))
      })
  }

  private func evaluateConcatenation(_ parts: [Expression], _ scope: Scope) throws -> Value {
    var result = ""
    for part in parts {
      result += try string(of: try evaluate(part, scope))
      guard result.utf8.count <= limits.outputBytes else { throw exceeded(.outputBytes) }
    }
    return try text(result)
  }

  private func evaluateComparison(
    _ first: Expression, _ rest: [(operation: Jinja.ComparisonOperator, operand: Expression)], _ scope: Scope
  ) throws -> Value {
    var left = try evaluate(first, scope)
    for (operation, operand) in rest {
      let right = try evaluate(operand, scope)
      guard try compare(left, operation, right) else { return .bool(false) }
      left = right
    }
    return .bool(true)
  }

  private func evaluateConditional(
    _ test: Expression, _ then: Expression, _ otherwise: Expression?, _ scope: Scope
  ) throws -> Value {
    if try evaluate(test, scope).truth { return try evaluate(then, scope) }
    if let otherwise { return try evaluate(otherwise, scope) }
    return .undefined("the inline if-expression was false and has no else")
  }

  private func evaluateSlice(
    _ base: Expression, _ lower: Expression?, _ upper: Expression?, _ step: Expression?, _ scope: Scope
  ) throws -> Value {
    let container = try evaluate(base, scope)
    func bound(_ expression: Expression?) throws -> Int? {
      guard let expression else { return nil }
      switch try evaluate(expression, scope) {
      case .none: return nil
      case .int(let value): return value
      case .bool(let value): return value ? 1 : 0
      case .undefined(let message): throw TemplateFailure(message)
      case let value: throw TemplateFailure("a slice needs integers, got a \(value.typeName)")
      }
    }
    return try slice(container, from: try bound(lower), to: try bound(upper), by: try bound(step))
  }

  func evaluate(_ arguments: Jinja.Arguments, _ scope: Scope) throws -> CallArguments {
    var result = CallArguments()
    result.positional = try evaluateAll(arguments.positional, scope)
    for keyword in arguments.keywords { result.keywords.append((keyword.name, try evaluate(keyword.value, scope))) }
    if let unpacked = arguments.unpacked { result.positional += try iterate(try evaluate(unpacked, scope)) }
    if let unpacked = arguments.unpackedKeywords {
      let value = try evaluate(unpacked, scope)
      guard case .dictionary(let node) = value else {
        throw TemplateFailure("'**' needs a dictionary, got a \(value.typeName)")
      }
      var given = Set(result.keywords.map(\.name))
      try charge(steps: node.entries.count)
      for entry in node.entries {
        guard case .string(let name) = entry.key else { throw TemplateFailure("argument names must be strings") }
        guard given.insert(name).inserted else { throw TemplateFailure("'\(name)' is given twice") }
        result.keywords.append((name, entry.value))
      }
    }
    return result
  }

  // MARK: calls

  func call(_ target: Value, _ arguments: CallArguments) throws -> Value {
    switch target {
    case .undefined(let message): throw TemplateFailure(message)
    case .loop(let node): return try recurse(node, arguments)
    case .callable(let callable):
      switch callable.kind {
      case .macro(let macro, let scope, _): return try call(macro, scope: scope, arguments)
      case .function(let name): return try callFunction(name, arguments)
      case .method(let receiver, let name): return try callMethod(name, of: receiver, arguments)
      }
    default: throw TemplateFailure("a \(target.typeName) cannot be called")
    }
  }

  private func recurse(_ node: Jinja.LoopNode, _ arguments: CallArguments) throws -> Value {
    guard node.loop.isRecursive else { throw TemplateFailure("only a loop marked 'recursive' can call itself") }
    guard let items = try arguments.bound(to: ["iterable"], in: "loop")[0] else {
      throw TemplateFailure("loop() needs what to iterate over")
    }
    return .string(
      try capture { try executeLoop(node.loop, over: items, level: node.level + 1, node.scope) })
  }
}
