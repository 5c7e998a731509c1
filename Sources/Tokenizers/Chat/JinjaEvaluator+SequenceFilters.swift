extension Jinja.Evaluator {
  /// The filters over lists and dictionaries; nil if `name` is none of them.
  func applySequenceFilter(_ name: String, to value: Value, _ arguments: CallArguments) throws -> Value? {
    switch name {
    case "length", "count":
      _ = try arguments.bound(to: [], in: name)
      return .int(try length(of: value))
    case "first":
      if case .string(let text) = value {
        return text.unicodeScalars.first.map { .string(String($0)) } ?? .undefined("an empty string has no first item")
      }
      return try iterate(value).first ?? .undefined("an empty sequence has no first item")
    case "last":
      if case .sequence(let node) = value, !node.isSized { throw TemplateFailure("a generator has no last item") }
      return try iterate(value).last ?? .undefined("an empty sequence has no last item")
    case "list":
      _ = try arguments.bound(to: [], in: name)
      return try list(try iterate(value))
    case "reverse":
      if case .string(let text) = value { return try self.text(text.unicodeScalars.reversed()) }
      return try sequence(.generator, try iterate(value).reversed())
    case "join": return try join(value, arguments)
    case "map": return try generator { value.truth ? try map(value, arguments) : [] }
    case "select", "reject", "selectattr", "rejectattr":
      return try generator { value.truth ? try select(value, name, arguments) : [] }
    case "sort": return try sort(value, arguments)
    case "unique": return try generator { try unique(value, arguments) }
    case "min", "max": return try extreme(value, name, arguments)
    case "sum": return try sum(value, arguments)
    case "dictsort": return try sortDictionary(value, arguments)
    case "groupby": return try group(value, arguments)
    case "batch", "slice": return try generator { try chunks(value, name, arguments) }
    default: return nil
    }
  }

  func length(of value: Value) throws -> Int {
    switch value {
    case .undefined: return 0
    case .string(let text):
      try chargeReading(text)
      return text.unicodeScalars.count
    case .sequence(let node) where node.isSized: return node.items.count
    case .dictionary(let node): return node.entries.count
    case .loop(let node): return node.items.count
    default: throw TemplateFailure("a \(value.typeName) has no length")
    }
  }

  func joined(_ parts: [String], separator: String) throws -> Value {
    var size = 0
    for part in parts {
      size += part.utf8.count + separator.utf8.count
      guard size <= limits.outputBytes + separator.utf8.count else { throw exceeded(.outputBytes) }
    }
    return try text(parts.joined(separator: separator))
  }

  private func join(_ value: Value, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["d", "attribute"], in: "join")
    var items = try iterate(value)
    if let attribute = values[1], !attribute.isNone {
      let path = try path(attribute)
      items = try items.map { try follow(path, from: $0) }
    }
    let separator = try values[0].map { try string(of: $0) } ?? ""
    return try joined(try items.map { try string(of: $0) }, separator: separator)
  }

  // MARK: attributes

  /// `"a.b.0"` as the items to look up one after the other.
  private func path(_ attribute: Value) throws -> [Value] {
    switch attribute {
    case .string(let text):
      return Jinja.split(text, separator: ".", limit: -1).map { part in
        part.unicodeScalars.allSatisfy(\.isDigit) ? Int(part).map { .int($0) } ?? .string(part) : .string(part)
      }
    case .int: return [attribute]
    default: throw TemplateFailure("an attribute is a string or an integer, not a \(attribute.typeName)")
    }
  }

  private func follow(_ path: [Value], from value: Value, fallback: Value? = nil) throws -> Value {
    var value = value
    for part in path {
      try charge()
      value = try item(part, of: value)
      if value.isUndefined, let fallback { value = fallback }
    }
    return value
  }

  /// What sorting and grouping compare: an attribute or the value, in lower case unless case matters.
  private func comparisonKey(
    attribute: Value?, caseSensitive: Value?, fallback: Value? = nil
  ) throws -> (Value) throws -> Value {
    let path = try attribute.flatMap { $0.isNone ? nil : $0 }.map { try self.path($0) } ?? []
    let keepsCase = caseSensitive?.truth ?? false
    return { value in
      let key = try self.follow(path, from: value, fallback: fallback)
      guard !keepsCase, case .string(let text) = key else { return key }
      return try self.text(text.lowercased())
    }
  }

  // MARK: map and select

  private func map(_ value: Value, _ arguments: CallArguments) throws -> [Value] {
    let items = try iterate(value)
    guard let first = arguments.positional.first else {
      let values = try arguments.bound(to: ["attribute", "default"], in: "map")
      guard let attribute = values[0] else { throw TemplateFailure("map needs a filter or an attribute") }
      let path = try path(attribute)
      return try items.map { try follow(path, from: $0, fallback: values[1]) }
    }
    let name = try string(of: first)
    guard Self.filterNames.contains(name) else { throw TemplateFailure("no filter is called '\(name)'") }
    var rest = arguments
    rest.positional.removeFirst()
    return try items.map { item in
      try charge()
      try enter()
      defer { leave() }
      return try apply(filter: name, to: item, rest)
    }
  }

  private func select(_ value: Value, _ name: String, _ arguments: CallArguments) throws -> [Value] {
    var rest = arguments
    var attributePath: [Value] = []
    if name.hasSuffix("attr") {
      guard !rest.positional.isEmpty else { throw TemplateFailure("\(name) needs an attribute") }
      attributePath = try path(rest.positional.removeFirst())
    }
    let test = try rest.positional.isEmpty ? nil : string(of: rest.positional.removeFirst())
    if let test, !Self.testNames.contains(test) { throw TemplateFailure("no test is called '\(test)'") }
    let wanted = name.hasPrefix("select")
    return try iterate(value).filter { item in
      try charge()
      let subject = try follow(attributePath, from: item)
      return try (test.map { try self.test($0, subject, rest) } ?? subject.truth) == wanted
    }
  }

  // MARK: order

  private func sorted<Element>(
    _ items: [Element], reverse: Bool, by key: (Element) throws -> Value
  ) throws -> [Element] {
    try charge(steps: items.count)
    try charge(bytes: items.count * 4 * MemoryLayout<Value>.stride)
    let keyed = try items.map { (key: try key($0), item: $0) }
    // Stable in both directions, as Python's sort is.
    let order = try keyed.indices.sorted { left, right in
      let (first, second) = reverse ? (right, left) : (left, right)
      if try precedes(keyed[first].key, keyed[second].key) { return true }
      if try precedes(keyed[second].key, keyed[first].key) { return false }
      return left < right
    }
    return order.map { keyed[$0].item }
  }

  private func sort(_ value: Value, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["reverse", "case_sensitive", "attribute"], in: "sort")
    var keys: [(Value) throws -> Value] = []
    if case .string(let names)? = values[2] {
      for name in Jinja.split(names, separator: ",", limit: -1) {
        keys.append(try comparisonKey(attribute: .string(name), caseSensitive: values[1]))
      }
    } else {
      keys.append(try comparisonKey(attribute: values[2], caseSensitive: values[1]))
    }
    let reverse = values[0]?.truth ?? false
    return try list(
      try sorted(try iterate(value), reverse: reverse) { item in
        try self.sequence(.list, try keys.map { try $0(item) })
      })
  }

  private func unique(_ value: Value, _ arguments: CallArguments) throws -> [Value] {
    let values = try arguments.bound(to: ["case_sensitive", "attribute"], in: "unique")
    let key = try comparisonKey(attribute: values[1], caseSensitive: values[0])
    var seen: Set<Jinja.Key> = []
    return try iterate(value).filter { item in
      let key = try key(item)
      if case .string(let text) = key { try chargeReading(text) }
      try charge()
      try charge(bytes: 4 * MemoryLayout<Value>.stride)
      return seen.insert(try key.hashKey()).inserted
    }
  }

  private func extreme(_ value: Value, _ name: String, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["case_sensitive", "attribute"], in: name)
    let key = try comparisonKey(attribute: values[1], caseSensitive: values[0])
    var best: (key: Value, item: Value)?
    for item in try iterate(value) {
      let candidate = try key(item)
      guard let current = best else {
        best = (candidate, item)
        continue
      }
      let wins = name == "min" ? try precedes(candidate, current.key) : try precedes(current.key, candidate)
      if wins { best = (candidate, item) }
    }
    return best?.item ?? .undefined("an empty sequence has no \(name)")
  }

  private func sum(_ value: Value, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["attribute", "start"], in: "sum")
    let path = try values[0].flatMap { $0.isNone ? nil : $0 }.map { try self.path($0) } ?? []
    var total = values[1] ?? .int(0)
    if case .string = total { throw TemplateFailure("sum does not add strings; use join") }
    for item in try iterate(value) { total = try compute(.add, total, try follow(path, from: item)) }
    return total
  }

  private func sortDictionary(_ value: Value, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["case_sensitive", "by", "reverse"], in: "dictsort")
    try refuseUndefined(value)
    guard case .dictionary(let node) = value else {
      throw TemplateFailure("dictsort needs a dictionary, got a \(value.typeName)")
    }
    let by = try values[1].map { try string(of: $0) } ?? "key"
    guard by == "key" || by == "value" else { throw TemplateFailure("dictsort sorts by 'key' or 'value'") }
    let key = try comparisonKey(attribute: nil, caseSensitive: values[0])
    let entries = try sorted(node.entries, reverse: values[2]?.truth ?? false) {
      try key(by == "key" ? $0.key : $0.value)
    }
    return try list(try entries.map { try sequence(.tuple, [$0.key, $0.value]) })
  }

  private func group(_ value: Value, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["attribute", "default", "case_sensitive"], in: "groupby")
    guard let attribute = values[0] else { throw TemplateFailure("groupby needs an attribute") }
    let key = try comparisonKey(attribute: attribute, caseSensitive: values[2], fallback: values[1])
    let named = try comparisonKey(attribute: attribute, caseSensitive: .bool(true), fallback: values[1])
    var groups: [(key: Value, name: Value, items: [Value])] = []
    for item in try sorted(try iterate(value), reverse: false, by: key) {
      let current = try key(item)
      if let last = groups.last, try equals(last.key, current) {
        groups[groups.count - 1].items.append(item)
      } else {
        groups.append((current, try named(item), [item]))
      }
    }
    return try list(try groups.map { try sequence(.group, [$0.name, try list($0.items)]) })
  }

  // MARK: chunks

  private func chunks(_ value: Value, _ name: String, _ arguments: CallArguments) throws -> [Value] {
    let values = try arguments.bound(to: [name == "batch" ? "linecount" : "slices", "fill_with"], in: name)
    let count = try integer(values[0], 0, in: name)
    guard count > 0, count <= limits.steps else { throw TemplateFailure("\(name) needs a positive count") }
    let items = try iterate(value)
    let fill = values[1].flatMap { $0.isNone ? nil : $0 }
    var result: [Value] = []
    if name == "batch" {
      for start in stride(from: 0, to: items.count, by: count) {
        var chunk = Array(items[start..<min(items.count, start + min(count, items.count))])
        if let fill, chunk.count < count {
          try charge(steps: count)
          chunk += Array(repeating: fill, count: count - chunk.count)
        }
        result.append(try list(chunk))
      }
    } else {
      try charge(steps: count)
      let (size, longer) = items.count.quotientAndRemainder(dividingBy: count)
      var start = 0
      for index in 0..<count {
        let end = start + size + (index < longer ? 1 : 0)
        var chunk = Array(items[start..<end])
        if let fill, index >= longer { chunk.append(fill) }
        result.append(try list(chunk))
        start = end
      }
    }
    return result
  }
}
