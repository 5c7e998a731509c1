extension JSONValue {
  /// Compact text for messages, cut at 60 characters.
  package var summary: String {
    let text: String =
      switch self {
      case .object(let members): "{\(members.map(\.key).sorted().joined(separator: ", "))}"
      case .array(let elements): "[\(elements.prefix(8).map(\.summary).joined(separator: ", "))]"
      case .string(let text): JSONValue.quoted(text)
      case .integer(let value): String(value)
      case .number(let value): String(value)
      case .numeral(let text): text
      case .bool(let value): String(value)
      case .null: "null"
      }
    return text.count > 60 ? text.prefix(57) + "..." : text
  }

  /// The kind of value with its article, for messages.
  package var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer, .number, .numeral: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
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
