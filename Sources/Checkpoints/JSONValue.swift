/// A JSON value that keeps integers, fractions and booleans apart, as Foundation's `NSNumber` does not.
package indirect enum JSONValue: Equatable, Sendable {
  case object([String: JSONValue])
  case array([JSONValue])
  case string(String)
  case integer(Int)
  /// A number with fraction or exponent, or an integer beyond `Int`.
  case number(Double)
  case bool(Bool)
  case null

  package subscript(_ key: String) -> JSONValue? {
    if case .object(let members) = self { members[key] } else { nil }
  }

  package var objectValue: [String: JSONValue]? {
    if case .object(let members) = self { members } else { nil }
  }

  package var arrayValue: [JSONValue]? {
    if case .array(let elements) = self { elements } else { nil }
  }

  package var stringValue: String? {
    if case .string(let text) = self { text } else { nil }
  }

  package var integerValue: Int? {
    switch self {
    case .integer(let value): value
    case .number(let value): Int(exactly: value)
    default: nil
    }
  }

  package var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  package var boolValue: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// Compact text for messages, cut at 60 characters.
  package var summary: String {
    let text: String =
      switch self {
      case .object(let members): "{\(members.keys.sorted().joined(separator: ", "))}"
      case .array(let elements): "[\(elements.prefix(8).map(\.summary).joined(separator: ", "))]"
      case .string(let text): JSONValue.quoted(text)
      case .integer(let value): String(value)
      case .number(let value): String(value)
      case .bool(let value): String(value)
      case .null: "null"
      }
    return text.count > 60 ? text.prefix(57) + "..." : text
  }

  /// `text` as a JSON string literal, quotes included.
  package static func quoted(_ text: String) -> String {
    var literal = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": literal += "\\\""
      case "\\": literal += "\\\\"
      case "\n": literal += "\\n"
      case "\r": literal += "\\r"
      case "\t": literal += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        literal += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: literal.unicodeScalars.append(scalar)
      }
    }
    return literal + "\""
  }
}
