import Foundation

extension Jinja.Evaluator {
  static let filterNames: Set<String> = [
    "abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape", "first",
    "float", "forceescape", "format", "groupby", "indent", "int", "items", "join", "last", "length", "list", "lower",
    "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr", "slice",
    "sort", "string", "sum", "title", "tojson", "trim", "truncate", "unique", "upper", "urlencode", "wordcount",
  ]

  func apply(_ use: Jinja.FilterUse, to value: Value, _ scope: Scope) throws -> Value {
    try apply(filter: use.name, to: value, try evaluate(use.arguments, scope))
  }

  func apply(filter name: String, to value: Value, _ arguments: CallArguments) throws -> Value {
    if let result = try applySequenceFilter(name, to: value, arguments) { return result }
    switch name {
    case "default", "d":
      let values = try arguments.bound(to: ["default_value", "boolean"], in: name)
      let applies = value.isUndefined || (values[1]?.truth ?? false) && !value.truth
      return applies ? values[0] ?? .string("") : value
    case "tojson": return try toJSON(value, arguments)
    case "string", "safe":
      _ = try arguments.bound(to: [], in: name)
      return .string(try string(of: value))
    case "int": return try toInteger(value, arguments)
    case "float":
      let values = try arguments.bound(to: ["default"], in: name)
      try refuseUndefined(value)
      return try toFloat(value).map { .float($0) } ?? values[0] ?? .float(0)
    case "abs":
      try refuseUndefined(value)
      switch number(value) {
      case .int(let number): return number < 0 ? try negated(value) : .int(number)
      case .float(let number): return .float(number.magnitude)
      case nil: throw TemplateFailure("abs needs a number, got a \(value.typeName)")
      }
    case "round": return try rounded(value, arguments)
    case "items":
      return try generator {
        switch value {
        case .undefined: return []
        case .dictionary(let node): return try node.entries.map { try sequence(.tuple, [$0.key, $0.value]) }
        default: throw TemplateFailure("items needs a dictionary, got a \(value.typeName)")
        }
      }
    case "attr":
      guard let key = try arguments.bound(to: ["name"], in: name)[0] else { throw TemplateFailure("attr needs a name") }
      try refuseUndefined(value)
      if case .dictionary = value { return .undefined("a dictionary has no attribute '\(try string(of: key))'") }
      return try attribute(try string(of: key), of: value)
    default: return try applyTextFilter(name, to: value, arguments)
    }
  }

  private func applyTextFilter(_ name: String, to value: Value, _ arguments: CallArguments) throws -> Value {
    func plain() throws -> String {
      _ = try arguments.bound(to: [], in: name)
      let string = try string(of: value)
      // Most of them change the text scalar by scalar, and may make it longer.
      try chargeReading(string, factor: 16)
      try charge(steps: string.utf8.count / 8)
      return string
    }
    switch name {
    case "upper": return try text(try plain().uppercased())
    case "lower": return try text(try plain().lowercased())
    case "capitalize": return try text(Jinja.capitalized(try plain()))
    case "title": return try text(Jinja.titledWords(try plain()))
    case "trim":
      let characters = try arguments.bound(to: ["chars"], in: name)[0]
      let string = try string(of: value)
      try chargeReading(string)
      return try text(
        Jinja.stripped(string, try characters.flatMap { $0.isNone ? nil : $0 }.map { try self.string(of: $0) }))
    case "escape", "e", "forceescape": return try text(escaped(try plain()))
    case "wordcount":
      let words = try plain().unicodeScalars.split { !($0 == "_" || $0.isLetter || $0.properties.numericType != nil) }
      return .int(words.count)
    case "urlencode": return try text(percentEncoded(try plain()))
    case "replace":
      let values = try arguments.bound(to: ["old", "new", "count"], in: name)
      guard let old = values[0], let new = values[1] else { throw TemplateFailure("replace needs two strings") }
      let limit = values[2].flatMap { $0.isNone ? nil : $0 }
      return try replaced(
        try string(of: value), try string(of: old), try string(of: new), limit: try integer(limit, -1, in: name))
    case "indent": return try indented(value, arguments)
    case "center":
      let width = try integer(try arguments.bound(to: ["width"], in: name)[0], 80, in: name)
      return try callMethod("center", of: .string(try string(of: value)), CallArguments(positional: [.int(width)]))
    case "truncate": return try truncated(try string(of: value), arguments)
    case "format":
      guard arguments.positional.isEmpty || arguments.keywords.isEmpty else {
        throw TemplateFailure("format takes named or unnamed values, not both")
      }
      return try text(try formatted(try string(of: value), arguments))
    case "filesizeformat", "pprint", "random", "striptags", "urlize", "wordwrap", "xmlattr":
      throw ChatTemplateError.unsupported(line: line, "the filter '\(name)'")
    default: throw TemplateFailure("no filter is called '\(name)'")
    }
  }

  // MARK: JSON

  private func toJSON(_ value: Value, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["ensure_ascii", "indent", "separators", "sort_keys"], in: "tojson")
    var indent: String?
    switch values[1] {
    case nil, .none?: break
    case .string(let text)?: indent = text
    case let width?:
      let width = try integer(width, 0, in: "tojson")
      guard width <= 1000 else { throw TemplateFailure("tojson cannot indent by \(width)") }
      indent = String(repeating: " ", count: max(0, width))
    }
    var separators: (String, String)?
    if let pair = values[2], !pair.isNone {
      let items = try iterate(pair)
      guard items.count == 2 else { throw TemplateFailure("tojson needs two separators") }
      separators = (try string(of: items[0]), try string(of: items[1]))
    }
    var writer = Jinja.JSONWriter(
      limit: limits.outputBytes, indent: indent, separators: separators, sortsKeys: values[3]?.truth ?? false,
      escapesUnicode: values[0]?.truth ?? false)
    try writer.append(value)
    try charge(steps: writer.text.utf8.count / 8)
    return try text(writer.text)
  }

  // MARK: numbers

  /// What is longer is no number, as in Python.
  private static let longestNumber = 4300

  func toFloat(_ value: Value) throws -> Double? {
    switch value {
    case .string(let text):
      try chargeReading(text)
      var text = Jinja.stripped(text, nil).lowercased()
      guard text.utf8.count <= Self.longestNumber else { return nil }
      if text.contains("_") {
        guard !text.hasPrefix("_"), !text.hasSuffix("_"), !text.contains("__") else { return nil }
        text.removeAll { $0 == "_" }
      }
      return text.contains("x") || text.contains("(") ? nil : Double(text)
    default: return number(value)?.double
    }
  }

  private func toInteger(_ value: Value, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["default", "base"], in: "int")
    let fallback = values[0] ?? .int(0)
    let base = try integer(values[1], 10, in: "int")
    try refuseUndefined(value)
    switch value {
    case .int(let integer): return .int(integer)
    case .bool(let value): return .int(value ? 1 : 0)
    case .string(let text):
      guard (2...36).contains(base) else { throw TemplateFailure("int needs a base from 2 to 36") }
      try chargeReading(text)
      var digits = Jinja.stripped(text, nil).lowercased()
      guard digits.utf8.count <= Self.longestNumber else { return fallback }
      if base == 16, let prefix = digits.range(of: "0x") { digits.removeSubrange(prefix) }
      if base == 2, let prefix = digits.range(of: "0b") { digits.removeSubrange(prefix) }
      if base == 8, let prefix = digits.range(of: "0o") { digits.removeSubrange(prefix) }
      if !digits.hasPrefix("_"), !digits.hasSuffix("_"), !digits.contains("__"),
        let integer = Int(digits.filter { $0 != "_" }, radix: base)
      {
        return .int(integer)
      }
    default: break
    }
    guard let float = try toFloat(value), float.isFinite else { return fallback }
    guard let integer = Int(exactly: float.rounded(.towardZero)) else { throw Self.overflow }
    return .int(integer)
  }

  private func rounded(_ value: Value, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["precision", "method"], in: "round")
    let precision = try integer(values[0], 0, in: "round")
    let method = try values[1].map { try string(of: $0) } ?? "common"
    try refuseUndefined(value)
    guard let number = number(value)?.double else {
      throw TemplateFailure("round needs a number, got a \(value.typeName)")
    }
    guard (-300...300).contains(precision) else { throw TemplateFailure("round cannot keep \(precision) digits") }
    let scale = pow(10, Double(precision))
    switch method {
    case "common":
      if case .int(let integer) = value, precision >= 0 { return .int(integer) }
      if case .bool(let bool) = value, precision >= 0 { return .int(bool ? 1 : 0) }
      guard number.isFinite else { return .float(number) }
      guard precision >= 0 else { return .float((number * scale).rounded(.toNearestOrEven) / scale) }
      return .float(Double(String(format: "%.\(precision)f", number)) ?? number)
    case "ceil": return .float((number * scale).rounded(.up) / scale)
    case "floor": return .float((number * scale).rounded(.down) / scale)
    default: throw TemplateFailure("round knows the methods common, ceil and floor, not '\(method)'")
    }
  }

  // MARK: text

  private func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "'": result += "&#39;"
      case "\"": result += "&#34;"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private func percentEncoded(_ text: String) -> String {
    let safe = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~/".utf8)
    var result = ""
    for byte in text.utf8 {
      if safe.contains(byte) {
        result.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        result += "%" + Jinja.hexadecimal(UInt32(byte), width: 2).uppercased()
      }
    }
    return result
  }

  private func indented(_ value: Value, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["width", "first", "blank"], in: "indent")
    try refuseUndefined(value)
    guard case .string(let string) = value else {
      throw TemplateFailure("indent needs a string, got a \(value.typeName)")
    }
    var indentation: String
    if case .string(let given)? = values[0] {
      indentation = given
    } else {
      let width = try integer(values[0], 4, in: "indent")
      guard width <= 10_000 else { throw TemplateFailure("indent cannot indent by \(width)") }
      indentation = String(repeating: " ", count: max(0, width))
    }
    try chargeReading(string, factor: 32)
    // Jinja appends a newline first, so that a text ending in one keeps an empty last line.
    let lines = Jinja.lines(of: string + "\n")
    try charge(bytes: lines.count * indentation.utf8.count)
    let indentsBlank = values[2]?.truth ?? false
    let rest = lines.dropFirst().map { $0.isEmpty && !indentsBlank ? $0 : indentation + $0 }
    if !(values[1]?.truth ?? false) { indentation = "" }
    return try text(([indentation + (lines.first ?? "")] + rest).joined(separator: "\n"))
  }

  private func truncated(_ text: String, _ arguments: CallArguments) throws -> Value {
    let values = try arguments.bound(to: ["length", "killwords", "end", "leeway"], in: "truncate")
    let length = try integer(values[0], 255, in: "truncate")
    let end = try values[2].map { try string(of: $0) } ?? "..."
    let leeway = try integer(values[3].flatMap { $0.isNone ? nil : $0 }, 5, in: "truncate")
    try chargeReading(text)
    let scalars = Array(text.unicodeScalars)
    let endCount = end.unicodeScalars.count
    guard length >= endCount, leeway >= 0, leeway < .max - length else {
      throw TemplateFailure("truncate needs a length of at least that of its end, and a leeway of at least 0")
    }
    guard scalars.count > length + leeway else { return .string(text) }
    var kept = scalars[..<(length - endCount)]
    if !(values[1]?.truth ?? false), let space = kept.lastIndex(of: " ") { kept = kept[..<space] }
    return try self.text(String(kept) + end)
  }
}
