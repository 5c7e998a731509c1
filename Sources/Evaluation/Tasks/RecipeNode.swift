internal import Yams

/// A value of a recipe with its place, so that errors can name both.
struct RecipeNode {
  let node: Node
  let path: String
  /// The key under which it stands.
  let key: String

  /// The root of a file.
  init(yaml: String, path: String) throws {
    do {
      guard let node = try Yams.compose(yaml: yaml) else {
        throw EvaluationError.invalidRecipe(path: path, line: 1, reason: "the file is empty")
      }
      self.init(node: node, path: path, key: "recipe")
    } catch let error as YamlError {
      let text = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
      throw EvaluationError.invalidRecipe(path: path, line: Self.line(of: error), reason: "not valid YAML: \(text)")
    }
  }

  private init(node: Node, path: String, key: String) {
    self.node = node
    self.path = path
    self.key = key
  }

  private static func line(of error: YamlError) -> Int {
    switch error {
    case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _): mark.line
    default: 1
    }
  }

  var line: Int { node.mark?.line ?? 1 }

  func invalid(_ reason: String) -> EvaluationError {
    .invalidRecipe(path: path, line: line, reason: reason)
  }

  /// Its members by key; others than those known are refused by name.
  func members(known: [String]) throws -> [String: RecipeNode] {
    guard let mapping = node.mapping else { throw invalid("\(key) must be a mapping of keys to values") }
    var members: [String: RecipeNode] = [:]
    for (name, value) in mapping {
      guard let text = name.string, known.contains(text) else {
        throw EvaluationError.unknownKey(
          path: path, line: name.mark?.line ?? 1, key: name.string ?? "(not text)", known: known)
      }
      members[text] = RecipeNode(node: value, path: path, key: text)
    }
    return members
  }

  func elements() throws -> [RecipeNode] {
    guard let sequence = node.sequence else { throw invalid("\(key) must be a list") }
    return sequence.map { RecipeNode(node: $0, path: path, key: key) }
  }

  func string() throws -> String {
    guard let scalar = node.scalar else { throw invalid("\(key) must be text") }
    return scalar.string
  }

  func strings() throws -> [String] { try elements().map { try $0.string() } }

  func bool() throws -> Bool {
    guard let value = node.bool else { throw invalid("\(key) must be true or false") }
    return value
  }

  func positiveInteger() throws -> Int {
    guard let value = node.int, value > 0 else { throw invalid("\(key) must be a whole number above 0") }
    return value
  }

  func template() throws -> TextTemplate {
    do {
      return try TextTemplate(try string())
    } catch let error as TextTemplate.Malformed {
      throw invalid("\(key): \(error.reason)")
    }
  }
}

extension [String: RecipeNode] {
  func required(_ key: String, of parent: RecipeNode) throws -> RecipeNode {
    guard let node = self[key] else { throw parent.invalid("\(parent.key) lacks the key '\(key)'") }
    return node
  }
}
