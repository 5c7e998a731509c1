/// A decimal number as text writes it, in one form for each value: `1,250.50`, `$1250.5` and `1250.5%` are equal.
package struct AnswerNumber: Hashable, Sendable, CustomStringConvertible {
  /// Optional minus, digits without leading zeros, and a fraction without trailing zeros; exact at any length.
  package let description: String

  private init(isNegative: Bool, whole: [UInt8], fraction: [UInt8]) {
    let zero = UInt8(ascii: "0")
    let whole = Array(whole.drop { $0 == zero })
    var fraction = fraction
    while fraction.last == zero { fraction.removeLast() }
    var text = isNegative && !(whole.isEmpty && fraction.isEmpty) ? "-" : ""
    text += whole.isEmpty ? "0" : String(decoding: whole, as: UTF8.self)
    if !fraction.isEmpty { text += "." + String(decoding: fraction, as: UTF8.self) }
    description = text
  }

  /// All numbers of a text, in order.
  ///
  /// A number is a run of ASCII digits, with groups of exactly three digits after commas where the run has at most three,
  /// then, after a full stop, a fraction; or a fraction alone where no digit precedes the full stop. A minus sign (or
  /// U+2212) counts directly before it, or directly before a dollar sign there, unless an ASCII letter, an ASCII digit, `)`,
  /// `]` or `%` precedes the sign: `16-3` holds 16 and 3. Percent signs and a full stop at the end mean nothing;
  /// `1/2` is two numbers.
  package static func all(in text: String) -> [AnswerNumber] {
    var scanner = Scanner(scalars: Array(text.unicodeScalars))
    var numbers: [AnswerNumber] = []
    while let number = scanner.next() { numbers.append(number) }
    return numbers
  }

  private struct Scanner {
    let scalars: [Unicode.Scalar]
    var position = 0

    init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

    mutating func next() -> AnswerNumber? {
      while position < scalars.count {
        let start = position
        if isDigit(start) {
          let whole = wholePart()
          return AnswerNumber(isNegative: isNegative(before: start), whole: whole, fraction: fraction())
        }
        if scalars[start] == ".", isDigit(start + 1), !isDigit(start - 1) {
          return AnswerNumber(isNegative: isNegative(before: start), whole: [], fraction: fraction())
        }
        position += 1
      }
      return nil
    }

    private mutating func wholePart() -> [UInt8] {
      var digits = run(from: position)
      position += digits.count
      guard digits.count <= 3 else { return digits }
      while position < scalars.count, scalars[position] == "," {
        let group = run(from: position + 1)
        guard group.count == 3 else { break }
        digits += group
        position += 4
      }
      return digits
    }

    private mutating func fraction() -> [UInt8] {
      guard position < scalars.count, scalars[position] == "." else { return [] }
      let digits = run(from: position + 1)
      if !digits.isEmpty { position += 1 + digits.count }
      return digits
    }

    private func isNegative(before start: Int) -> Bool {
      let sign = scalar(start - 1) == "$" ? start - 2 : start - 1
      guard isMinus(sign) else { return false }
      // What makes a minus sign behind it a subtraction or a hyphen.
      guard let before = scalar(sign - 1) else { return true }
      switch before {
      case "a"..."z", "A"..."Z", "0"..."9", ")", "]", "%": return false
      default: return true
      }
    }

    private func isMinus(_ index: Int) -> Bool { scalar(index) == "-" || scalar(index) == "\u{2212}" }

    private func isDigit(_ index: Int) -> Bool { scalar(index).map { ("0"..."9").contains($0) } ?? false }

    private func scalar(_ index: Int) -> Unicode.Scalar? {
      scalars.indices.contains(index) ? scalars[index] : nil
    }

    private func run(from start: Int) -> [UInt8] {
      var end = start
      while isDigit(end) { end += 1 }
      return scalars[start..<max(start, end)].map { UInt8(truncatingIfNeeded: $0.value) }
    }
  }
}
