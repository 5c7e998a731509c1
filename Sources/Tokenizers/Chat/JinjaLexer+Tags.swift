extension Jinja.Lexer {
  private static let symbols = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
  ]

  /// The tokens of one `{% %}` or `{{ }}`; `position` stands behind the opening.
  mutating func readTag(begin: Jinja.Token.Kind, end: Jinja.Token.Kind, closer: Unicode.Scalar) throws {
    emit(begin)
    var open: [String] = []
    while true {
      if open.isEmpty, let next = tagEnd(at: position, closer: closer) {
        emit(end)
        advance(to: next)
        return
      }
      guard let scalar = at(position) else {
        throw error("the template ends inside a tag, '\(closer)}' is missing")
      }
      if scalar.isTemplateSpace {
        advance(to: skippingSpace(from: position))
      } else if scalar.isDigit {
        try readNumber()
      } else if scalar == "_" || scalar.properties.isXIDStart {
        readName()
      } else if scalar == "'" || scalar == "\"" {
        try readString(quote: scalar)
      } else {
        try readSymbol(&open)
      }
    }
  }

  private mutating func readSymbol(_ open: inout [String]) throws {
    guard let symbol = Self.symbols.first(where: { matches($0, at: position) }) else {
      throw error("unexpected character '\(at(position).map(String.init) ?? "")'")
    }
    switch symbol {
    case "(": open.append(")")
    case "[": open.append("]")
    case "{": open.append("}")
    case ")", "]", "}":
      guard let expected = open.popLast() else { throw error("unexpected '\(symbol)'") }
      guard expected == symbol else { throw error("unexpected '\(symbol)', expected '\(expected)'") }
    default: break
    }
    emit(.symbol(symbol))
    advance(to: position + symbol.unicodeScalars.count)
  }

  private mutating func readName() {
    var index = position
    while let scalar = at(index), scalar == "_" || scalar.properties.isXIDContinue { index += 1 }
    emit(.name(String(source[position..<index])))
    advance(to: index)
  }

  // MARK: numbers

  private func digits(from index: Int, where allowed: (Unicode.Scalar) -> Bool) -> Int {
    var index = index
    while let scalar = at(index) {
      if allowed(scalar) {
        index += 1
      } else if scalar == "_", let next = at(index + 1), allowed(next) {
        index += 2
      } else {
        break
      }
    }
    return index
  }

  private mutating func readNumber() throws {
    if at(position) == "0", let prefix = at(position + 1), let radix = Self.radix(of: prefix) {
      let end = digits(from: position + 2) { $0.value < 128 && Int(String($0), radix: radix) != nil }
      if end > position + 2 {
        try emitInteger(source[(position + 2)..<end], radix: radix, end: end)
        return
      }
    }
    var end = digits(from: position, where: \.isDigit)
    var isFloat = false
    // After a dot, as in `x.0.1`, a number is an index, never a fraction.
    let followsDot = position > 0 && source[position - 1] == "."
    if !followsDot {
      if at(end) == ".", let next = at(end + 1), next.isDigit {
        end = digits(from: end + 1, where: \.isDigit)
        isFloat = true
      }
      if at(end) == "e" || at(end) == "E" {
        let sign = at(end + 1) == "+" || at(end + 1) == "-" ? 1 : 0
        if let next = at(end + 1 + sign), next.isDigit {
          end = digits(from: end + 1 + sign, where: \.isDigit)
          isFloat = true
        }
      }
    }
    guard isFloat else {
      try emitInteger(source[position..<end], radix: 10, end: end)
      return
    }
    guard let value = Double(String(source[position..<end].filter { $0 != "_" })) else {
      throw error("this is no number")
    }
    emit(.float(value))
    advance(to: end)
  }

  private static func radix(of prefix: Unicode.Scalar) -> Int? {
    switch prefix {
    case "x", "X": 16
    case "o", "O": 8
    case "b", "B": 2
    default: nil
    }
  }

  private mutating func emitInteger(_ text: ArraySlice<Unicode.Scalar>, radix: Int, end: Int) throws {
    guard let value = Int(String(text.filter { $0 != "_" }), radix: radix) else {
      throw error("this integer does not fit 64 bits")
    }
    emit(.integer(value))
    advance(to: end)
  }

  // MARK: strings

  private mutating func readString(quote: Unicode.Scalar) throws {
    var text = String.UnicodeScalarView()
    var index = position + 1
    while let scalar = at(index), scalar != quote {
      if scalar == "\\" {
        index = try readEscape(at: index + 1, into: &text)
      } else {
        text.append(scalar)
        index += 1
      }
    }
    guard at(index) == quote else { throw error("this string has no closing \(quote)") }
    emit(.string(String(text)))
    advance(to: index + 1)
  }

  /// One escape sequence behind its backslash; unknown ones keep it, as in Python.
  private func readEscape(at index: Int, into text: inout String.UnicodeScalarView) throws -> Int {
    guard let scalar = at(index) else { throw error("the template ends inside a string") }
    let simple: [Unicode.Scalar: Unicode.Scalar] = [
      "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", "\"": "\"", "a": "\u{7}", "b": "\u{8}", "f": "\u{C}",
      "v": "\u{B}",
    ]
    if let replacement = simple[scalar] {
      text.append(replacement)
      return index + 1
    }
    switch scalar {
    case "\n": return index + 1
    case "x": return try readHexadecimal(at: index + 1, count: 2, into: &text)
    case "u": return try readHexadecimal(at: index + 1, count: 4, into: &text)
    case "U": return try readHexadecimal(at: index + 1, count: 8, into: &text)
    case "N": throw ChatTemplateError.unsupported(line: line, "the escape \\N in a string")
    case "0"..."7":
      var end = index
      var value: UInt32 = 0
      while end < index + 3, let digit = at(end), ("0"..."7").contains(digit) {
        value = value * 8 + digit.value - 48
        end += 1
      }
      if let scalar = Unicode.Scalar(value) { text.append(scalar) }
      return end
    default:
      text.append("\\")
      text.append(scalar)
      return index + 1
    }
  }

  private func readHexadecimal(at start: Int, count: Int, into text: inout String.UnicodeScalarView) throws -> Int {
    guard let value = hexadecimal(at: start, count: count) else {
      throw error("an escape in this string lacks hexadecimal digits")
    }
    let end = start + count
    // A surrogate pair written as two escapes is one character.
    if (0xD800..<0xDC00).contains(value), matches("\\u", at: end), let low = hexadecimal(at: end + 2, count: 4),
      (0xDC00..<0xE000).contains(low), let scalar = Unicode.Scalar(0x10000 + (value - 0xD800) << 10 + (low - 0xDC00))
    {
      text.append(scalar)
      return end + 6
    }
    guard let scalar = Unicode.Scalar(value) else { throw error("an escape in this string is no Unicode character") }
    text.append(scalar)
    return end
  }

  private func hexadecimal(at start: Int, count: Int) -> UInt32? {
    guard start + count <= source.count else { return nil }
    let digits = source[start..<(start + count)]
    guard digits.allSatisfy(\.properties.isASCIIHexDigit) else { return nil }
    return UInt32(String(digits), radix: 16)
  }
}

extension Unicode.Scalar {
  var isDigit: Bool { ("0"..."9").contains(self) }
}
