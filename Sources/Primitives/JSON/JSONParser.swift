/// Strict RFC 8259 parser over bytes: refuses invalid UTF-8, deep nesting and trailing text, keeps strings to the byte.
package struct JSONParser {
  /// Where readers differ.
  package struct Rules: Sendable {
    /// Whether an object may hold two keys that Swift's strings take for one; all members are kept then.
    package var allowsDuplicateKeys = false
    /// Whether numbers other than `Int` stay text, of any size, and none is refused as out of range.
    package var keepsNumerals = false
    /// How many arrays and objects a value may lie in, so that a hostile file cannot exhaust the stack.
    package var maximumDepth = 64

    package init(allowsDuplicateKeys: Bool = false, keepsNumerals: Bool = false, maximumDepth: Int = 64) {
      self.allowsDuplicateKeys = allowsDuplicateKeys
      self.keepsNumerals = keepsNumerals
      self.maximumDepth = maximumDepth
    }
  }

  private let bytes: UnsafeRawBufferPointer
  private let rules: Rules
  private var position = 0

  package static func parse(_ bytes: UnsafeRawBufferPointer, rules: Rules = Rules()) throws(Failure) -> JSONValue {
    var parser = JSONParser(bytes: bytes, rules: rules)
    parser.skipWhitespace()
    let value = try parser.value(depth: 0)
    parser.skipWhitespace()
    guard parser.position == bytes.count else { throw parser.failure(.trailingText) }
    return value
  }

  private init(bytes: UnsafeRawBufferPointer, rules: Rules) {
    self.bytes = bytes
    self.rules = rules
  }

  private func failure(_ problem: Failure.Problem, startingAt start: Int? = nil) -> Failure {
    Failure(problem: problem, offset: position, start: start ?? position)
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipWhitespace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func next(is character: Unicode.Scalar) -> Bool {
    guard current == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar, _ problem: Failure.Problem) throws(Failure) {
    guard next(is: character) else { throw failure(problem) }
  }

  private mutating func value(depth: Int) throws(Failure) -> JSONValue {
    guard depth <= rules.maximumDepth else { throw failure(.tooDeep(limit: rules.maximumDepth)) }
    switch current {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case UInt8(ascii: "-"): return try number()
    case let digit? where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit): return try number()
    case nil: throw failure(.missingValue)
    default: throw failure(.notAValue)
    }
  }

  private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(Failure) -> JSONValue {
    let count = word.utf8CodeUnitCount
    guard position + count <= bytes.count,
      (0..<count).allSatisfy({ bytes[position + $0] == word.utf8Start[$0] })
    else { throw failure(.notAValue) }
    position += count
    return value
  }

  private mutating func object(depth: Int) throws(Failure) -> JSONValue {
    position += 1
    var members: [JSONValue.Member] = []
    var keys: Set<String> = []
    skipWhitespace()
    if next(is: "}") { return .object(members) }
    while true {
      skipWhitespace()
      let start = position
      guard current == UInt8(ascii: "\"") else { throw failure(.missingKey) }
      let key = try string()
      if !rules.allowsDuplicateKeys, !keys.insert(key).inserted {
        position = start
        throw failure(.duplicateKey(key))
      }
      skipWhitespace()
      try expect(":", .missingColon)
      skipWhitespace()
      members.append((key, try value(depth: depth + 1)))
      skipWhitespace()
      if next(is: ",") { continue }
      try expect("}", .unclosedObject)
      return .object(members)
    }
  }

  private mutating func array(depth: Int) throws(Failure) -> JSONValue {
    position += 1
    var elements: [JSONValue] = []
    skipWhitespace()
    if next(is: "]") { return .array(elements) }
    while true {
      skipWhitespace()
      elements.append(try value(depth: depth + 1))
      skipWhitespace()
      if next(is: ",") { continue }
      try expect("]", .unclosedArray)
      return .array(elements)
    }
  }

  private mutating func digits() throws(Failure) {
    let start = position
    while let byte = current, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
    guard position > start else { throw failure(.missingDigit) }
  }

  private mutating func number() throws(Failure) -> JSONValue {
    let start = position
    _ = next(is: "-")
    let whole = position
    try digits()
    guard bytes[whole] != UInt8(ascii: "0") || position == whole + 1 else {
      throw failure(.leadingZero, startingAt: start)
    }
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
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let value = Int(text) { return .integer(value) }
    if rules.keepsNumerals { return .numeral(text) }
    guard let value = Double(text), value.isFinite else {
      position = start
      throw failure(.numberOutOfRange)
    }
    return .number(value)
  }
}

// MARK: - Strings

extension JSONParser {
  private mutating func string() throws(Failure) -> String {
    position += 1
    let start = position
    while let byte = current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
    guard current == UInt8(ascii: "\"") else { return try escapedString(from: start) }
    let text = try validated(bytes[start..<position], from: start)
    position += 1
    return text
  }

  private mutating func validated(_ content: some Collection<UInt8>, from start: Int) throws(Failure) -> String {
    guard let text = String(validating: content, as: UTF8.self) else {
      position = start
      throw failure(.invalidUTF8, startingAt: start - 1)
    }
    return text
  }

  private mutating func escapedString(from start: Int) throws(Failure) -> String {
    var content = [UInt8](bytes[start..<position])
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        let text = try validated(content, from: start)
        position += 1
        return text
      case UInt8(ascii: "\\"):
        position += 1
        try escape(into: &content)
      case 0..<0x20: throw failure(.controlCharacter)
      default:
        content.append(byte)
        position += 1
      }
    }
    throw failure(.unterminatedString, startingAt: start - 1)
  }

  private mutating func escape(into content: inout [UInt8]) throws(Failure) {
    guard let byte = current else { throw failure(.unterminatedString) }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
    case UInt8(ascii: "b"): content.append(0x08)
    case UInt8(ascii: "f"): content.append(0x0C)
    case UInt8(ascii: "n"): content.append(0x0A)
    case UInt8(ascii: "r"): content.append(0x0D)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "u"): content.append(contentsOf: Unicode.UTF8.encode(try escapedScalar()) ?? .init())
    default: throw failure(.unknownEscape)
    }
  }

  private mutating func escapedScalar() throws(Failure) -> Unicode.Scalar {
    var code = try hexadecimal()
    if (0xD800..<0xDC00).contains(code) {
      try expect("\\", .missingSurrogate("\\"))
      try expect("u", .missingSurrogate("u"))
      let low = try hexadecimal()
      guard (0xDC00..<0xE000).contains(low) else { throw failure(.unpairedSurrogate) }
      code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(code) else { throw failure(.unpairedSurrogate) }
    return scalar
  }

  private mutating func hexadecimal() throws(Failure) -> UInt32 {
    let start = position
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw bytes.count - start < 4 ? failure(.cutEscape, startingAt: start) : failure(.notHexadecimal)
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}
