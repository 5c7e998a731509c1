extension Jinja {
  /// Writes values as Python's `str` and `repr` do, up to a size.
  struct Writer {
    private(set) var text = ""
    let limit: Int

    init(limit: Int) { self.limit = limit }

    struct TooLong: Error {}

    mutating func append(_ more: String) throws {
      guard text.utf8.count + more.utf8.count <= limit else { throw TooLong() }
      text += more
    }

    mutating func appendString(of value: Value) throws {
      switch value {
      case .undefined: break
      case .string(let value): try append(value)
      default: try appendRepresentation(of: value)
      }
    }

    mutating func appendRepresentation(of value: Value) throws {
      switch value {
      case .undefined: try append("Undefined")
      case .none: try append("None")
      case .bool(let value): try append(value ? "True" : "False")
      case .int(let value): try append(String(value))
      case .float(let value): try append(Jinja.description(of: value))
      case .string(let value): try append(try Jinja.quoted(value, limit: limit))
      case .sequence(let node): try appendSequence(node)
      case .dictionary(let node):
        try append("{")
        try appendEntries(node.entries.map { ($0.key, $0.value) })
        try append("}")
      case .namespace(let node):
        try append("<Namespace {")
        try appendEntries(node.attributes.map { (.string($0.name), $0.value) })
        try append("}>")
      case .callable(let node): try append("<\(node.description)>")
      case .loop(let node): try append("<LoopContext \(node.index + 1)/\(node.items.count)>")
      }
    }

    private mutating func appendSequence(_ node: SequenceNode) throws {
      switch node.kind {
      case .list: try appendItems(node.items, "[", "]")
      case .tuple, .group: try appendItems(node.items, "(", node.items.count == 1 ? ",)" : ")")
      case .keys: try appendItems(node.items, "dict_keys([", "])")
      case .values: try appendItems(node.items, "dict_values([", "])")
      case .items: try appendItems(node.items, "dict_items([", "])")
      case .range(let description): try append(description)
      case .generator: try append("<generator>")
      }
    }

    private mutating func appendItems(_ items: [Value], _ open: String, _ close: String) throws {
      try append(open)
      for (index, item) in items.enumerated() {
        if index > 0 { try append(", ") }
        try appendRepresentation(of: item)
      }
      try append(close)
    }

    private mutating func appendEntries(_ entries: [(Value, Value)]) throws {
      for (index, entry) in entries.enumerated() {
        if index > 0 { try append(", ") }
        try appendRepresentation(of: entry.0)
        try append(": ")
        try appendRepresentation(of: entry.1)
      }
    }
  }

  /// `repr(float)`: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
  static func description(of value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
    let parts = "\(value.magnitude)".split(separator: "e")
    let mantissa = parts[0].split(separator: ".")
    let whole = String(mantissa[0])
    let fraction = mantissa.count > 1 ? String(mantissa[1]) : ""
    var digits = whole + fraction
    // The value is 0.DIGITS x 10^point.
    var point = whole.count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
    while digits.first == "0" && digits.count > 1 {
      digits.removeFirst()
      point -= 1
    }
    while digits.last == "0" && digits.count > 1 { digits.removeLast() }
    let sign = value < 0 ? "-" : ""
    let exponent = point - 1
    if exponent < -4 || exponent >= 16 {
      let rest = digits.dropFirst()
      let power = exponent.magnitude < 10 ? "0\(exponent.magnitude)" : "\(exponent.magnitude)"
      return "\(sign)\(digits.prefix(1))\(rest.isEmpty ? "" : ".\(rest)")e\(exponent < 0 ? "-" : "+")\(power)"
    }
    if point <= 0 { return "\(sign)0.\(String(repeating: "0", count: -point))\(digits)" }
    if digits.count <= point { return "\(sign)\(digits)\(String(repeating: "0", count: point - digits.count)).0" }
    return "\(sign)\(digits.prefix(point)).\(digits.dropFirst(point))"
  }

  /// `repr(str)`.
  static func quoted(_ text: String, limit: Int) throws -> String {
    var escapes = 0
    let scalars = text.unicodeScalars
    let quote: Unicode.Scalar = scalars.contains("'") && !scalars.contains("\"") ? "\"" : "'"
    var result = ""
    result.unicodeScalars.append(quote)
    for scalar in scalars {
      switch scalar {
      case quote, "\\":
        result += "\\"
        result.unicodeScalars.append(scalar)
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      default:
        if isPrintable(scalar) {
          result.unicodeScalars.append(scalar)
        } else {
          escapes += 10
          guard text.utf8.count + escapes <= limit else { throw Writer.TooLong() }
          result += escaped(scalar)
        }
      }
    }
    result.unicodeScalars.append(quote)
    return result
  }

  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    switch scalar.value {
    case ..<0x100: "\\x" + hexadecimal(scalar.value, width: 2)
    case ..<0x10000: "\\u" + hexadecimal(scalar.value, width: 4)
    default: "\\U" + hexadecimal(scalar.value, width: 8)
    }
  }

  static func hexadecimal(_ value: UInt32, width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    if scalar == " " { return true }
    return switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
      .spaceSeparator:
      false
    default: true
    }
  }
}

extension Jinja.Callable: CustomStringConvertible {
  var description: String {
    switch kind {
    case .macro(let macro, _, _): "Macro '\(macro.name)'"
    case .function(let name): "function \(name)"
    case .method(let receiver, let name): "method \(name) of \(receiver.typeName)"
    }
  }
}
