/// A JSON value that keeps integers, fractions and booleans apart, as Foundation's `NSNumber` does not.
///
/// Members keep their order and strings their exact bytes. Vocabularies hold distinct tokens that are canonically
/// equivalent, which a Swift dictionary keyed by `String` takes for one; so an object here is a list.
package enum JSONValue: Sendable {
  package typealias Member = (key: String, value: JSONValue)

  case object([Member])
  case array([JSONValue])
  case string(String)
  case integer(Int)
  /// A number with fraction or exponent, or an integer beyond `Int`; finite.
  case number(Double)
  /// The same as it was written, from a parser that is told to keep it so (``JSONParser/Rules``).
  case numeral(String)
  case bool(Bool)
  case null

  /// The member whose key has the same bytes; of a repeated key the last.
  package subscript(_ key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.key.utf8.elementsEqual(key.utf8) }?.value
  }

  /// The members by key, for objects whose keys differ as Swift compares them: a parser that refuses duplicates makes
  /// sure of that. Of a repeated key the last counts.
  package var objectValue: [String: JSONValue]? {
    guard case .object(let members) = self else { return nil }
    return Dictionary(members.lazy.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
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
    case .number, .numeral: doubleValue.flatMap(Int.init(exactly:))
    default: nil
    }
  }

  package var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    case .numeral(let text): Double(text)
    default: nil
    }
  }

  package var boolValue: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  package var isNull: Bool {
    if case .null = self { true } else { false }
  }
}

extension JSONValue: Equatable {
  /// Members in order; text as Swift compares it.
  package static func == (left: JSONValue, right: JSONValue) -> Bool {
    switch (left, right) {
    case (.object(let left), .object(let right)): left.elementsEqual(right) { $0.key == $1.key && $0.value == $1.value }
    case (.array(let left), .array(let right)): left == right
    case (.string(let left), .string(let right)), (.numeral(let left), .numeral(let right)): left == right
    case (.integer(let left), .integer(let right)): left == right
    case (.number(let left), .number(let right)): left == right
    case (.bool(let left), .bool(let right)): left == right
    case (.null, .null): true
    default: false
    }
  }
}

extension JSONValue: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral, ExpressibleByStringLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral
{
  package init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(elements.map { (key: $0.0, value: $0.1) })
  }
  package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int) { self = .integer(value) }
  package init(floatLiteral value: Double) { self = .number(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
}
