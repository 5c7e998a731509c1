/// Text with places for a row's fields: `{question}`; braces themselves are doubled.
public struct TextTemplate: Equatable, Sendable {
  private enum Part: Equatable, Sendable {
    case literal(String)
    case field(String)
  }

  private let parts: [Part]

  /// What is wrong with a template, in words.
  struct Malformed: Error { let reason: String }

  init(_ text: String) throws(Malformed) {
    var parts: [Part] = []
    var literal = String.UnicodeScalarView()
    let scalars = Array(text.unicodeScalars)
    var index = 0
    while index < scalars.count {
      let scalar = scalars[index]
      let isDoubled = index + 1 < scalars.count && scalars[index + 1] == scalar
      switch scalar {
      case "{" where !isDoubled:
        guard let end = scalars[index...].firstIndex(of: "}") else { throw Malformed(reason: "a '{' is not closed") }
        let name = String(String.UnicodeScalarView(scalars[(index + 1)..<end]))
        guard !name.isEmpty, !name.unicodeScalars.contains("{") else {
          throw Malformed(reason: "'{\(name)}' names no field; write '{{' for a brace")
        }
        if !literal.isEmpty { parts.append(.literal(String(literal))) }
        literal = .init()
        parts.append(.field(name))
        index = end + 1
      case "}" where !isDoubled: throw Malformed(reason: "a '}' stands alone; write '}}' for a brace")
      case "{", "}":
        literal.append(scalar)
        index += 2
      default:
        literal.append(scalar)
        index += 1
      }
    }
    if !literal.isEmpty { parts.append(.literal(String(literal))) }
    self.parts = parts
  }

  /// The fields it names, in order.
  public var fields: [String] {
    parts.compactMap { if case .field(let name) = $0 { name } else { nil } }
  }

  /// - Throws: ``EvaluationError/missingField(_:field:)``, ``EvaluationError/wrongType(_:field:expected:found:)``
  package func filled(from row: DataRow) throws -> String {
    var text = ""
    for part in parts {
      switch part {
      case .literal(let literal): text += literal
      case .field(let name): text += try row.text(name)
      }
    }
    return text
  }
}
