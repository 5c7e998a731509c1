package import Primitives

/// A row of a data file.
package struct DataRow: Sendable {
  package let place: RowPlace
  /// An object.
  package let value: JSONValue

  package init(place: RowPlace, value: JSONValue) {
    self.place = place
    self.value = value
  }

  /// A field as text: strings as they are, numbers as they are written, true and false.
  func text(_ field: String) throws -> String {
    switch value[field] {
    case .string(let text), .numeral(let text): return text
    case .integer(let number): return String(number)
    case .bool(let flag): return String(flag)
    case nil: throw EvaluationError.missingField(place, field: field)
    default: throw wrongType(field, expected: "text, a number or a boolean")
    }
  }

  func optionalText(_ field: String) throws -> String? {
    guard let value = value[field], !value.isNull else { return nil }
    guard let text = value.stringValue else { throw wrongType(field, expected: "a string") }
    return text
  }

  func optionalNumber(_ field: String) throws -> Double? {
    guard let value = value[field], !value.isNull else { return nil }
    guard let number = value.doubleValue, number.isFinite else { throw wrongType(field, expected: "a number") }
    return number
  }

  func optionalCount(_ field: String, _ expected: String) throws -> Int? {
    guard let value = value[field], !value.isNull else { return nil }
    guard let number = value.integerValue, number >= 0 else { throw wrongType(field, expected: expected) }
    return number
  }

  func optionalArray(_ field: String) throws -> [JSONValue]? {
    guard let value = value[field], !value.isNull else { return nil }
    guard let elements = value.arrayValue else { throw wrongType(field, expected: "a list") }
    return elements
  }

  func wrongType(_ field: String, expected: String) -> EvaluationError {
    .wrongType(place, field: field, expected: expected, found: value[field]?.kind ?? "nothing")
  }
}

enum JSONLine {
  /// An object on one line, its end included.
  static func encoded(_ members: [JSONValue.Member]) -> [UInt8] {
    JSONValue.object(members).encoded(expandedLevels: 0)
  }
}
