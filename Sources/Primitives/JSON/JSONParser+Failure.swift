extension JSONParser {
  /// What is wrong, and where.
  package struct Failure: Error, Equatable, Sendable {
    package enum Problem: Equatable, Sendable {
      case trailingText
      case tooDeep(limit: Int)
      case missingValue
      case notAValue
      case missingDigit
      case leadingZero
      case numberOutOfRange
      case missingKey
      case missingColon
      case unclosedObject
      case unclosedArray
      case duplicateKey(String)
      case invalidUTF8
      case controlCharacter
      case unterminatedString
      case unknownEscape
      case cutEscape
      case notHexadecimal
      /// The second half of a surrogate pair is due, and this character of it is not there.
      case missingSurrogate(Character)
      case unpairedSurrogate
    }

    package let problem: Problem
    /// The byte at which it was seen.
    package let offset: Int
    /// The byte at which the piece of text begins that is wrong as a whole, a string's opening quote for one; else
    /// ``offset``.
    package let start: Int
  }
}

extension JSONParser.Failure {
  package var reason: String {
    switch problem {
    case .trailingText: "unexpected text after the value"
    case .tooDeep(let limit): "nested deeper than \(limit) levels"
    case .missingValue: "unexpected end"
    case .notAValue, .missingDigit: "not a JSON value"
    case .leadingZero: "number with a leading zero"
    case .numberOutOfRange: "number out of range"
    case .missingKey: "expected '\"'"
    case .missingColon: "expected ':'"
    case .unclosedObject: "expected '}'"
    case .unclosedArray: "expected ']'"
    case .duplicateKey(let key): "duplicate key \(JSONValue.quoted(key))"
    case .invalidUTF8: "invalid UTF-8"
    case .controlCharacter: "control character in a string"
    case .unterminatedString: "unterminated string"
    case .unknownEscape: "unknown escape"
    case .cutEscape, .notHexadecimal: "bad \\u escape"
    case .missingSurrogate(let character): "expected '\(character)'"
    case .unpairedSurrogate: "unpaired surrogate"
    }
  }
}
