internal import Foundation

/// Strict JSON (RFC 8259) over bytes.
struct JSONReader {
  private let bytes: [UInt8]
  private let file: String
  private var position = 0
  /// Deeper nesting is refused, so that a hostile file cannot exhaust the stack.
  private static let maximumDepth = 128

  private init(bytes: [UInt8], file: String) {
    self.bytes = bytes
    self.file = file
  }

  /// - Throws: `missingFile`, `unreadableFile` or `malformedJSON`.
  static func read(file: String) throws -> JSONNode {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: file, isDirectory: &isDirectory) else {
      throw TokenizerError.missingFile(path: file)
    }
    guard !isDirectory.boolValue else {
      throw TokenizerError.unreadableFile(path: file, reason: "it is a directory")
    }
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: file))
    } catch {
      throw TokenizerError.unreadableFile(path: file, reason: error.localizedDescription)
    }
    return try parse([UInt8](data), file: file)
  }

  /// - Throws: `malformedJSON`.
  static func parse(_ bytes: [UInt8], file: String) throws -> JSONNode {
    var reader = JSONReader(bytes: bytes, file: file)
    reader.skipSpace()
    let value = try reader.value(depth: 0)
    reader.skipSpace()
    guard reader.position == bytes.count else { throw reader.malformed("something follows the value") }
    return JSONNode(value: value, file: file, field: "")
  }

  private func malformed(_ reason: String, at offset: Int? = nil) -> TokenizerError {
    let end = min(offset ?? position, bytes.count)
    let line = bytes[..<end].count { $0 == UInt8(ascii: "\n") } + 1
    let lineStart = bytes[..<end].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    return .malformedJSON(path: file, line: line, column: end - lineStart + 1, reason: reason)
  }

  private mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  private mutating func value(depth: Int) throws -> JSONTree {
    guard depth < Self.maximumDepth else { throw malformed("nested deeper than \(Self.maximumDepth) levels") }
    guard position < bytes.count else { throw malformed("the file ends where a value is due") }
    switch bytes[position] {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw malformed("unexpected character")
    }
  }

  private mutating func literal(_ word: StaticString, _ value: JSONTree) throws -> JSONTree {
    let count = word.utf8CodeUnitCount
    guard bytes.count - position >= count else { throw malformed("unexpected character") }
    for index in 0..<count where bytes[position + index] != word.utf8Start[index] {
      throw malformed("unexpected character")
    }
    position += count
    return value
  }

  private mutating func array(depth: Int) throws -> JSONTree {
    position += 1
    var values: [JSONTree] = []
    skipSpace()
    if next(is: "]") { return .array(values) }
    while true {
      skipSpace()
      values.append(try value(depth: depth + 1))
      skipSpace()
      if next(is: ",") { continue }
      guard next(is: "]") else { throw malformed("expected ',' or ']'") }
      return .array(values)
    }
  }

  private mutating func object(depth: Int) throws -> JSONTree {
    position += 1
    var members: [(key: [UInt8], value: JSONTree)] = []
    skipSpace()
    if next(is: "}") { return .object(members) }
    while true {
      skipSpace()
      guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { throw malformed("expected a name") }
      let key = try string()
      skipSpace()
      guard next(is: ":") else { throw malformed("expected ':'") }
      skipSpace()
      members.append((key, try value(depth: depth + 1)))
      skipSpace()
      if next(is: ",") { continue }
      guard next(is: "}") else { throw malformed("expected ',' or '}'") }
      return .object(members)
    }
  }

  private mutating func next(is scalar: Unicode.Scalar) -> Bool {
    guard position < bytes.count, UInt32(bytes[position]) == scalar.value else { return false }
    position += 1
    return true
  }

  private mutating func digits() throws {
    let start = position
    while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
    guard position > start else { throw malformed("expected a digit") }
  }

  private mutating func number() throws -> JSONTree {
    let start = position
    _ = next(is: "-")
    if !next(is: "0") { try digits() }
    var isInteger = true
    if next(is: ".") {
      isInteger = false
      try digits()
    }
    if next(is: "e") || next(is: "E") {
      isInteger = false
      if !next(is: "-") { _ = next(is: "+") }
      try digits()
    }
    let text = bytes[start..<position]
    if isInteger, let value = Int(String(decoding: text, as: UTF8.self)) { return .integer(value) }
    return .number(Array(text))
  }
}

// MARK: - Strings

extension JSONReader {
  private mutating func string() throws -> [UInt8] {
    let opening = position
    position += 1
    let start = position
    var isASCII = true
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        let text = Array(bytes[start..<position])
        guard isASCII || UTF8Text.isValid(text) else { throw malformed("a string is not valid UTF-8", at: opening) }
        position += 1
        return text
      case UInt8(ascii: "\\"): return try escapedString(opening: opening, start: start)
      case 0..<0x20: throw malformed("a control character in a string must be escaped")
      case 0x80...: isASCII = false
      default: break
      }
      position += 1
    }
    throw malformed("a string does not end", at: opening)
  }

  private mutating func escapedString(opening: Int, start: Int) throws -> [UInt8] {
    var text = Array(bytes[start..<position])
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard UTF8Text.isValid(text) else { throw malformed("a string is not valid UTF-8", at: opening) }
        return text
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw malformed("a control character in a string must be escaped")
      default: text.append(byte)
      }
    }
    throw malformed("a string does not end", at: opening)
  }

  private mutating func escape(into text: inout [UInt8]) throws {
    guard position < bytes.count else { throw malformed("a string does not end") }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var value = try hexadecimal()
      if (0xD800..<0xDC00).contains(value) {
        guard next(is: "\\"), next(is: "u") else { throw malformed("half a surrogate pair") }
        let low = try hexadecimal()
        guard (0xDC00..<0xE000).contains(low) else { throw malformed("half a surrogate pair") }
        value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(value) else { throw malformed("half a surrogate pair") }
      UTF8Text.append(scalar, to: &text)
    default: throw malformed("unknown escape")
    }
  }

  private mutating func hexadecimal() throws -> UInt32 {
    guard bytes.count - position >= 4 else { throw malformed("a string does not end") }
    var value: UInt32 = 0
    for _ in 0..<4 {
      let byte = bytes[position]
      let digit: UInt8
      switch byte {
      case 0x30...0x39: digit = byte - 0x30
      case 0x41...0x46: digit = byte - 0x41 + 10
      case 0x61...0x66: digit = byte - 0x61 + 10
      default: throw malformed("expected a hexadecimal digit")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
