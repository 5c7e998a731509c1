extension Jinja.Evaluator {
  static let listMethods: Set<String> = ["index", "count", "copy"]
  static let dictionaryMethods: Set<String> = ["get", "keys", "values", "items", "copy"]
  static let stringMethods: Set<String> = [
    "upper", "lower", "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith", "replace",
    "title", "capitalize", "swapcase", "find", "rfind", "index", "rindex", "count", "join", "isdigit",
    "isnumeric", "isdecimal", "isalpha", "isalnum", "isspace", "isupper", "islower", "format", "removeprefix",
    "removesuffix", "zfill", "ljust", "rjust", "center", "partition", "rpartition",
  ]

  func callMethod(_ name: String, of receiver: Value, _ arguments: CallArguments) throws -> Value {
    switch receiver {
    case .string(let text):
      try chargeReading(text, factor: 16)
      return try callStringMethod(name, of: text, arguments)
    case .dictionary(let node): return try callDictionaryMethod(name, of: node, arguments)
    case .sequence(let node): return try callListMethod(name, of: node, arguments)
    case .loop(let node): return try callLoopMethod(name, of: node, arguments)
    default: throw TemplateFailure("a \(receiver.typeName) has no method '\(name)'")
    }
  }

  private func callDictionaryMethod(
    _ name: String, of node: Jinja.DictionaryNode, _ arguments: CallArguments
  ) throws -> Value {
    if name == "get" {
      guard arguments.keywords.isEmpty, let key = arguments.positional.first, arguments.positional.count <= 2 else {
        throw TemplateFailure("get takes a key and a default")
      }
      if case .string(let name) = key { try chargeReading(name) }
      let found = key.isUndefined ? nil : node[try key.hashKey()]
      return found ?? (arguments.positional.count > 1 ? arguments.positional[1] : .none)
    }
    _ = try arguments.bound(to: [], in: name)
    switch name {
    case "keys": return try sequence(.keys, node.entries.map(\.key))
    case "values": return try sequence(.values, node.entries.map(\.value))
    case "items": return try sequence(.items, try node.entries.map { try sequence(.tuple, [$0.key, $0.value]) })
    default: return .dictionary(node)
    }
  }

  private func callListMethod(_ name: String, of node: Jinja.SequenceNode, _ arguments: CallArguments) throws -> Value {
    guard name != "copy" else { return .sequence(node) }
    guard arguments.keywords.isEmpty, arguments.positional.count == 1 else {
      throw TemplateFailure("\(name) takes one value")
    }
    var count = 0
    for (index, item) in node.items.enumerated() where try equals(item, arguments.positional[0]) {
      if name == "index" { return .int(index) }
      count += 1
    }
    guard name == "count" else { throw TemplateFailure("the value is not in the list") }
    return .int(count)
  }

  private func callLoopMethod(_ name: String, of node: Jinja.LoopNode, _ arguments: CallArguments) throws -> Value {
    let values = arguments.positional
    if name == "cycle" {
      guard !values.isEmpty else { throw TemplateFailure("loop.cycle needs values") }
      return values[node.index % values.count]
    }
    defer { node.lastChecked = values.contains(where: \.holdsNamespace) ? nil : values }
    guard let last = node.lastChecked, last.count == values.count else { return .bool(true) }
    for (old, new) in zip(last, values) where !(try equals(old, new)) { return .bool(true) }
    return .bool(false)
  }

  // MARK: strings

  private func string(_ value: Value?, in method: String) throws -> String {
    switch value {
    case .string(let text)?: return text
    case .undefined(let message)?: throw TemplateFailure(message)
    case let value?: throw TemplateFailure("\(method) needs a string, got a \(value.typeName)")
    case nil: throw TemplateFailure("\(method) needs a string")
    }
  }

  private func optionalString(_ value: Value?, in method: String) throws -> String? {
    switch value {
    case nil, .none?: nil
    default: try string(value, in: method)
    }
  }

  func integer(_ value: Value?, _ fallback: Int, in method: String) throws -> Int {
    guard let value else { return fallback }
    try refuseUndefined(value)
    guard case .int(let integer)? = number(value) else {
      throw TemplateFailure("\(method) needs an integer, got a \(value.typeName)")
    }
    return integer
  }

  private func callStringMethod(_ name: String, of text: String, _ arguments: CallArguments) throws -> Value {
    switch name {
    case "format": return try self.text(try formatted(braces: text, arguments))
    case "split", "rsplit": return try split(text, arguments, fromEnd: name == "rsplit")
    case "replace": return try replace(text, arguments)
    case "strip", "lstrip", "rstrip":
      let characters = try optionalString(try arguments.bound(to: ["chars"], in: name)[0], in: name)
      return try self.text(Jinja.stripped(text, characters, start: name != "rstrip", end: name != "lstrip"))
    case "startswith", "endswith": return .bool(try hasAffix(text, name, arguments))
    case "find", "rfind", "index", "rindex", "count": return try search(text, name, arguments)
    case "join":
      let items = try iterate(try arguments.bound(to: ["iterable"], in: name)[0] ?? .undefined("join needs a list"))
      return try joined(try items.map { try string($0, in: name) }, separator: text)
    case "removeprefix", "removesuffix":
      let part = try string(arguments.positional.first, in: name)
      let (scalars, affix) = (text.unicodeScalars, part.unicodeScalars)
      if name == "removeprefix" {
        return try self.text(scalars.starts(with: affix) ? scalars.dropFirst(affix.count) : scalars[...])
      }
      let ends = scalars.reversed().starts(with: affix.reversed())
      return try self.text(ends ? scalars.dropLast(affix.count) : scalars[...])
    case "zfill", "ljust", "rjust", "center": return try padded(text, name, arguments)
    case "partition", "rpartition": return try partition(text, name, arguments)
    case "splitlines":
      try chargeReading(text, factor: 32)
      let keeps = try arguments.bound(to: ["keepends"], in: name)[0]?.truth ?? false
      return try list(try Jinja.lines(of: text, keepingEnds: keeps).map { try self.text($0) })
    default:
      _ = try arguments.bound(to: [], in: name)
      try charge(steps: text.utf8.count / 8)
      return try convert(text, name)
    }
  }

  private func convert(_ text: String, _ name: String) throws -> Value {
    let scalars = text.unicodeScalars
    func all(_ predicate: (Unicode.Scalar) -> Bool) -> Value {
      .bool(!scalars.isEmpty && scalars.allSatisfy(predicate))
    }
    switch name {
    case "upper": return try self.text(text.uppercased())
    case "lower": return try self.text(text.lowercased())
    case "title": return try self.text(Jinja.titled(text))
    case "capitalize": return try self.text(Jinja.capitalized(text))
    case "swapcase":
      return try self.text(
        scalars.map { $0.properties.isLowercase ? $0.properties.uppercaseMapping : $0.properties.lowercaseMapping }
          .joined())
    case "isupper": return .bool(Jinja.isCased(text, upper: true))
    case "islower": return .bool(Jinja.isCased(text, upper: false))
    case "isspace": return all(\.isTemplateSpace)
    case "isdecimal": return all { $0.properties.generalCategory == .decimalNumber }
    case "isdigit": return all { $0.properties.numericType == .decimal || $0.properties.numericType == .digit }
    case "isnumeric": return all { $0.properties.numericType != nil }
    case "isalpha": return all(\.isLetter)
    case "isalnum": return all { $0.isLetter || $0.properties.numericType != nil }
    default: throw TemplateFailure("a string has no method '\(name)'")
    }
  }

  private func split(_ text: String, _ arguments: CallArguments, fromEnd: Bool) throws -> Value {
    let values = try arguments.bound(to: ["sep", "maxsplit"], in: "split")
    let separator = try optionalString(values[0], in: "split")
    guard separator != "" else { throw TemplateFailure("a string cannot be split at the empty string") }
    let limit = try integer(values[1], -1, in: "split")
    try chargeReading(text, factor: 32)
    let parts = Jinja.split(text, separator: separator, limit: limit, fromEnd: fromEnd)
    try charge(steps: parts.count)
    return try list(try parts.map { try self.text($0) })
  }

  private func replace(_ text: String, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["old", "new", "count"], in: "replace")
    return try replaced(
      text, try string(values[0], in: "replace"), try string(values[1], in: "replace"),
      limit: try integer(values[2], -1, in: "replace"))
  }

  func replaced(_ text: String, _ old: String, _ new: String, limit: Int) throws -> Value {
    try chargeReading(text, factor: 32)
    try chargeReading(old)
    // An occurrence costs far more than the character that it may be.
    if old.utf8.count < 4 { try charge(steps: text.utf8.count) }
    // Each occurrence grows the text by at most the replacement, so the size is known to be safe beforehand.
    let most = old.isEmpty ? text.utf8.count + 1 : text.utf8.count / max(1, old.utf8.count)
    let (growth, overflow) = most.multipliedReportingOverflow(by: new.utf8.count)
    if overflow || growth > limits.outputBytes {
      let occurrences = Jinja.occurrences(of: Array(old.unicodeScalars), in: Array(text.unicodeScalars)).count
      let (size, overflow) = occurrences.multipliedReportingOverflow(by: new.utf8.count)
      guard !overflow, size <= limits.outputBytes else { throw exceeded(.outputBytes) }
    }
    return try self.text(Jinja.replacing(old, with: new, in: text, limit: limit))
  }

  private func hasAffix(_ text: String, _ name: String, _ arguments: CallArguments) throws -> Bool {
    guard arguments.keywords.isEmpty, let first = arguments.positional.first, arguments.positional.count <= 3 else {
      throw TemplateFailure("\(name) needs a string")
    }
    var candidates = [first]
    if case .sequence(let node) = first, node.isTuple { candidates = node.items }
    var scalars = Array(text.unicodeScalars)
    if arguments.positional.count > 1 { scalars = try window(scalars, arguments.positional, in: name) ?? [] }
    return try candidates.contains { candidate in
      let affix = try string(candidate, in: name).unicodeScalars
      return name == "startswith" ? scalars.starts(with: affix) : scalars.reversed().starts(with: affix.reversed())
    }
  }

  /// The part of a text between a method's second and third argument.
  private func window(_ scalars: [Unicode.Scalar], _ values: [Value], in name: String) throws -> [Unicode.Scalar]? {
    func bound(_ index: Int, _ fallback: Int) throws -> Int {
      guard values.count > index, case let value = values[index], !value.isNone else { return fallback }
      let bound = try integer(value, fallback, in: name)
      return bound < 0 ? max(0, bound + scalars.count) : min(bound, scalars.count + 1)
    }
    let start = try bound(1, 0)
    let end = min(scalars.count, try bound(2, scalars.count))
    return start <= end ? Array(scalars[start..<end]) : nil
  }

  private func search(_ text: String, _ name: String, _ arguments: CallArguments) throws -> Value {
    guard arguments.keywords.isEmpty, (1...3).contains(arguments.positional.count) else {
      throw TemplateFailure("\(name) needs a string")
    }
    let wanted = try string(arguments.positional[0], in: name)
    try chargeReading(wanted)
    let part = Array(wanted.unicodeScalars)
    let scalars = Array(text.unicodeScalars)
    guard let searched = try window(scalars, arguments.positional, in: name) else { return try notFound(name) }
    let start = arguments.positional.count > 1 ? try startOffset(arguments.positional[1], scalars.count, name) : 0
    if name == "count" {
      try chargeReading(text, factor: 32)
      return .int(Jinja.occurrences(of: part, in: searched).count)
    }
    if name == "find" || name == "index" {
      guard let found = Jinja.firstIndex(of: part, in: searched, from: 0) else { return try notFound(name) }
      return .int(found + start)
    }
    guard let found = Jinja.firstIndex(of: part.reversed(), in: searched.reversed(), from: 0) else {
      return try notFound(name)
    }
    return .int(searched.count - found - part.count + start)
  }

  private func startOffset(_ value: Value, _ count: Int, _ name: String) throws -> Int {
    guard !value.isNone else { return 0 }
    let start = try integer(value, 0, in: name)
    return start < 0 ? max(0, start + count) : start
  }

  private func notFound(_ name: String) throws -> Value {
    switch name {
    case "index", "rindex": throw TemplateFailure("the substring was not found")
    case "count": .int(0)
    default: .int(-1)
    }
  }

  private func padded(_ text: String, _ name: String, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["width", "fillchar"], in: name)
    let width = try integer(values[0], 0, in: name)
    let fill = try optionalString(values[1], in: name) ?? (name == "zfill" ? "0" : " ")
    guard fill.unicodeScalars.count == 1 else { throw TemplateFailure("\(name) fills with one character") }
    let count = text.unicodeScalars.count
    guard width > count else { return .string(text) }
    guard width <= limits.outputBytes else { throw exceeded(.outputBytes) }
    let missing = width - count
    func filling(_ count: Int) -> String { String(repeating: fill, count: count) }
    switch name {
    case "ljust": return try self.text(text + filling(missing))
    case "rjust": return try self.text(filling(missing) + text)
    case "zfill":
      let signed = text.hasPrefix("-") || text.hasPrefix("+")
      let rest = signed ? String(text.unicodeScalars.dropFirst()) : text
      return try self.text((signed ? String(text.unicodeScalars.prefix(1)) : "") + filling(missing) + rest)
    default:
      // Where both sides cannot be equal, Python favours the left for odd widths.
      let left = missing / 2 + (missing & width & 1)
      return try self.text(filling(left) + text + filling(missing - left))
    }
  }

  private func partition(_ text: String, _ name: String, _ arguments: CallArguments) throws -> Value {
    let separator = try string(arguments.positional.first, in: name)
    try chargeReading(separator)
    guard !separator.isEmpty, arguments.positional.count == 1 else {
      throw TemplateFailure("\(name) needs a separator")
    }
    let parts = Jinja.split(text, separator: separator, limit: 1, fromEnd: name == "rpartition")
    guard parts.count == 2 else {
      return try sequence(.tuple, (name == "partition" ? [text, "", ""] : ["", "", text]).map { .string($0) })
    }
    return try sequence(.tuple, [.string(parts[0]), .string(separator), .string(parts[1])])
  }
}

extension Jinja.Value {
  var isNone: Bool {
    if case .none = self { true } else { false }
  }
}

extension Unicode.Scalar {
  var isLetter: Bool {
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }
}
