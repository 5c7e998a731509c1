extension Jinja.Evaluator {
  /// `value.name`: what Python finds as an attribute, else an item of that name, else undefined.
  func attribute(_ name: String, of value: Value) throws -> Value {
    try refuseUndefined(value)
    if let found = member(name, of: value) { return found }
    if case .dictionary(let node) = value, let found = node[name] { return found }
    return .undefined("'\(value.typeName) object' has no attribute '\(name)'")
  }

  /// `value[key]`: an item, else an attribute of that name, else undefined.
  func item(_ key: Value, of value: Value) throws -> Value {
    try refuseUndefined(value)
    if case .dictionary(let node) = value {
      if case .string(let name) = key { try chargeReading(name) }
      if !key.isUndefined, let hash = try? key.hashKey(), let found = node[hash] { return found }
    } else if case .int(let index)? = number(key), !isFloat(key) {
      if let found = element(index, of: value) { return found }
      return .undefined("\(value.typeName) object has no element \(index)")
    }
    if case .string(let name) = key {
      if let found = member(name, of: value) { return found }
      return .undefined("'\(value.typeName) object' has no attribute '\(name)'")
    }
    return .undefined("\(value.typeName) object has no element of that key")
  }

  private func isFloat(_ value: Value) -> Bool {
    if case .float = value { true } else { false }
  }

  private func element(_ index: Int, of value: Value) -> Value? {
    switch value {
    case .sequence(let node) where node.isIndexable:
      let position = index < 0 ? index + node.items.count : index
      return node.items.indices.contains(position) ? node.items[position] : nil
    case .string(let text):
      let scalars = text.unicodeScalars
      // Only the distance from the nearer end is walked.
      let isNegative = index < 0
      let start = isNegative ? scalars.endIndex : scalars.startIndex
      let limit = isNegative ? scalars.startIndex : scalars.endIndex
      guard let position = scalars.index(start, offsetBy: index, limitedBy: limit), position < scalars.endIndex
      else { return nil }
      return .string(String(scalars[position]))
    default: return nil
    }
  }

  /// Methods and fields that a value has besides its items.
  private func member(_ name: String, of value: Value) -> Value? {
    let methods: Set<String>
    switch value {
    case .string: methods = Self.stringMethods
    case .dictionary: methods = Self.dictionaryMethods
    case .namespace(let node): return node[name]
    case .loop(let node): return loopField(name, of: node)
    case .sequence(let node):
      if node.kind == .group, let index = ["grouper", "list"].firstIndex(of: name) { return node.items[index] }
      guard node.isIndexable else { return nil }
      methods = Self.listMethods
    default: return nil
    }
    return methods.contains(name) ? .callable(Jinja.Callable(.method(receiver: value, name: name))) : nil
  }

  private func loopField(_ name: String, of node: Jinja.LoopNode) -> Value? {
    let count = node.items.count
    switch name {
    case "index": return .int(node.index + 1)
    case "index0": return .int(node.index)
    case "revindex": return .int(count - node.index)
    case "revindex0": return .int(count - node.index - 1)
    case "first": return .bool(node.index == 0)
    case "last": return .bool(node.index == count - 1)
    case "length": return .int(count)
    case "depth": return .int(node.level + 1)
    case "depth0": return .int(node.level)
    case "previtem":
      return node.index > 0 ? node.items[node.index - 1] : .undefined("there is no previous item")
    case "nextitem":
      return node.index + 1 < count ? node.items[node.index + 1] : .undefined("there is no next item")
    case "cycle", "changed": return .callable(Jinja.Callable(.method(receiver: .loop(node), name: name)))
    default: return nil
    }
  }

  // MARK: slices

  func slice(_ value: Value, from lower: Int?, to upper: Int?, by step: Int?) throws -> Value {
    try refuseUndefined(value)
    switch value {
    case .string(let string):
      try chargeReading(string)
      let scalars = Array(string.unicodeScalars)
      let indices = try sliceIndices(count: scalars.count, from: lower, to: upper, by: step)
      return try text(indices.map { scalars[$0] })
    case .sequence(let node) where node.isIndexable:
      let indices = try sliceIndices(count: node.items.count, from: lower, to: upper, by: step)
      return try sequence(node.isTuple ? .tuple : .list, indices.map { node.items[$0] })
    default: throw TemplateFailure("a \(value.typeName) cannot be sliced")
    }
  }

  private func sliceIndices(count: Int, from lower: Int?, to upper: Int?, by step: Int?) throws -> [Int] {
    let step = step ?? 1
    guard step != 0 else { throw TemplateFailure("the step of a slice cannot be zero") }
    func clamped(_ bound: Int?, fallback: Int, _ least: Int, _ most: Int) -> Int {
      guard let bound else { return fallback }
      return min(max(bound < 0 ? bound + count : bound, least), most)
    }
    guard count > 0 else { return [] }
    // A step beyond the length reaches one item only; clamping it keeps the sums small.
    if step > 0 {
      let start = clamped(lower, fallback: 0, 0, count)
      let end = clamped(upper, fallback: count, 0, count)
      return Array(stride(from: start, to: end, by: min(step, count + 1)))
    }
    let start = clamped(lower, fallback: count - 1, -1, count - 1)
    let end = clamped(upper, fallback: -1, -1, count - 1)
    return Array(stride(from: start, to: end, by: max(step, -count - 1)))
  }
}
