extension Jinja {
  /// A value while a template runs. Lists and dictionaries never change once made, as in Jinja's immutable sandbox;
  /// only a namespace does.
  enum Value {
    /// A missing value, with the sentence to fail with when it is used as if it were there.
    case undefined(String)
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(String)
    case sequence(SequenceNode)
    case dictionary(DictionaryNode)
    case namespace(NamespaceNode)
    case callable(Callable)
    case loop(LoopNode)
  }

  /// Nesting of containers, kept small so that recursion over values is safe.
  static let maximumValueDepth = 100

  /// Values in a tuple that is a key, those of tuples in it included: as one may hold another many times, few nodes can stand for
  /// very many values.
  static let maximumKeySize = 1000

  final class SequenceNode {
    enum Kind: Equatable {
      case list, tuple, keys, values, items, generator
      case range(String)
      /// One group of `groupby`, a tuple whose two items also have names.
      case group
    }
    let kind: Kind
    private(set) var items: [Value]
    let depth: Int
    /// Of all tuples and what they hold, written out; what is shared counts each time.
    let size: Int
    let holdsNamespace: Bool
    /// Why a generator cannot give its items; Python too finds out only when they are asked for.
    let failure: TemplateFailure?

    init(_ kind: Kind, _ items: [Value], failure: TemplateFailure? = nil) {
      self.kind = kind
      self.items = items
      self.failure = failure
      depth = 1 + (items.map(\.depth).max() ?? 0)
      size = items.reduce(1) { min($0 + $1.size, Jinja.maximumKeySize + 1) }
      holdsNamespace = items.contains(where: \.holdsNamespace)
    }

    var isTuple: Bool { kind == .tuple || kind == .group }

    /// Whether `len` and indices work on it.
    var isSized: Bool { kind != .generator }
    var isIndexable: Bool {
      switch kind {
      case .list, .tuple, .range, .group: true
      case .keys, .values, .items, .generator: false
      }
    }

    /// All items; a generator gives them once.
    func take() throws -> [Value] {
      if let failure { throw failure }
      defer { if kind == .generator { items = [] } }
      return items
    }
  }

  /// A key as Python compares them: numbers by value whatever their type, text by its code points.
  enum Key: Hashable {
    case none
    case int(Int)
    case float(Double)
    case text(ExactText)
    case tuple([Key])
    case object(ObjectIdentifier)
  }

  /// Swift compares strings up to canonical equivalence; Python, and tokenizers, do not.
  struct ExactText: Hashable {
    let text: String
    init(_ text: String) { self.text = text }
    static func == (left: ExactText, right: ExactText) -> Bool { sameText(left.text, right.text) }
    func hash(into hasher: inout Hasher) {
      for byte in text.utf8 { hasher.combine(byte) }
    }
  }

  static func sameText(_ left: String, _ right: String) -> Bool {
    left.utf8.count == right.utf8.count && left.utf8.elementsEqual(right.utf8)
  }

  final class DictionaryNode {
    let entries: [(key: Value, value: Value)]
    private let positions: [Key: Int]
    let depth: Int
    let holdsNamespace: Bool

    /// Later values of the same key replace earlier ones, in the first one's place.
    init(_ pairs: [(key: Value, value: Value)]) throws {
      var entries: [(key: Value, value: Value)] = []
      var positions: [Key: Int] = [:]
      for pair in pairs {
        let key = try pair.key.hashKey()
        if let position = positions[key] {
          entries[position].value = pair.value
        } else {
          positions[key] = entries.count
          entries.append(pair)
        }
      }
      self.entries = entries
      self.positions = positions
      depth = 1 + (entries.map { max($0.key.depth, $0.value.depth) }.max() ?? 0)
      holdsNamespace = entries.contains { $0.key.holdsNamespace || $0.value.holdsNamespace }
    }

    subscript(key: Key) -> Value? { positions[key].map { entries[$0].value } }
    subscript(name: String) -> Value? { self[.text(ExactText(name))] }
  }

  final class NamespaceNode {
    var attributes: [(name: String, value: Value)]
    init(_ attributes: [(name: String, value: Value)]) { self.attributes = attributes }

    subscript(name: String) -> Value? {
      get { attributes.first { $0.name == name }?.value }
      set {
        guard let newValue else { return }
        if let position = attributes.firstIndex(where: { $0.name == name }) {
          attributes[position].value = newValue
        } else {
          attributes.append((name, newValue))
        }
      }
    }
  }

  final class Callable {
    enum Kind {
      case macro(Macro, scope: Scope, isCaller: Bool)
      case function(String)
      case method(receiver: Value, name: String)
    }
    let kind: Kind
    init(_ kind: Kind) { self.kind = kind }
  }

  final class LoopNode {
    let items: [Value]
    var index = 0
    let level: Int
    let loop: Loop
    let scope: Scope
    var lastChecked: [Value]?

    init(items: [Value], level: Int, loop: Loop, scope: Scope) {
      self.items = items
      self.level = level
      self.loop = loop
      self.scope = scope
    }
  }

  final class Scope {
    var variables: [String: Value]
    let parent: Scope?

    init(parent: Scope?, variables: [String: Value] = [:]) {
      self.parent = parent
      self.variables = variables
    }

    func value(of name: String) -> Value? { find(name).value }

    /// The value, and in how many scopes it was looked for.
    func find(_ name: String) -> (value: Value?, scopes: Int) {
      var scope: Scope? = self
      var count = 0
      while let current = scope {
        count += 1
        if let value = current.variables[name] { return (value, count) }
        scope = current.parent
      }
      return (nil, count)
    }
  }
}

/// A Python-like failure without its place; the evaluator adds the line.
struct TemplateFailure: Error {
  let message: String
  init(_ message: String) { self.message = message }
}

extension Jinja.Value {
  init(_ value: TemplateValue) throws {
    switch value {
    case .null: self = .none
    case .boolean(let value): self = .bool(value)
    case .integer(let value): self = .int(value)
    case .number(let value): self = .float(value)
    case .string(let value): self = .string(value)
    case .array(let items): self = .sequence(Jinja.SequenceNode(.list, try items.map { try Jinja.Value($0) }))
    case .object(let members):
      self = .dictionary(try Jinja.DictionaryNode(members.map { (.string($0.name), try Jinja.Value($0.value)) }))
    }
    guard depth <= Jinja.maximumValueDepth else { throw TemplateFailure("a variable is nested too deeply") }
  }

  init(_ constant: Jinja.Constant) {
    switch constant {
    case .none: self = .none
    case .bool(let value): self = .bool(value)
    case .int(let value): self = .int(value)
    case .float(let value): self = .float(value)
    case .string(let value): self = .string(value)
    }
  }

  var depth: Int {
    switch self {
    case .sequence(let node): node.depth
    case .dictionary(let node): node.depth
    default: 0
    }
  }

  var size: Int {
    if case .sequence(let node) = self { node.size } else { 1 }
  }

  /// Namespaces change, so that one inside another could contain itself.
  var holdsNamespace: Bool {
    switch self {
    case .sequence(let node): node.holdsNamespace
    case .dictionary(let node): node.holdsNamespace
    case .namespace, .loop, .callable: true
    default: false
    }
  }

  var isUndefined: Bool {
    if case .undefined = self { true } else { false }
  }

  var truth: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .int(let value): value != 0
    case .float(let value): value != 0
    case .string(let value): !value.isEmpty
    case .sequence(let node): !node.isSized || !node.items.isEmpty
    case .dictionary(let node): !node.entries.isEmpty
    case .loop(let node): !node.items.isEmpty
    case .namespace, .callable: true
    }
  }

  /// Python's name of the type, for messages.
  var typeName: String {
    switch self {
    case .undefined: "undefined"
    case .none: "none"
    case .bool: "boolean"
    case .int: "integer"
    case .float: "float"
    case .string: "string"
    case .sequence(let node):
      switch node.kind {
      case .list: "list"
      case .tuple, .group: "tuple"
      case .range: "range"
      case .keys, .values, .items: "dictionary view"
      case .generator: "generator"
      }
    case .dictionary: "dictionary"
    case .namespace: "namespace"
    case .callable: "function"
    case .loop: "loop"
    }
  }

  func hashKey() throws -> Jinja.Key {
    switch self {
    case .none: return .none
    case .bool(let value): return .int(value ? 1 : 0)
    case .int(let value): return .int(value)
    case .float(let value): return Int(exactly: value).map { .int($0) } ?? .float(value)
    case .string(let value): return .text(Jinja.ExactText(value))
    case .sequence(let node) where node.isTuple && node.size > Jinja.maximumKeySize:
      throw TemplateFailure("a tuple of more than \(Jinja.maximumKeySize) values cannot be a key")
    case .sequence(let node) where node.isTuple: return .tuple(try node.items.map { try $0.hashKey() })
    case .namespace(let node): return .object(ObjectIdentifier(node))
    case .callable(let node): return .object(ObjectIdentifier(node))
    case .loop(let node): return .object(ObjectIdentifier(node))
    case .undefined, .sequence, .dictionary: throw TemplateFailure("a \(typeName) cannot be a key")
    }
  }
}
