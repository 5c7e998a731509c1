extension JSONValue {
  /// The text, one member or element a line in the outer `expandedLevels` levels and compact below.
  package func encoded(expandedLevels: Int = 3) -> [UInt8] {
    var writer = Writer(expandedLevels: expandedLevels)
    writer.write(self, level: 0)
    writer.bytes.append(UInt8(ascii: "\n"))
    return writer.bytes
  }

  private struct Writer {
    var bytes: [UInt8] = []
    let expandedLevels: Int

    mutating func write(_ value: JSONValue, level: Int) {
      switch value {
      case .object(let members):
        writeList("{", "}", members, level: level) { writer, member in
          writer.writeString(member.key)
          writer.bytes.append(contentsOf: ": ".utf8)
          writer.write(member.value, level: level + 1)
        }
      case .array(let elements):
        writeList("[", "]", elements, level: level) { $0.write($1, level: level + 1) }
      case .string(let text): writeString(text)
      case .integer(let value): bytes.append(contentsOf: value.description.utf8)
      case .number(let value): bytes.append(contentsOf: value.description.utf8)
      case .numeral(let text): bytes.append(contentsOf: text.utf8)
      case .bool(let value): bytes.append(contentsOf: value.description.utf8)
      case .null: bytes.append(contentsOf: "null".utf8)
      }
    }

    private mutating func writeList<Element>(
      _ open: String, _ close: String, _ elements: [Element], level: Int,
      _ write: (inout Writer, Element) -> Void
    ) {
      let isExpanded = level < expandedLevels && !elements.isEmpty
      bytes.append(contentsOf: open.utf8)
      for (index, element) in elements.enumerated() {
        if index > 0 { bytes.append(contentsOf: (isExpanded ? "," : ", ").utf8) }
        if isExpanded { newLine(level + 1) }
        write(&self, element)
      }
      if isExpanded { newLine(level) }
      bytes.append(contentsOf: close.utf8)
    }

    private mutating func newLine(_ level: Int) {
      bytes.append(UInt8(ascii: "\n"))
      for _ in 0..<level { bytes.append(contentsOf: "  ".utf8) }
    }

    private mutating func writeString(_ text: String) {
      let quote = UInt8(ascii: "\"")
      let backslash = UInt8(ascii: "\\")
      bytes.append(quote)
      for byte in text.utf8 {
        switch byte {
        case quote, backslash: bytes.append(contentsOf: [backslash, byte])
        case 0x0A: bytes.append(contentsOf: "\\n".utf8)
        case 0x00..<0x20:
          let digits = Array("0123456789abcdef".utf8)
          bytes.append(contentsOf: "\\u00".utf8)
          bytes.append(contentsOf: [digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        default: bytes.append(byte)
        }
      }
      bytes.append(quote)
    }
  }
}
