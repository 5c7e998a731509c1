/// What happens to text before it is cut into words.
enum TextNormalizer: Sendable {
  case form(NormalizationForm)
  case lowercase
  case strip(left: Bool, right: Bool)
  case stripAccents
  case prepend([UInt8])
  case replace(TextPattern, with: [UInt8])
  case byteLevel

  /// The steps `node` describes, sequences flattened.
  static func load(_ node: JSONNode) throws -> [TextNormalizer] {
    let type = try node.type()
    switch type {
    case "Sequence": return try node.required("normalizers").elements().flatMap(load)
    case "NFC", "NFD", "NFKC", "NFKD":
      guard let form = NormalizationForm(rawValue: type) else { throw node.unsupportedComponent(type) }
      return [.form(form)]
    case "Lowercase": return [.lowercase]
    case "Strip":
      return [.strip(left: try node.required("strip_left").bool(), right: try node.required("strip_right").bool())]
    case "StripAccents": return [.stripAccents]
    case "Prepend": return [.prepend(try node.required("prepend").bytes())]
    case "Replace":
      return [.replace(try TextPattern(node.required("pattern")), with: try node.required("content").bytes())]
    case "ByteLevel": return [.byteLevel]
    default: throw node.unsupportedComponent(type)
    }
  }

  /// How many times as long it can make a text, as far as the file decides that; Unicode's own forms count as 1.
  var growth: Int {
    switch self {
    case .form, .lowercase, .strip, .stripAccents: 1
    case .prepend(let prefix): 1 + prefix.count
    case .replace(.literal(let literal), let content): max(1, (content.count + literal.count) / max(1, literal.count))
    // Also between any two bytes.
    case .replace(_, let content): 1 + content.count
    case .byteLevel: 2
    }
  }

  func apply(_ text: [UInt8]) -> [UInt8] {
    switch self {
    case .form(let form): return form.normalize(text)
    case .lowercase:
      return UTF8Text.scalars(of: text).reduce(into: []) { $0.append(contentsOf: $1.properties.lowercaseMapping.utf8) }
    case .strip(let left, let right): return Self.strip(text, left: left, right: right)
    case .stripAccents:
      return UTF8Text.scalars(of: text).reduce(into: []) { result, scalar in
        if !NormalizationData.isMark(scalar) { UTF8Text.append(scalar, to: &result) }
      }
    case .prepend(let prefix): return text.isEmpty ? text : prefix + text
    case .replace(let pattern, let content): return pattern.replace(in: text, with: content)
    case .byteLevel:
      var result: [UInt8] = []
      ByteAlphabet.append(text, to: &result)
      return result
    }
  }

  private static func strip(_ text: [UInt8], left: Bool, right: Bool) -> [UInt8] {
    var scalars = UTF8Text.scalars(of: text)[...]
    if left { scalars = scalars.drop { $0.properties.isWhitespace } }
    if right { while scalars.last?.properties.isWhitespace == true { scalars.removeLast() } }
    return scalars.reduce(into: []) { UTF8Text.append($1, to: &$0) }
  }
}
