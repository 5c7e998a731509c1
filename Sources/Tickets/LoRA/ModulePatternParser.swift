/// A ``ModulePattern``, parsed.
indirect enum ModulePatternSyntax: Equatable {
  case one(ModuleCharacters)
  case start
  case end
  case sequence([ModulePatternSyntax])
  case alternatives([ModulePatternSyntax])
  case repetition(ModulePatternSyntax, least: Int, most: Int?)
}

/// Reads the part of Python's regular expressions that ``ModulePattern`` names.
struct ModulePatternParser {
  typealias Malformed = ModulePattern.Malformed

  private static let maximumDepth = 20
  private static let maximumRepetition = 1000

  private let scalars: [Unicode.Scalar]
  private var position = 0
  private var depth = 0

  private init(_ pattern: String) { scalars = Array(pattern.unicodeScalars) }

  static func parse(_ pattern: String) throws(Malformed) -> ModulePatternSyntax {
    var parser = ModulePatternParser(pattern)
    let syntax = try parser.alternatives()
    guard parser.position == parser.scalars.count else { throw Malformed(reason: "unbalanced ')'") }
    return syntax
  }

  private var next: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard next == scalar else { return false }
    position += 1
    return true
  }

  private mutating func takeAny() throws(Malformed) -> Unicode.Scalar {
    guard let scalar = next else { throw Malformed(reason: "it ends too early") }
    position += 1
    return scalar
  }

  private mutating func alternatives() throws(Malformed) -> ModulePatternSyntax {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else { throw Malformed(reason: "groups nest too deeply") }
    var parts = [try sequence()]
    while take("|") { parts.append(try sequence()) }
    return parts.count == 1 ? parts[0] : .alternatives(parts)
  }

  private mutating func sequence() throws(Malformed) -> ModulePatternSyntax {
    var parts: [ModulePatternSyntax] = []
    while let scalar = next, scalar != "|", scalar != ")" { parts.append(try repeated(try atom())) }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  private mutating func repeated(_ atom: ModulePatternSyntax) throws(Malformed) -> ModulePatternSyntax {
    guard let (least, most) = try quantifier() else { return atom }
    if atom == .start || atom == .end { throw Malformed(reason: "'^' and '$' cannot be repeated") }
    // Lazy or greedy, the same names match.
    _ = take("?")
    guard next != "+", try quantifier() == nil else { throw Malformed(reason: "a repetition of a repetition") }
    return .repetition(atom, least: least, most: most)
  }

  private mutating func quantifier() throws(Malformed) -> (Int, Int?)? {
    if take("*") { return (0, nil) }
    if take("+") { return (1, nil) }
    if take("?") { return (0, 1) }
    let start = position
    guard take("{") else { return nil }
    let least = number()
    let hasComma = take(",")
    let most = hasComma ? number() : least
    // Python takes other braces for themselves.
    guard take("}"), least != nil || most != nil || hasComma else {
      position = start
      return nil
    }
    let lower = least ?? 0
    guard max(lower, most ?? 0) <= Self.maximumRepetition, lower <= most ?? lower else {
      throw Malformed(reason: "a repetition count is out of range")
    }
    return (lower, most)
  }

  private mutating func number() -> Int? {
    var value: Int?
    while let scalar = next, ("0"..."9").contains(scalar) {
      value = min((value ?? 0) * 10 + Int(scalar.value - 48), Self.maximumRepetition + 1)
      position += 1
    }
    return value
  }

  private mutating func atom() throws(Malformed) -> ModulePatternSyntax {
    let scalar = try takeAny()
    switch scalar {
    case "(": return try group()
    case "[": return .one(try characterClass())
    case ".": return .one(.notNewline)
    case "^": return .start
    case "$": return .end
    case "\\": return .one(try escape())
    case "*", "+", "?": throw Malformed(reason: "'\(scalar)' repeats nothing")
    default: return .one(ModuleCharacters(scalar))
    }
  }

  private mutating func group() throws(Malformed) -> ModulePatternSyntax {
    if take("?"), !take(":") { throw Malformed(reason: "groups that begin with '(?' are not supported, but for '(?:'") }
    let body = try alternatives()
    guard take(")") else { throw Malformed(reason: "unbalanced '('") }
    return body
  }

  // MARK: - Characters

  private static let digits: [ClosedRange<UInt32>] = [48...57]
  private static let words: [ClosedRange<UInt32>] = [48...57, 65...90, 95...95, 97...122]
  private static let spaces: [ClosedRange<UInt32>] = [9...13, 32...32]

  /// After a backslash.
  private mutating func escape() throws(Malformed) -> ModuleCharacters {
    let scalar = try takeAny()
    switch scalar {
    case "d", "D": return ModuleCharacters(Self.digits, isNegated: scalar == "D")
    case "w", "W": return ModuleCharacters(Self.words, isNegated: scalar == "W")
    case "s", "S": return ModuleCharacters(Self.spaces, isNegated: scalar == "S")
    case "a"..."z", "A"..."Z", "0"..."9": throw Malformed(reason: "the escape '\\\(scalar)' is not supported")
    default: return ModuleCharacters(scalar)
    }
  }

  /// After `[`.
  private mutating func characterClass() throws(Malformed) -> ModuleCharacters {
    var characters = ModuleCharacters([], isNegated: take("^"))
    var isFirst = true
    while isFirst || next != "]" {
      let lower = try takeAny()
      isFirst = false
      if lower == "\\" {
        let escaped = try escape()
        guard !escaped.isNegated else { throw Malformed(reason: "an opposite such as '\\D' inside '[...]'") }
        characters.ranges += escaped.ranges
      } else if next == "-", position + 1 < scalars.count, scalars[position + 1] != "]" {
        position += 1
        let upper = try takeAny()
        guard lower <= upper, upper != "\\" else { throw Malformed(reason: "a range that runs backwards") }
        characters.ranges.append(lower.value...upper.value)
      } else {
        characters.ranges.append(lower.value...lower.value)
      }
    }
    position += 1
    return characters
  }
}
