extension Jinja {
  /// `json.dumps` with the options that the filter `tojson` of `transformers` passes on.
  struct JSONWriter {
    private var writer: Writer
    let indent: String?
    let itemSeparator: String
    let keySeparator: String
    let sortsKeys: Bool
    let escapesUnicode: Bool

    var text: String { writer.text }

    init(limit: Int, indent: String?, separators: (String, String)?, sortsKeys: Bool, escapesUnicode: Bool) {
      writer = Writer(limit: limit)
      self.indent = indent
      itemSeparator = separators?.0 ?? (indent == nil ? ", " : ",")
      keySeparator = separators?.1 ?? ": "
      self.sortsKeys = sortsKeys
      self.escapesUnicode = escapesUnicode
    }

    mutating func append(_ value: Value, level: Int = 0) throws {
      switch value {
      case .none: try writer.append("null")
      case .bool(let value): try writer.append(value ? "true" : "false")
      case .int(let value): try writer.append(String(value))
      case .float(let value): try writer.append(Self.number(value))
      case .string(let value): try writer.append(try quoted(value))
      case .sequence(let node) where node.kind == .list || node.isTuple:
        try appendItems(count: node.items.count, "[", "]", level: level) { writer, index in
          try writer.append(node.items[index], level: level + 1)
        }
      case .dictionary(let node):
        var entries = try node.entries.map { (key: try Self.name(of: $0.key), value: $0.value) }
        if sortsKeys { entries.sort { Jinja.precedes($0.key, $1.key) } }
        try appendItems(count: entries.count, "{", "}", level: level) { writer, index in
          let entry = entries[index]
          try writer.writer.append(try writer.quoted(entry.key) + writer.keySeparator)
          try writer.append(entry.value, level: level + 1)
        }
      default: throw TemplateFailure("a \(value.typeName) cannot be written as JSON")
      }
    }

    private mutating func appendItems(
      count: Int, _ open: String, _ close: String, level: Int, _ item: (inout JSONWriter, Int) throws -> Void
    ) throws {
      guard count > 0 else {
        try writer.append(open + close)
        return
      }
      try writer.append(open)
      for index in 0..<count {
        if index > 0 { try writer.append(itemSeparator) }
        try appendLineBreak(level: level + 1)
        try item(&self, index)
      }
      try appendLineBreak(level: level)
      try writer.append(close)
    }

    private mutating func appendLineBreak(level: Int) throws {
      guard let indent else { return }
      try writer.append("\n")
      for _ in 0..<level { try writer.append(indent) }
    }

    private static func number(_ value: Double) -> String {
      if value.isNaN { return "NaN" }
      if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
      return Jinja.description(of: value)
    }

    private static func name(of key: Value) throws -> String {
      switch key {
      case .string(let name): name
      case .int(let value): String(value)
      case .float(let value): number(value)
      case .bool(let value): value ? "true" : "false"
      case .none: "null"
      default: throw TemplateFailure("a \(key.typeName) cannot be a key in JSON")
      }
    }

    private func quoted(_ text: String) throws -> String {
      var result = ""
      var escapes = 0
      result += "\""
      for scalar in text.unicodeScalars {
        guard text.utf8.count + escapes <= writer.limit else { throw Writer.TooLong() }
        switch scalar {
        case "\"", "\\":
          result += "\\"
          result.unicodeScalars.append(scalar)
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case "\u{8}": result += "\\b"
        case "\u{C}": result += "\\f"
        default:
          if scalar.value < 0x20 || (escapesUnicode && scalar.value > 0x7E) {
            escapes += 12
            for unit in String(scalar).utf16 {
              result += "\\u" + Jinja.hexadecimal(UInt32(unit), width: 4)
            }
          } else {
            result.unicodeScalars.append(scalar)
          }
        }
      }
      result += "\""
      return result
    }
  }

  /// Python's order of strings: by code points.
  static func precedes(_ left: String, _ right: String) -> Bool {
    left.unicodeScalars.lexicographicallyPrecedes(right.unicodeScalars)
  }
}
