extension Jinja.Evaluator {
  static let functionNames: Set<String> = ["range", "dict", "namespace", "raise_exception", "strftime_now"]

  /// As in Jinja's sandbox.
  private static let longestRange = 100_000

  func callFunction(_ name: String, _ arguments: CallArguments) throws -> Value {
    switch name {
    case "range": return try range(arguments)
    case "dict": return try dictionary(try pairs(arguments, for: "dict"))
    case "namespace":
      let node = Jinja.NamespaceNode([])
      for (key, value) in try pairs(arguments, for: "namespace") {
        // Its names are looked for one after the other.
        try charge(steps: node.attributes.count / 8)
        guard case .string(let name) = key else { throw TemplateFailure("a namespace's names must be strings") }
        try set(name, of: node, to: value)
      }
      return .namespace(node)
    case "raise_exception":
      let message = try arguments.bound(to: ["message"], in: name)[0]
      guard let message else { throw TemplateFailure("raise_exception needs a message") }
      throw ChatTemplateError.raised(line: line, message: try string(of: message))
    case "strftime_now":
      guard case .string(let format)? = try arguments.bound(to: ["format"], in: name)[0] else {
        throw TemplateFailure("strftime_now needs a format")
      }
      guard format.utf8.count <= 1000 else {
        throw TemplateFailure("strftime_now takes a format of at most 1000 bytes")
      }
      return try text(clock(format))
    default: throw TemplateFailure("'\(name)' is undefined")
    }
  }

  private func range(_ arguments: CallArguments) throws -> Value {
    guard arguments.keywords.isEmpty, (1...3).contains(arguments.positional.count) else {
      throw TemplateFailure("range takes one to three integers")
    }
    let bounds = try arguments.positional.map { value in
      try refuseUndefined(value)
      guard case .int(let bound)? = number(value) else {
        throw TemplateFailure("range needs integers, got a \(value.typeName)")
      }
      return bound
    }
    let start = bounds.count > 1 ? bounds[0] : 0
    let end = bounds.count > 1 ? bounds[1] : bounds[0]
    let step = bounds.count > 2 ? bounds[2] : 1
    guard step != 0 else { throw TemplateFailure("the step of a range cannot be zero") }
    let (distance, overflow) =
      step > 0 ? end.subtractingReportingOverflow(start) : start.subtractingReportingOverflow(end)
    guard !overflow, distance <= 0 || (distance - 1) / Int(clamping: step.magnitude) < Self.longestRange else {
      throw TemplateFailure("a range may have at most \(Self.longestRange) items")
    }
    let description = step == 1 ? "range(\(start), \(end))" : "range(\(start), \(end), \(step))"
    return try sequence(.range(description), stride(from: start, to: end, by: step).map { .int($0) })
  }

  /// The entries that `dict` and `namespace` take: of one dictionary or list of pairs, and of the named arguments.
  private func pairs(_ arguments: CallArguments, for function: String) throws -> [(key: Value, value: Value)] {
    guard arguments.positional.count <= 1 else { throw TemplateFailure("\(function) takes one unnamed argument") }
    var pairs: [(key: Value, value: Value)] = []
    switch arguments.positional.first {
    case nil: break
    case .dictionary(let node)?: pairs = node.entries
    case .namespace(let node)?: pairs = node.attributes.map { (.string($0.name), $0.value) }
    case let value?:
      for item in try iterate(value) {
        let pair = try iterate(item)
        guard pair.count == 2 else { throw TemplateFailure("\(function) needs pairs") }
        pairs.append((pair[0], pair[1]))
      }
    }
    return pairs + arguments.keywords.map { (.string($0.name), $0.value) }
  }
}
