extension Jinja.Evaluator {
  typealias Value = Jinja.Value
  typealias Scope = Jinja.Scope
  typealias Statement = Jinja.Statement
  typealias Flow = Jinja.Flow

  func execute(_ body: [Statement], _ scope: Scope) throws -> Flow {
    try enter()
    defer { leave() }
    for statement in body {
      try charge()
      line = statement.line
      let flow = try execute(statement, scope)
      guard case .normal = flow else { return flow }
    }
    return .normal
  }

  private func execute(_ statement: Statement, _ scope: Scope) throws -> Flow {
    switch statement.kind {
    case .text(let text): try emit(text)
    case .output(let values):
      for value in values { try emit(try string(of: try evaluate(value, scope))) }
    case .conditional(let branches, let otherwise):
      return try executeBranch(branches, otherwise: otherwise, scope)
    case .loop(let loop): try executeLoop(loop, over: try evaluate(loop.items, scope), level: 0, scope)
    case .set(let target, let value): try assign(try evaluate(value, scope), to: target, scope)
    case .setBlock(let target, let filters, let body):
      let value = try filtered(filters, body: body, scope)
      try assign(value, to: target, scope)
    case .macro(let macro):
      keepForCleaning(scope)
      scope.variables[macro.name] = .callable(Jinja.Callable(.macro(macro, scope: scope, isCaller: false)))
    case .callBlock(let caller, let call): try executeCallBlock(caller, call: call, scope)
    case .filterBlock(let filters, let body):
      try emit(try string(of: try filtered(filters, body: body, scope)))
    case .with(let bindings, let body):
      let inner = Scope(parent: scope)
      let values = try bindings.map { try evaluate($0.value, scope) }
      for (binding, value) in zip(bindings, values) { try assign(value, to: binding.target, inner) }
      return try execute(body, inner)
    case .generation(let body):
      try marking { _ = try execute(body, Scope(parent: scope)) }
    case .breakLoop: return .breakLoop
    case .continueLoop: return .continueLoop
    }
    return .normal
  }

  private func executeBranch(
    _ branches: [(test: Jinja.Expression, body: [Statement])], otherwise: [Statement], _ scope: Scope
  ) throws -> Flow {
    for branch in branches where try evaluate(branch.test, scope).truth { return try execute(branch.body, scope) }
    return try execute(otherwise, scope)
  }

  // MARK: loops

  func executeLoop(_ loop: Jinja.Loop, over value: Value, level: Int, _ scope: Scope) throws {
    var items = try iterate(value)
    if let condition = loop.condition {
      items = try items.filter { item in
        try charge()
        let inner = Scope(parent: scope)
        try assign(item, to: loop.target, inner)
        return try evaluate(condition, inner).truth
      }
    }
    let node = Jinja.LoopNode(items: items, level: level, loop: loop, scope: scope)
    iteration: for index in items.indices {
      try charge()
      node.index = index
      let inner = Scope(parent: scope, variables: ["loop": .loop(node)])
      try assign(items[index], to: loop.target, inner)
      switch try execute(loop.body, inner) {
      case .breakLoop: break iteration
      case .continueLoop, .normal: continue
      }
    }
    if items.isEmpty { _ = try execute(loop.otherwise, Scope(parent: scope)) }
  }

  /// The items that `for` goes through.
  func iterate(_ value: Value) throws -> [Value] {
    switch value {
    case .undefined: return []
    case .string(let text):
      let scalars = text.unicodeScalars
      try charge(steps: scalars.count)
      try charge(bytes: scalars.count * MemoryLayout<Value>.stride)
      return scalars.map { .string(String($0)) }
    case .sequence(let node):
      try charge(steps: node.items.count / 8)
      return try node.take()
    case .dictionary(let node):
      try charge(steps: node.entries.count / 8)
      return node.entries.map(\.key)
    default: throw TemplateFailure("a \(value.typeName) cannot be iterated over")
    }
  }

  // MARK: assignment

  func assign(_ value: Value, to target: Jinja.Target, _ scope: Scope) throws {
    switch target {
    case .name(let name): scope.variables[name] = value
    case .namespace(let name, let attribute):
      guard case .namespace(let node)? = scope.value(of: name) else {
        throw TemplateFailure("'\(name)' is no namespace, so '\(name).\(attribute)' cannot be set")
      }
      try set(attribute, of: node, to: value)
    case .tuple(let targets):
      if case .undefined(let message) = value { throw TemplateFailure(message) }
      let items = try iterate(value)
      guard items.count == targets.count else {
        throw TemplateFailure("cannot unpack \(items.count) values into \(targets.count) names")
      }
      for (target, item) in zip(targets, items) { try assign(item, to: target, scope) }
    }
  }

  func set(_ attribute: String, of node: Jinja.NamespaceNode, to value: Value) throws {
    guard !attribute.hasPrefix("_") else {
      throw TemplateFailure("a namespace cannot hold '\(attribute)', because it starts with an underscore")
    }
    guard !value.holdsNamespace else {
      throw ChatTemplateError.unsupported(line: line, "a namespace, function or loop inside a namespace")
    }
    node[attribute] = value
  }

  private func filtered(_ filters: [Jinja.FilterUse], body: [Statement], _ scope: Scope) throws -> Value {
    let inner = Scope(parent: scope)
    var value = Value.string(try capture { _ = try execute(body, inner) })
    for filter in filters { value = try apply(filter, to: value, scope) }
    return value
  }

  // MARK: macros

  private func executeCallBlock(_ caller: Jinja.Macro, call: Jinja.Expression, _ scope: Scope) throws {
    guard case .call(let function, let arguments) = call.kind else { return }
    let target = try evaluate(function, scope)
    var passed = try evaluate(arguments, scope)
    passed.keywords.append(("caller", .callable(Jinja.Callable(.macro(caller, scope: scope, isCaller: true)))))
    try emit(try string(of: try self.call(target, passed)))
  }

  func call(_ macro: Jinja.Macro, scope: Scope, _ passed: CallArguments) throws -> Value {
    let inner = Scope(parent: scope)
    try bind(passed, to: macro, inner)
    return .string(try capture { _ = try execute(macro.body, inner) })
  }

  private func bind(_ passed: CallArguments, to macro: Jinja.Macro, _ scope: Scope) throws {
    var keywords = passed.keywords
    try charge(steps: macro.parameters.count * keywords.count / 8)
    for (index, parameter) in macro.parameters.enumerated() {
      let position = keywords.firstIndex { $0.name == parameter.name }
      if index < passed.positional.count {
        guard position == nil else {
          throw TemplateFailure("macro '\(macro.name)' got two values for '\(parameter.name)'")
        }
        scope.variables[parameter.name] = passed.positional[index]
      } else if let position {
        scope.variables[parameter.name] = keywords.remove(at: position).value
      } else if let fallback = parameter.fallback {
        scope.variables[parameter.name] = try evaluate(fallback, scope)
      } else {
        scope.variables[parameter.name] = .undefined("parameter '\(parameter.name)' was not provided")
      }
    }
    if macro.implicit.contains("caller"), !macro.parameters.contains(where: { $0.name == "caller" }) {
      let position = keywords.firstIndex { $0.name == "caller" }
      let fallback = scope.parent?.value(of: "caller")
      scope.variables["caller"] =
        position.map { keywords.remove(at: $0).value } ?? fallback ?? .undefined("no caller is defined")
    }
    if macro.implicit.contains("kwargs") {
      scope.variables["kwargs"] = try dictionary(keywords.map { (.string($0.name), $0.value) })
    } else if let extra = keywords.first {
      throw TemplateFailure("macro '\(macro.name)' takes no argument '\(extra.name)'")
    }
    let rest = passed.positional.dropFirst(macro.parameters.count)
    if macro.implicit.contains("varargs") {
      scope.variables["varargs"] = try sequence(.tuple, Array(rest))
    } else if !rest.isEmpty {
      throw TemplateFailure("macro '\(macro.name)' takes at most \(macro.parameters.count) arguments")
    }
  }
}
