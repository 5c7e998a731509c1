/// A JSON value whose strings keep their exact bytes.
///
/// Vocabularies hold tokens that differ only by Unicode normalization; as dictionary keys of type `String` they
/// would collide, since Swift compares strings by canonical equivalence.
enum JSONTree: Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  /// A number that is not a 64-bit integer, as written.
  case number([UInt8])
  /// UTF-8, escapes resolved.
  case string([UInt8])
  case array([JSONTree])
  /// Members in file order; of a repeated name the last one counts.
  case object([(key: [UInt8], value: JSONTree)])
}

/// A value with its place in a file, so that errors can name both.
struct JSONNode {
  let value: JSONTree
  let file: String
  /// Dotted path of names from the root.
  let field: String

  var isNull: Bool {
    if case .null = value { true } else { false }
  }

  /// The member `name`, or nil when it is absent or null.
  func optional(_ name: String) -> JSONNode? {
    guard case .object(let members) = value else { return nil }
    guard let member = members.last(where: { $0.key.elementsEqual(name.utf8) }) else { return nil }
    let node = JSONNode(value: member.value, file: file, field: field.isEmpty ? name : "\(field).\(name)")
    return node.isNull ? nil : node
  }

  func required(_ name: String) throws -> JSONNode {
    guard let node = optional(name) else {
      throw TokenizerError.missingField(path: file, field: field.isEmpty ? name : "\(field).\(name)")
    }
    return node
  }

  func bytes() throws -> [UInt8] {
    guard case .string(let bytes) = value else { throw wrongType("a string") }
    return bytes
  }

  func string() throws -> String { String(decoding: try bytes(), as: UTF8.self) }

  func bool() throws -> Bool {
    guard case .bool(let flag) = value else { throw wrongType("true or false") }
    return flag
  }

  func integer() throws -> Int {
    guard case .integer(let number) = value else { throw wrongType("an integer") }
    return number
  }

  func elements() throws -> [JSONNode] {
    guard case .array(let values) = value else { throw wrongType("an array") }
    return values.enumerated().map { JSONNode(value: $1, file: file, field: "\(field)[\($0)]") }
  }

  func members() throws -> [(key: [UInt8], value: JSONTree)] {
    guard case .object(let members) = value else { throw wrongType("an object") }
    return members
  }

  func flag(_ name: String, default fallback: Bool) throws -> Bool { try optional(name)?.bool() ?? fallback }

  /// The `type` of a component.
  func type() throws -> String { try required("type").string() }

  func wrongType(_ expected: String) -> TokenizerError {
    .wrongType(path: file, field: field.isEmpty ? "(root)" : field, expected: expected)
  }

  func unsupportedComponent(_ type: String) -> TokenizerError {
    .unsupportedComponent(path: file, field: field, type: type)
  }
}
