extension Jinja.Parser {
  typealias Expression = Jinja.Expression

  private func make(_ kind: Expression.Kind, line: Int) throws -> Expression {
    let expression = Expression(kind, line: line)
    guard expression.depth <= Self.maximumExpressionDepth else {
      throw ChatTemplateError.limitExceeded(line: line, .nesting, limit: Self.maximumExpressionDepth)
    }
    return expression
  }

  func isTupleEnd(endingWith end: String?) -> Bool {
    switch current.kind {
    case .variableEnd, .blockEnd, .symbol(")"): true
    case .name(let name): name == end
    default: false
    }
  }

  /// One expression, or several with commas between them as a tuple.
  mutating func parseTuple(
    conditional: Bool = true, endingWith end: String? = nil, inParentheses: Bool = false
  ) throws -> Expression {
    let line = line
    var items: [Expression] = []
    var isTuple = false
    while !isTupleEnd(endingWith: end) {
      items.append(conditional ? try parseExpression() : try parseOr())
      guard skip(symbol: ",") else { break }
      isTuple = true
    }
    if !isTuple, let only = items.first { return only }
    guard isTuple || inParentheses else { throw error("expected an expression, got \(describe(current))") }
    return try make(.tuple(items), line: line)
  }

  mutating func parseExpression() throws -> Expression {
    try nested { try $0.parseConditional() }
  }

  private mutating func parseConditional() throws -> Expression {
    var line = line
    var value = try parseOr()
    while skip(name: "if") {
      let outer = isConditional
      isConditional = true
      let test = try parseOr()
      let otherwise = skip(name: "else") ? try nested { try $0.parseConditional() } : nil
      isConditional = outer
      value = try make(.conditional(test: test, then: value, otherwise: otherwise), line: line)
      line = self.line
    }
    return value
  }

  private mutating func parseOr() throws -> Expression {
    let line = line
    var left = try parseAnd()
    while skip(name: "or") { left = try make(.or(left, try parseAnd()), line: line) }
    return left
  }

  private mutating func parseAnd() throws -> Expression {
    let line = line
    var left = try parseNot()
    while skip(name: "and") { left = try make(.and(left, try parseNot()), line: line) }
    return left
  }

  private mutating func parseNot() throws -> Expression {
    let line = line
    guard skip(name: "not") else { return try parseComparison() }
    return try make(.not(try nested { try $0.parseNot() }), line: line)
  }

  private mutating func parseComparison() throws -> Expression {
    let line = line
    let first = try parseSum()
    var rest: [(operation: Jinja.ComparisonOperator, operand: Expression)] = []
    while true {
      if case .symbol(let symbol) = current.kind, let operation = Jinja.ComparisonOperator(rawValue: symbol) {
        index += 1
        rest.append((operation, try parseSum()))
      } else if skip(name: "in") {
        rest.append((.isIn, try parseSum()))
      } else if isName("not"), next.kind == .name("in") {
        index += 2
        rest.append((.isNotIn, try parseSum()))
      } else {
        break
      }
    }
    return rest.isEmpty ? first : try make(.comparison(first, rest), line: line)
  }

  /// The operator at the current token if it is one of `symbols`.
  private mutating func skipOperator(_ symbols: String...) -> Jinja.BinaryOperator? {
    guard case .symbol(let symbol) = current.kind, symbols.contains(symbol) else { return nil }
    index += 1
    return Jinja.BinaryOperator(rawValue: symbol)
  }

  private mutating func parseSum() throws -> Expression {
    let line = line
    var left = try parseConcatenation()
    while let operation = skipOperator("+", "-") {
      left = try make(.binary(operation, left, try parseConcatenation()), line: line)
    }
    return left
  }

  private mutating func parseConcatenation() throws -> Expression {
    let line = line
    var parts = [try parseProduct()]
    while skip(symbol: "~") { parts.append(try parseProduct()) }
    return parts.count == 1 ? parts[0] : try make(.concatenation(parts), line: line)
  }

  private mutating func parseProduct() throws -> Expression {
    let line = line
    var left = try parsePower()
    while let operation = skipOperator("*", "/", "//", "%") {
      left = try make(.binary(operation, left, try parsePower()), line: line)
    }
    return left
  }

  private mutating func parsePower() throws -> Expression {
    let line = line
    var left = try parseUnary()
    while let operation = skipOperator("**") {
      left = try make(.binary(operation, left, try parseUnary()), line: line)
    }
    return left
  }

  private mutating func parseUnary(withFilters: Bool = true) throws -> Expression {
    let line = line
    var value: Expression
    if skip(symbol: "-") {
      value = try make(.negative(try nested { try $0.parseUnary(withFilters: false) }), line: line)
    } else if skip(symbol: "+") {
      value = try make(.positive(try nested { try $0.parseUnary(withFilters: false) }), line: line)
    } else {
      value = try parsePrimary()
    }
    value = try parsePostfix(value)
    return withFilters ? try parseFilters(value) : value
  }

  // MARK: primaries

  private mutating func parsePrimary() throws -> Expression {
    let token = current
    index += 1
    switch token.kind {
    case .name(let name): return try parseNamed(name, line: token.line)
    case .string(var text):
      while case .string(let more) = current.kind {
        text += more
        index += 1
      }
      return try make(.constant(.string(text)), line: token.line)
    case .integer(let value): return try make(.constant(.int(value)), line: token.line)
    case .float(let value): return try make(.constant(.float(value)), line: token.line)
    case .symbol("("):
      let value = try nested { try $0.parseTuple(inParentheses: true) }
      try expect(symbol: ")")
      return value
    case .symbol("["): return try parseList(line: token.line)
    case .symbol("{"): return try parseDictionary(line: token.line)
    default:
      index -= 1
      throw error("expected an expression, got \(describe(token))")
    }
  }

  private mutating func parseNamed(_ name: String, line: Int) throws -> Expression {
    switch name {
    case "true", "True": return try make(.constant(.bool(true)), line: line)
    case "false", "False": return try make(.constant(.bool(false)), line: line)
    case "none", "None": return try make(.constant(.none), line: line)
    default:
      namesRead.insert(name)
      return try make(.name(name), line: line)
    }
  }

  private mutating func parseList(line: Int) throws -> Expression {
    var items: [Expression] = []
    while !isSymbol("]") {
      items.append(try parseExpression())
      guard skip(symbol: ",") else { break }
    }
    try expect(symbol: "]")
    return try make(.list(items), line: line)
  }

  private mutating func parseDictionary(line: Int) throws -> Expression {
    var pairs: [(key: Expression, value: Expression)] = []
    while !isSymbol("}") {
      let key = try parseExpression()
      try expect(symbol: ":")
      pairs.append((key, try parseExpression()))
      guard skip(symbol: ",") else { break }
    }
    try expect(symbol: "}")
    return try make(.dictionary(pairs), line: line)
  }

  // MARK: postfixes

  private mutating func parsePostfix(_ base: Expression) throws -> Expression {
    var value = base
    while true {
      let line = line
      if skip(symbol: ".") {
        if case .integer(let index) = current.kind {
          self.index += 1
          value = try make(.item(value, try make(.constant(.int(index)), line: line)), line: line)
        } else {
          value = try make(.attribute(value, try expectName()), line: line)
        }
      } else if skip(symbol: "[") {
        value = try parseSubscript(of: value, line: line)
      } else if isSymbol("(") {
        value = try make(.call(value, try parseArguments()), line: line)
      } else {
        return value
      }
    }
  }

  private mutating func parseSubscript(of base: Expression, line: Int) throws -> Expression {
    let lower = isSymbol(":") ? nil : try parseExpression()
    guard skip(symbol: ":") else {
      guard let first = lower else { throw error("an index is missing") }
      var items = [first]
      while skip(symbol: ",") { items.append(try parseExpression()) }
      try expect(symbol: "]")
      return try make(.item(base, items.count == 1 ? first : try make(.tuple(items), line: line)), line: line)
    }
    let upper = isSymbol(":") || isSymbol("]") ? nil : try parseExpression()
    var step: Expression?
    if skip(symbol: ":"), !isSymbol("]") { step = try parseExpression() }
    try expect(symbol: "]")
    return try make(.slice(base, lower: lower, upper: upper, step: step), line: line)
  }

  private mutating func parseArguments() throws -> Jinja.Arguments {
    let invalid = ChatTemplateError.syntax(line: line, "the arguments of this call are in no valid order")
    try expect(symbol: "(")
    var arguments = Jinja.Arguments()
    while !isSymbol(")") {
      if skip(symbol: "*") {
        guard arguments.unpacked == nil, arguments.unpackedKeywords == nil else { throw invalid }
        arguments.unpacked = try parseExpression()
      } else if skip(symbol: "**") {
        guard arguments.unpackedKeywords == nil else { throw invalid }
        arguments.unpackedKeywords = try parseExpression()
      } else if case .name(let name) = current.kind, next.kind == .symbol("=") {
        guard arguments.unpackedKeywords == nil else { throw invalid }
        guard !arguments.keywords.contains(where: { $0.name == name }) else { throw error("'\(name)' is given twice") }
        index += 2
        arguments.keywords.append((name, try parseExpression()))
      } else {
        guard arguments.keywords.isEmpty, arguments.unpacked == nil, arguments.unpackedKeywords == nil else {
          throw invalid
        }
        arguments.positional.append(try parseExpression())
      }
      guard skip(symbol: ",") else { break }
    }
    try expect(symbol: ")")
    return arguments
  }

  // MARK: filters and tests

  private mutating func parseFilters(_ base: Expression) throws -> Expression {
    var value = base
    while true {
      let line = line
      if skip(symbol: "|") {
        value = try make(.filter(value, try parseFilterUse()), line: line)
      } else if skip(name: "is") {
        value = try parseTest(of: value, line: line)
      } else if isSymbol("(") {
        value = try make(.call(value, try parseArguments()), line: line)
      } else {
        return value
      }
    }
  }

  private mutating func parseFilterUse() throws -> Jinja.FilterUse {
    let line = line
    let name = try expectName()
    if !isConditional, !Jinja.Evaluator.filterNames.contains(name) {
      throw ChatTemplateError.syntax(line: line, "no filter is called '\(name)'")
    }
    return Jinja.FilterUse(name: name, arguments: isSymbol("(") ? try parseArguments() : Jinja.Arguments())
  }

  /// `upper | trim`, as behind the tag `filter`.
  mutating func parseFilterChain() throws -> [Jinja.FilterUse] {
    [try parseFilterUse()] + (try parsePipedFilters())
  }

  /// `| upper | trim`, as in a block assignment.
  mutating func parsePipedFilters() throws -> [Jinja.FilterUse] {
    var filters: [Jinja.FilterUse] = []
    while skip(symbol: "|") { filters.append(try parseFilterUse()) }
    return filters
  }

  private mutating func parseTest(of value: Expression, line: Int) throws -> Expression {
    let isNegated = skip(name: "not")
    let name = try expectName()
    if !isConditional, !Jinja.Evaluator.testNames.contains(name) {
      throw ChatTemplateError.syntax(line: line, "no test is called '\(name)'")
    }
    var arguments = Jinja.Arguments()
    if isSymbol("(") {
      arguments = try parseArguments()
    } else if startsTestArgument {
      guard !isName("is") else { throw error("tests cannot be chained with 'is'") }
      arguments.positional = [try parsePostfix(try parsePrimary())]
    }
    let test = try make(.test(value, Jinja.FilterUse(name: name, arguments: arguments)), line: line)
    return isNegated ? try make(.not(test), line: line) : test
  }

  private var startsTestArgument: Bool {
    switch current.kind {
    case .name(let name): name != "else" && name != "or" && name != "and"
    case .string, .integer, .float, .symbol("["), .symbol("{"): true
    default: false
    }
  }
}
