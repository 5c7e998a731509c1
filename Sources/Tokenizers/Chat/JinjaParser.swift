extension Jinja {
  /// Recursive descent over the tokens, with the grammar of `jinja2.parser`.
  struct Parser {
    static let maximumNesting = 50
    static let maximumExpressionDepth = 120

    let tokens: [Token]
    var index = 0
    var nesting = 0
    /// Loops around the current statement within the same function body; `break` needs one.
    var loops = 0
    /// Inside a branch, an unknown filter or test is an error only when it is reached.
    var isConditional = false
    /// Names read in the macro being parsed, to know whether it takes `varargs`, `kwargs` or `caller`.
    var namesRead: Set<String> = []

    static func statements(of source: String) throws -> [Statement] {
      var parser = Parser(tokens: try Lexer.tokens(of: source))
      let body = try parser.parseBody(until: [])
      return body
    }

    var current: Token { tokens[min(index, tokens.count - 1)] }
    var next: Token { tokens[min(index + 1, tokens.count - 1)] }
    var line: Int { current.line }

    func error(_ what: String) -> ChatTemplateError { .syntax(line: line, what) }

    func isSymbol(_ symbol: String) -> Bool { current.kind == .symbol(symbol) }
    func isName(_ name: String) -> Bool { current.kind == .name(name) }

    mutating func skip(symbol: String) -> Bool {
      guard isSymbol(symbol) else { return false }
      index += 1
      return true
    }

    mutating func skip(name: String) -> Bool {
      guard isName(name) else { return false }
      index += 1
      return true
    }

    mutating func expect(symbol: String) throws {
      guard skip(symbol: symbol) else { throw error("expected '\(symbol)', got \(describe(current))") }
    }

    mutating func expect(name: String) throws {
      guard skip(name: name) else { throw error("expected '\(name)', got \(describe(current))") }
    }

    mutating func expectName() throws -> String {
      guard case .name(let name) = current.kind else { throw error("expected a name, got \(describe(current))") }
      index += 1
      return name
    }

    mutating func expect(_ kind: Token.Kind) throws {
      guard current.kind == kind else { throw error("unexpected \(describe(current))") }
      index += 1
    }

    func describe(_ token: Token) -> String {
      switch token.kind {
      case .text: "text"
      case .blockBegin: "'{%'"
      case .blockEnd: "'%}'"
      case .variableBegin: "'{{'"
      case .variableEnd: "'}}'"
      case .name(let name): "'\(name)'"
      case .string(let text): "the string '\(text.prefix(40))'"
      case .integer(let value): "\(value)"
      case .float(let value): "\(value)"
      case .symbol(let symbol): "'\(symbol)'"
      case .end: "the end of the template"
      }
    }

    mutating func nested<R>(_ body: (inout Self) throws -> R) throws -> R {
      nesting += 1
      defer { nesting -= 1 }
      guard nesting <= Self.maximumNesting else {
        throw ChatTemplateError.limitExceeded(line: line, .nesting, limit: Self.maximumNesting)
      }
      return try body(&self)
    }

    // MARK: bodies

    /// Statements up to a tag named in `ends`; the caller finds that name as the current token.
    mutating func parseBody(until ends: Set<String>) throws -> [Statement] {
      try nested { parser in
        var body: [Statement] = []
        while true {
          let line = parser.line
          switch parser.current.kind {
          case .text(let text):
            parser.index += 1
            body.append(Statement(kind: .text(text), line: line))
          case .variableBegin:
            parser.index += 1
            let value = try parser.parseTuple()
            try parser.expect(.variableEnd)
            body.append(Statement(kind: .output([value]), line: line))
          case .blockBegin:
            parser.index += 1
            guard case .name(let name) = parser.current.kind else { throw parser.error("a tag name is missing") }
            if ends.contains(name) { return body }
            body.append(Statement(kind: try parser.parseStatement(name, closing: ends), line: line))
            try parser.expect(.blockEnd)
          case .end:
            guard ends.isEmpty else {
              throw parser.error("the template ends before \(ends.sorted().joined(separator: " or "))")
            }
            return body
          default:
            throw parser.error("unexpected \(parser.describe(parser.current))")
          }
        }
      }
    }

    /// The body behind a tag's end, up to one of `ends`, whose name is consumed and returned.
    mutating func parseBlock(until ends: String...) throws -> (body: [Statement], end: String) {
      _ = skip(symbol: ":")
      try expect(.blockEnd)
      let body = try parseBody(until: Set(ends))
      return (body, try expectName())
    }

    /// A body whose variables and loops are its own.
    mutating func parseFunctionBody(until end: String) throws -> [Statement] {
      let outer = (loops, isConditional)
      (loops, isConditional) = (0, false)
      defer { (loops, isConditional) = outer }
      return try parseBlock(until: end).body
    }

    // MARK: statements

    private mutating func parseStatement(_ name: String, closing: Set<String>) throws -> Statement.Kind {
      index += 1
      switch name {
      case "if": return try parseIf()
      case "for": return try parseFor()
      case "set": return try parseSet()
      case "macro": return try parseMacro()
      case "call": return try parseCallBlock()
      case "filter":
        let filters = try parseFilterChain()
        return .filterBlock(filters: filters, body: try parseBlock(until: "endfilter").body)
      case "with": return try parseWith()
      case "generation": return .generation(body: try parseFunctionBody(until: "endgeneration"))
      case "print": return .output(try parsePrinted())
      case "break", "continue":
        guard loops > 0 else { throw ChatTemplateError.syntax(line: line, "'\(name)' outside of a loop") }
        return name == "break" ? .breakLoop : .continueLoop
      case "block", "extends", "include", "import", "from", "autoescape", "trans", "do", "debug":
        throw ChatTemplateError.unsupported(line: line, "the tag '\(name)'")
      default:
        let needed = closing.sorted().joined(separator: " or ")
        let hint = closing.isEmpty ? "" : "; the innermost open block needs \(needed)"
        throw error("unknown tag '\(name)'\(hint)")
      }
    }

    private mutating func parseIf() throws -> Statement.Kind {
      let outer = isConditional
      isConditional = true
      defer { isConditional = outer }
      var branches: [(test: Expression, body: [Statement])] = []
      while true {
        let test = try parseTuple(conditional: false)
        let (body, end) = try parseBlock(until: "elif", "else", "endif")
        branches.append((test, body))
        switch end {
        case "elif": continue
        case "else": return .conditional(branches, otherwise: try parseBlock(until: "endif").body)
        default: return .conditional(branches, otherwise: [])
        }
      }
    }

    private mutating func parseFor() throws -> Statement.Kind {
      let target = try parseTarget(endingWith: "in")
      try expect(name: "in")
      let items = try parseTuple(conditional: false, endingWith: "recursive")
      let condition = skip(name: "if") ? try parseExpression() : nil
      let isRecursive = skip(name: "recursive")
      let outer = isConditional
      isConditional = false
      loops += 1
      let (body, end) = try parseBlock(until: "endfor", "else")
      loops -= 1
      let otherwise = end == "else" ? try parseBlock(until: "endfor").body : []
      isConditional = outer
      return .loop(
        Loop(
          target: target, items: items, condition: condition, isRecursive: isRecursive, body: body,
          otherwise: otherwise))
    }

    private mutating func parseSet() throws -> Statement.Kind {
      let target = try parseTarget(allowsNamespace: true)
      if skip(symbol: "=") { return .set(target, try parseTuple()) }
      let filters = isSymbol("|") ? try parsePipedFilters() : []
      return .setBlock(target, filters: filters, body: try parseBlock(until: "endset").body)
    }

    private mutating func parseMacro() throws -> Statement.Kind {
      let name = try expectName()
      return .macro(try parseMacro(named: name, until: "endmacro") { try $0.parseSignature() })
    }

    private mutating func parseCallBlock() throws -> Statement.Kind {
      let parameters = isSymbol("(") ? try parseSignature() : []
      let call = try parseExpression()
      guard case .call = call.kind else { throw error("a call block needs a call") }
      let caller = try parseMacro(named: "caller", until: "endcall") { _ in parameters }
      return .callBlock(caller: caller, call: call)
    }

    private mutating func parseMacro(
      named name: String, until end: String,
      signature: (inout Self) throws -> [(name: String, fallback: Expression?)]
    ) throws -> Macro {
      let outer = namesRead
      namesRead = []
      let parameters = try signature(&self)
      let body = try parseFunctionBody(until: end)
      let implicit = namesRead.intersection(["varargs", "kwargs", "caller"])
      namesRead = outer.union(namesRead)
      return Macro(name: name, parameters: parameters, body: body, implicit: implicit)
    }

    private mutating func parseSignature() throws -> [(name: String, fallback: Expression?)] {
      try expect(symbol: "(")
      var parameters: [(name: String, fallback: Expression?)] = []
      while !isSymbol(")") {
        if !parameters.isEmpty { try expect(symbol: ",") }
        let name = try expectName()
        if skip(symbol: "=") {
          parameters.append((name, try parseExpression()))
        } else if let last = parameters.last, last.fallback != nil {
          throw error("the parameter '\(name)' needs a default, because one before it has one")
        } else {
          parameters.append((name, nil))
        }
      }
      try expect(symbol: ")")
      return parameters
    }

    private mutating func parseWith() throws -> Statement.Kind {
      var bindings: [(target: Target, value: Expression)] = []
      while current.kind != .blockEnd {
        if !bindings.isEmpty { try expect(symbol: ",") }
        let target = try parseTarget()
        try expect(symbol: "=")
        bindings.append((target, try parseExpression()))
      }
      return .with(bindings, body: try parseBlock(until: "endwith").body)
    }

    private mutating func parsePrinted() throws -> [Expression] {
      var values: [Expression] = []
      while current.kind != .blockEnd {
        if !values.isEmpty { try expect(symbol: ",") }
        values.append(try parseExpression())
      }
      return values
    }

    // MARK: targets

    private mutating func parseTarget(allowsNamespace: Bool = false, endingWith end: String? = nil) throws -> Target {
      var targets: [Target] = []
      var isTuple = false
      while true {
        if isTupleEnd(endingWith: end) { break }
        targets.append(try parseSimpleTarget(allowsNamespace: allowsNamespace))
        guard skip(symbol: ",") else { break }
        isTuple = true
      }
      guard let first = targets.first else { throw error("a name to assign to is missing") }
      return isTuple ? .tuple(targets) : first
    }

    private mutating func parseSimpleTarget(allowsNamespace: Bool) throws -> Target {
      if skip(symbol: "(") {
        let target = try nested { try $0.parseTarget(allowsNamespace: allowsNamespace) }
        try expect(symbol: ")")
        return target
      }
      let name = try expectName()
      guard !["true", "false", "none", "True", "False", "None"].contains(name) else {
        throw error("cannot assign to '\(name)'")
      }
      if allowsNamespace, skip(symbol: ".") { return .namespace(name, attribute: try expectName()) }
      return .name(name)
    }
  }
}
