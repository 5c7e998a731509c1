import Primitives

/// Changes of structure: of JSON values and of lines.
extension Mutator {
  private static let newline = UInt8(ascii: "\n")

  // MARK: - Lines

  private func lines(of bytes: [UInt8]) -> [[UInt8]] {
    bytes.split(separator: Self.newline, omittingEmptySubsequences: false).map(Array.init)
  }

  /// Moves, repeats, indents or drops a line.
  mutating func mutateLines(_ bytes: inout [UInt8]) {
    var lines = lines(of: bytes)
    let index = random.below(lines.count)
    switch random.below(5) {
    case 0: lines.insert(lines[index], at: random.below(lines.count + 1))
    case 1: lines.remove(at: index)
    case 2: lines[index].insert(contentsOf: [UInt8](repeating: 0x20, count: 1 + random.below(8)), at: 0)
    case 3: lines[index].removeFirst(min(lines[index].count, 1 + random.below(4)))
    default: lines.swapAt(index, random.below(lines.count))
    }
    bytes = Array(lines.joined(separator: [Self.newline]))
  }

  /// Changes the JSON of one line; false where that is none.
  mutating func mutateLine(_ bytes: inout [UInt8]) -> Bool {
    var lines = lines(of: bytes)
    let index = random.below(lines.count)
    guard mutateJSON(&lines[index]) else { return false }
    bytes = Array(lines.joined(separator: [Self.newline]))
    return true
  }

  // MARK: - JSON

  /// Changes one value of a JSON text; false where it is none.
  mutating func mutateJSON(_ bytes: inout [UInt8]) -> Bool {
    let rules = JSONParser.Rules(allowsDuplicateKeys: true, keepsNumerals: true, maximumDepth: 200)
    guard var value = bytes.withUnsafeBytes({ try? JSONParser.parse($0, rules: rules) }) else { return false }
    var target = random.below(Self.count(value))
    change(&value, &target)
    bytes = value.encoded(expandedLevels: chance(4) ? 2 : 0)
    bytes.removeLast()
    if chance(8) { spoilText(&bytes) }
    return true
  }

  private static func count(_ value: JSONValue) -> Int {
    switch value {
    case .object(let members): members.reduce(1) { $0 + count($1.value) }
    case .array(let elements): elements.reduce(1) { $0 + count($1) }
    default: 1
    }
  }

  /// Walks to value number `target` and changes it.
  private mutating func change(_ value: inout JSONValue, _ target: inout Int) {
    guard target > 0 else {
      target = -1
      return replace(&value)
    }
    target -= 1
    switch value {
    case .object(var members):
      for index in members.indices where target >= 0 { change(&members[index].value, &target) }
      value = .object(members)
    case .array(var elements):
      for index in elements.indices where target >= 0 { change(&elements[index], &target) }
      value = .array(elements)
    default: break
    }
  }

  private mutating func replace(_ value: inout JSONValue) {
    if chance(2) {
      switch value {
      case .object(var members) where !members.isEmpty:
        changeMembers(&members)
        return value = .object(members)
      case .array(var elements) where !elements.isEmpty:
        changeElements(&elements)
        return value = .array(elements)
      case .string(let text): return value = .string(changed(text))
      case .integer(let number): return value = .integer(number &+ random.below(9) &- 4)
      default: break
      }
    }
    value = random.below(12) == 0 ? nested(value) : other()
  }

  private mutating func changeMembers(_ members: inout [JSONValue.Member]) {
    let index = random.below(members.count)
    switch random.below(5) {
    case 0: members.remove(at: index)
    case 1: members.append(members[index])
    case 2: members[index].key = changed(members[index].key)
    case 3: members[index].value = members[random.below(members.count)].value
    default: members.append((members[index].key, other()))
    }
  }

  private mutating func changeElements(_ elements: inout [JSONValue]) {
    let index = random.below(elements.count)
    switch random.below(4) {
    case 0: elements.remove(at: index)
    case 1: elements.insert(elements[index], at: 0)
    case 2: elements.swapAt(index, random.below(elements.count))
    default: elements = Array(repeating: elements[index], count: chance(10) ? 2000 : 1 + random.below(20))
    }
  }

  private mutating func nested(_ value: JSONValue) -> JSONValue {
    let depth = element(of: [2, 8, 60, 64, 65, 127, 128, 129, 600, 2000])
    let usesObjects = chance(2)
    return (0..<depth).reduce(value) { inner, _ in usesObjects ? ["a": inner] : [inner] }
  }

  private static let numerals = [
    "0", "-0", "1", "-1", "0.5", "1e5", "1e-320", "1e308", "1e309", "-1e999", "2147483648", "4294967296",
    "9007199254740993", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551616",
    "123456789012345678901234567890", "0.1e1", "16777216", "100000", "3.0",
  ]

  private mutating func other() -> JSONValue {
    switch random.below(9) {
    case 0, 1, 2: .numeral(element(of: Self.numerals))
    case 3: .string(dictionary.isEmpty ? "" : String(decoding: element(of: dictionary), as: UTF8.self))
    case 4: .string(changed(""))
    case 5: .bool(chance(2))
    case 6: .null
    case 7: .array([])
    default: .object([])
    }
  }

  private mutating func changed(_ text: String) -> String {
    switch random.below(6) {
    case 0: return ""
    case 1: return text + text
    case 2: return String(repeating: text.isEmpty ? "a" : text, count: chance(10) ? 5000 : 1 + random.below(50))
    case 3 where !dictionary.isEmpty: return text + String(decoding: element(of: dictionary), as: UTF8.self)
    case 4: return String(text.dropLast(random.below(text.count + 1)))
    default:
      return text + element(of: ["\u{0}", "e\u{301}", "\u{FFFF}", "😀", "\"", "\\", "../", "/", " ", "▁", "\n", "é"])
    }
  }

  /// Bytes that are no UTF-8, lone surrogates, control characters and a byte order mark, somewhere in the text.
  private mutating func spoilText(_ bytes: inout [UInt8]) {
    let spoilers: [[UInt8]] = [
      [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x28], Array("\\ud800".utf8),
      Array("\\udc00".utf8), Array("\\ud800\\u0041".utf8), Array("\\u".utf8), Array("\\x".utf8), [0x00], [0x1F],
      [0xEF, 0xBB, 0xBF],
    ]
    bytes.insert(contentsOf: element(of: spoilers), at: random.below(bytes.count + 1))
  }
}
