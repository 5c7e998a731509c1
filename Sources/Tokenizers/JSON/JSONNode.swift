internal import Primitives

/// A value with its place in a file, so that errors can name both.
struct JSONNode {
  let value: JSONValue
  let file: String
  /// Dotted path of names from the root.
  let field: String

  /// The member `name`, or nil when it is absent or null.
  func optional(_ name: String) -> JSONNode? {
    guard let member = value[name], !member.isNull else { return nil }
    return JSONNode(value: member, file: file, field: field.isEmpty ? name : "\(field).\(name)")
  }

  func required(_ name: String) throws -> JSONNode {
    guard let node = optional(name) else {
      throw TokenizerError.missingField(path: file, field: field.isEmpty ? name : "\(field).\(name)")
    }
    return node
  }

  /// A string's UTF-8.
  func bytes() throws -> [UInt8] { Array(try string().utf8) }

  func string() throws -> String {
    guard case .string(let text) = value else { throw wrongType("a string") }
    return text
  }

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

  func members() throws -> [JSONValue.Member] {
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
