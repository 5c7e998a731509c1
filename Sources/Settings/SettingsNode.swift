internal import Yams

/// What is wrong with a YAML file, and where.
package struct SettingsError: Error, Equatable, Sendable, CustomStringConvertible {
  package let path: String
  package let line: Int
  package let reason: String

  package init(path: String, line: Int, reason: String) {
    self.path = path
    self.line = line
    self.reason = reason
  }

  package var description: String { "\(path):\(line): \(reason)" }
}

/// A value of a YAML file with its place, so that errors can name both.
package struct SettingsNode {
  private let node: Node
  package let path: String
  /// The key under which it stands.
  package let key: String
  /// Where it begins; of a mapping's member, where its key stands.
  package let line: Int

  /// The root of a file.
  ///
  /// - Parameter name: what the file is, for errors: `plan`.
  /// - Throws: ``SettingsError``
  package init(yaml: String, path: String, name: String) throws {
    try EventScan.check(yaml, path: path)
    do {
      guard let node = try Yams.compose(yaml: yaml) else {
        throw SettingsError(path: path, line: 1, reason: "the file is empty")
      }
      self.init(node, path: path, key: name)
    } catch let error as YamlError {
      let text = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
      throw SettingsError(path: path, line: Self.line(of: error), reason: "not valid YAML: \(text)")
    }
  }

  private init(_ node: Node, path: String, key: String, keyNode: Node? = nil) {
    self.node = node
    self.path = path
    self.key = key
    line = (keyNode ?? node).mark?.line ?? 1
  }

  private static func line(of error: YamlError) -> Int {
    switch error {
    case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _): mark.line
    default: 1
    }
  }

  package func invalid(_ reason: String) -> SettingsError { SettingsError(path: path, line: line, reason: reason) }

  package var isMapping: Bool { node.mapping != nil }
  package var isList: Bool { node.sequence != nil }

  /// Its members in the file's order. Refuses keys that are no text, and a key that comes twice.
  package func orderedMembers() throws -> [(name: String, value: SettingsNode)] {
    guard let mapping = node.mapping else { throw invalid("\(key) must be a mapping of keys to values") }
    var seen: Set<String> = []
    return try mapping.map { name, value in
      guard let text = name.string else { throw invalid("\(key) has a key that is no text") }
      guard seen.insert(text).inserted else { throw invalid("\(key) has the key '\(text)' twice") }
      return (text, SettingsNode(value, path: path, key: text, keyNode: name))
    }
  }

  /// Its members by key; others than those known are refused by name. A key without a value counts as left out.
  package func members(known: [String]) throws -> [String: SettingsNode] {
    var members: [String: SettingsNode] = [:]
    for (name, value) in try orderedMembers() {
      guard known.contains(name) else { throw value.unknown(in: self, known: known) }
      if value.node.null == nil { members[name] = value }
    }
    return members
  }

  /// That `parent` knows no such key.
  package func unknown(in parent: SettingsNode, known: [String]) -> SettingsError {
    invalid("\(parent.key) has the unknown key '\(key)'; use \(known.joined(separator: ", "))")
  }

  package func elements() throws -> [SettingsNode] {
    guard let sequence = node.sequence else { throw invalid("\(key) must be a list") }
    return sequence.map { SettingsNode($0, path: path, key: key) }
  }

  /// The text of a scalar, as it stands in the file.
  package func string() throws -> String {
    guard let scalar = node.scalar else { throw invalid("\(key) must be a single value") }
    return scalar.string
  }

  /// One text, or a list of them.
  package func strings() throws -> [String] { isList ? try elements().map { try $0.string() } : [try string()] }

  package func bool() throws -> Bool {
    guard let value = node.bool else { throw invalid("\(key) must be true or false") }
    return value
  }

  /// nil where the value is no truth value.
  package var optionalBool: Bool? { node.scalar?.style == .plain ? node.bool : nil }

  /// nil where the value is no number. (YAML itself takes `1e-3` for text, as it has no point.)
  package var optionalNumber: Double? {
    guard let scalar = node.scalar, scalar.style == .plain else { return nil }
    return Double(scalar.string)
  }

  package func integer(atLeast least: Int = 0) throws -> Int {
    guard let value = node.int, value >= least else { throw invalid("\(key) must be a whole number from \(least)") }
    return value
  }
}

extension [String: SettingsNode] {
  package func required(_ key: String, of parent: SettingsNode) throws -> SettingsNode {
    guard let node = self[key] else { throw parent.invalid("\(parent.key) lacks the key '\(key)'") }
    return node
  }
}
