/// Reads the subset of Oniguruma's syntax that tokenizers use.
///
/// Not read, and refused by name: captures that are referred to, scripts and other properties than general categories,
/// set intersection, look-behind of more than one scalar.
struct PatternParser {
  private let scalars: [Unicode.Scalar]
  private var position = 0
  private var ignoresCase = false
  private var depth = 0
  private static let maximumDepth = 64
  private static let maximumRepetition = 1000
  /// One behind the other: `a{2}{2}`.
  private static let maximumStackedRepetitions = 8

  private init(_ source: [UInt8]) { scalars = UTF8Text.scalars(of: source) }

  static func parse(_ source: [UInt8]) throws(PatternError) -> PatternSyntax {
    var parser = PatternParser(source)
    let pattern = try parser.alternatives()
    guard parser.position == parser.scalars.count else { throw PatternError(reason: "unbalanced ')'") }
    return pattern
  }

  private var next: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  private mutating func take(_ text: String) -> Bool {
    let wanted = Array(text.unicodeScalars)
    guard scalars[position...].starts(with: wanted) else { return false }
    position += wanted.count
    return true
  }

  private mutating func takeAny() throws(PatternError) -> Unicode.Scalar {
    guard let scalar = next else { throw PatternError(reason: "the pattern ends too early") }
    position += 1
    return scalar
  }

  private mutating func alternatives() throws(PatternError) -> PatternSyntax {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else { throw PatternError(reason: "nested too deeply") }
    var parts = [try sequence()]
    while take("|") { parts.append(try sequence()) }
    return parts.count == 1 ? parts[0] : .alternatives(parts)
  }

  private mutating func sequence() throws(PatternError) -> PatternSyntax {
    var parts: [PatternSyntax] = []
    while let scalar = next, scalar != "|", scalar != ")" {
      parts.append(try repeated(try atom()))
    }
    switch parts.count {
    case 0: return .empty
    case 1: return parts[0]
    default: return .sequence(parts)
    }
  }

  private mutating func repeated(_ atom: PatternSyntax) throws(PatternError) -> PatternSyntax {
    var result = atom
    var count = 0
    while true {
      guard count <= Self.maximumStackedRepetitions else { throw PatternError(reason: "nested too deeply") }
      count += 1
      let minimum: Int
      let maximum: Int?
      var isInterval = false
      if take("*") {
        (minimum, maximum) = (0, nil)
      } else if take("+") {
        (minimum, maximum) = (1, nil)
      } else if take("?") {
        (minimum, maximum) = (0, 1)
      } else if next == "{", let bounds = try interval() {
        (minimum, maximum) = bounds
        isInterval = true
      } else {
        return result
      }
      var greed = PatternSyntax.Greed.greedy
      if take("?") {
        guard !isInterval || minimum != maximum else { throw PatternError(reason: "'{n}?' is ambiguous") }
        greed = .lazy
      } else if !isInterval, take("+") {
        greed = .possessive
      }
      if case .assertion = result { throw PatternError(reason: "an assertion cannot be repeated") }
      result = .repetition(result, minimum: minimum, maximum: maximum, greed)
    }
  }

  /// `{n}`, `{n,}`, `{,m}` or `{n,m}`; nil, taking nothing, for a brace that stands for itself.
  private mutating func interval() throws(PatternError) -> (Int, Int?)? {
    let start = position
    position += 1
    let minimum = number()
    var maximum = minimum
    var hasComma = false
    if take(",") {
      hasComma = true
      maximum = number()
    }
    guard take("}"), minimum != nil || maximum != nil else {
      position = start
      return nil
    }
    let lower = minimum ?? 0
    guard max(lower, maximum ?? 0) <= Self.maximumRepetition, lower <= maximum ?? lower else {
      throw PatternError(reason: "a repetition count is out of range")
    }
    return (lower, hasComma ? maximum : lower)
  }

  private mutating func number() -> Int? {
    var value: Int?
    while let scalar = next, ("0"..."9").contains(scalar) {
      value = min((value ?? 0) * 10 + Int(scalar.value - 0x30), Self.maximumRepetition + 1)
      position += 1
    }
    return value
  }

  private mutating func atom() throws(PatternError) -> PatternSyntax {
    let scalar = try takeAny()
    switch scalar {
    case "(": return try group()
    case "[": return .set(try scalarClass())
    case ".": return .set(.notNewline)
    case "^": return .assertion(.lineStart)
    case "$": return .assertion(.lineEnd)
    case "\\": return try escape()
    case "*", "+", "?": throw PatternError(reason: "'\(scalar)' repeats nothing")
    case "{":
      position -= 1
      guard try interval() == nil else { throw PatternError(reason: "'{' repeats nothing") }
      position += 1
      return literal("{")
    default: return literal(scalar)
    }
  }

  private func literal(_ scalar: Unicode.Scalar) -> PatternSyntax {
    var set = ScalarSet(scalar.value)
    if ignoresCase { set.foldCase() }
    set.seal()
    return .set(set)
  }

  private mutating func group() throws(PatternError) -> PatternSyntax {
    let outerCase = ignoresCase
    defer { ignoresCase = outerCase }
    if take("?=") { return .lookahead(try closing(), isNegative: false) }
    if take("?!") { return .lookahead(try closing(), isNegative: true) }
    if take("?<=") { return .lookbehind(try single(), isNegative: false) }
    if take("?<!") { return .lookbehind(try single(), isNegative: true) }
    if take("?>") { return .atomic(try closing()) }
    if take("?:") { return try closing() }
    if take("?i:") {
      ignoresCase = true
      return try closing()
    }
    if take("?-i:") {
      ignoresCase = false
      return try closing()
    }
    if take("?i)") {
      // The rest of the enclosing group.
      ignoresCase = true
      return try alternatives()
    }
    if take("?") { throw PatternError(reason: "unknown group '(?'") }
    return try closing()
  }

  private mutating func closing() throws(PatternError) -> PatternSyntax {
    let body = try alternatives()
    guard take(")") else { throw PatternError(reason: "unbalanced '('") }
    return body
  }

  private mutating func single() throws(PatternError) -> ScalarSet {
    guard case .set(let set) = try closing() else {
      throw PatternError(reason: "look-behind of anything but one character")
    }
    return set
  }

  private mutating func escape() throws(PatternError) -> PatternSyntax {
    let assertions: [Unicode.Scalar: PatternSyntax.Assertion] = [
      "A": .textStart, "z": .textEnd, "Z": .textEndOrFinalNewline, "b": .wordBoundary, "B": .notWordBoundary,
    ]
    if let scalar = next, let assertion = assertions[scalar] {
      position += 1
      return .assertion(assertion)
    }
    switch try escapedMember() {
    case .scalar(let scalar): return literal(scalar)
    case .set(let set):
      if ignoresCase, !set.categories.isDisjoint(with: CategoryMask(0...2)), set.categories != .letter {
        throw PatternError(reason: "a property under (?i)")
      }
      return .set(set)
    }
  }
}

// MARK: - Character classes

extension PatternParser {
  private enum Member {
    case scalar(Unicode.Scalar)
    case set(ScalarSet)
  }

  /// After `[`.
  private mutating func scalarClass() throws(PatternError) -> ScalarSet {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else { throw PatternError(reason: "nested too deeply") }
    var set = ScalarSet()
    let isNegated = take("^")
    var isFirst = true
    while isFirst || next != "]" {
      guard next != nil else { throw PatternError(reason: "unbalanced '['") }
      if take("&&") { throw PatternError(reason: "set intersection '&&'") }
      if take("[:") { throw PatternError(reason: "POSIX class '[:'") }
      isFirst = false
      switch try member() {
      case .set(let other): set.formUnion(other)
      case .scalar(let lower):
        set.insert(try range(from: lower))
      }
    }
    position += 1
    if ignoresCase {
      guard set.isExplicit || set.categories == .letter else { throw PatternError(reason: "a property under (?i)") }
      set.foldCase()
    }
    set.isNegated = isNegated
    set.seal()
    return set
  }

  private mutating func range(from lower: Unicode.Scalar) throws(PatternError) -> ClosedRange<UInt32> {
    guard next == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
      return lower.value...lower.value
    }
    position += 1
    guard case .scalar(let upper) = try member(), lower <= upper else {
      throw PatternError(reason: "a range that runs backwards")
    }
    return lower.value...upper.value
  }

  private mutating func member() throws(PatternError) -> Member {
    let scalar = try takeAny()
    switch scalar {
    case "[": return .set(try scalarClass())
    case "\\": return try escapedMember()
    default: return .scalar(scalar)
    }
  }

  /// After a backslash.
  private mutating func escapedMember() throws(PatternError) -> Member {
    let scalar = try takeAny()
    switch scalar {
    case "s": return .set(.whitespace)
    case "S": return .set(ScalarSet.whitespace.negated)
    case "d": return .set(.decimalDigit)
    case "D": return .set(ScalarSet.decimalDigit.negated)
    case "w": return .set(.word)
    case "W": return .set(ScalarSet.word.negated)
    case "h": return .set(.hexadecimalDigit)
    case "p": return .set(try property(isNegated: false))
    case "P": return .set(try property(isNegated: true))
    case "n": return .scalar("\n")
    case "r": return .scalar("\r")
    case "t": return .scalar("\t")
    case "f": return .scalar("\u{0C}")
    case "v": return .scalar("\u{0B}")
    case "e": return .scalar("\u{1B}")
    case "a": return .scalar("\u{07}")
    case "x": return .scalar(try hexadecimal(digits: 2))
    case "u": return .scalar(try hexadecimal(digits: 4))
    case "a"..."z", "A"..."Z", "0"..."9": throw PatternError(reason: "unknown escape '\\\(scalar)'")
    default: return .scalar(scalar)
    }
  }

  private mutating func property(isNegated: Bool) throws(PatternError) -> ScalarSet {
    var name = ""
    if take("{") {
      while let scalar = next, scalar != "}" {
        name.unicodeScalars.append(scalar)
        position += 1
      }
      guard take("}") else { throw PatternError(reason: "unbalanced '{'") }
    } else {
      name.unicodeScalars.append(try takeAny())
    }
    var isNegated = isNegated
    if name.first == "^" {
      isNegated.toggle()
      name.removeFirst()
    }
    guard let mask = CategoryMask(name: name) else { throw PatternError(reason: "unknown property '\(name)'") }
    let set = ScalarSet(categories: mask)
    return isNegated ? set.negated : set
  }

  private mutating func hexadecimal(digits: Int) throws(PatternError) -> Unicode.Scalar {
    var text = ""
    if take("{") {
      while let scalar = next, scalar != "}", text.count < 8 {
        text.unicodeScalars.append(scalar)
        position += 1
      }
      guard take("}") else { throw PatternError(reason: "unbalanced '{'") }
    } else {
      while text.count < digits, let scalar = next, scalar.properties.isASCIIHexDigit {
        text.unicodeScalars.append(scalar)
        position += 1
      }
    }
    guard let value = UInt32(text, radix: 16), let scalar = Unicode.Scalar(value) else {
      throw PatternError(reason: "'\(text)' is no character code")
    }
    return scalar
  }
}
