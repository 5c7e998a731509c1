import Foundation

extension Jinja.Evaluator {
  /// What stands right of `%`: a tuple's items, or the one value.
  func formatArguments(_ value: Value) -> [Value] {
    if case .sequence(let node) = value, node.isTuple { return node.items }
    return [value]
  }

  /// `"%s has %d" % (…)`, with flags, width and precision.
  func formatted(_ format: String, _ arguments: CallArguments) throws -> String {
    let scalars = Array(format.unicodeScalars)
    try chargeReading(format)
    var result = ""
    var remaining = arguments.positional[...]
    var index = 0
    while index < scalars.count {
      guard scalars[index] == "%" else {
        result.unicodeScalars.append(scalars[index])
        index += 1
        continue
      }
      var specification = FormatSpecification()
      index = try specification.read(scalars, from: index + 1)
      if specification.conversion == "%" {
        result += "%"
        continue
      }
      let value: Value
      try charge(steps: 1 + arguments.keywords.count / 8)
      if let name = specification.name {
        var named = arguments.keywords.first { $0.name == name }?.value
        if case .dictionary(let node)? = arguments.positional.first, arguments.positional.count == 1 {
          named = node[name]
          remaining = []
        }
        guard let named else { throw TemplateFailure("the format has no value for '\(name)'") }
        value = named
      } else {
        guard let next = remaining.popFirst() else { throw TemplateFailure("the format needs more values") }
        value = next
      }
      try append(try convert(value, specification), to: &result)
    }
    if let rest = remaining.first, !(remaining.count == 1 && rest.isMapping) {
      throw TemplateFailure("the format has fewer places than values")
    }
    return result
  }

  private struct FormatSpecification {
    var name: String?
    var flags: Set<Unicode.Scalar> = []
    var width = 0
    var precision: Int?
    var conversion: Unicode.Scalar = "s"

    mutating func read(_ scalars: [Unicode.Scalar], from start: Int) throws -> Int {
      var index = start
      func current() -> Unicode.Scalar? { scalars.indices.contains(index) ? scalars[index] : nil }
      func number() throws -> Int {
        var value = 0
        while let digit = current(), digit.isDigit {
          value = value * 10 + Int(digit.value - 48)
          guard value <= 10_000 else { throw TemplateFailure("the format asks for too many characters") }
          index += 1
        }
        return value
      }
      if current() == "(" {
        guard let end = scalars[index...].firstIndex(of: ")") else { throw TemplateFailure("the format is incomplete") }
        name = String(scalars[(index + 1)..<end])
        index = end + 1
      }
      while let flag = current(), "-+ #0".unicodeScalars.contains(flag) {
        flags.insert(flag)
        index += 1
      }
      width = try number()
      if current() == "." {
        index += 1
        precision = try number()
      }
      guard let conversion = current() else { throw TemplateFailure("the format is incomplete") }
      self.conversion = conversion
      return index + 1
    }
  }

  private func convert(_ value: Value, _ specification: FormatSpecification) throws -> String {
    var text: String
    var isNumber = true
    switch specification.conversion {
    case "s", "r":
      isNumber = false
      if specification.conversion == "s" {
        text = try string(of: value)
      } else {
        var writer = Jinja.Writer(limit: limits.outputBytes)
        try writer.appendRepresentation(of: value)
        text = writer.text
      }
      if let precision = specification.precision { text = String(text.unicodeScalars.prefix(precision)) }
    case "d", "i":
      guard let number = number(value) else {
        throw TemplateFailure("'%d' needs a number, got a \(value.typeName)")
      }
      guard let integer = Int(exactly: number.double.rounded(.towardZero)) else { throw Self.overflow }
      if case .int(let exact) = number { text = String(exact) } else { text = String(integer) }
    case "x", "X", "o":
      guard case .int(let integer)? = number(value) else {
        throw TemplateFailure("'%x' needs an integer, got a \(value.typeName)")
      }
      let radix = specification.conversion == "o" ? 8 : 16
      text = String(integer, radix: radix, uppercase: specification.conversion == "X")
    case "f", "F", "e", "E", "g", "G":
      guard let number = number(value)?.double else {
        throw TemplateFailure("'%f' needs a number, got a \(value.typeName)")
      }
      text = String(format: "%.\(specification.precision ?? 6)\(String(specification.conversion))", number)
    default:
      throw TemplateFailure("'%\(specification.conversion)' is no format")
    }
    if isNumber, !text.hasPrefix("-") {
      if specification.flags.contains("+") {
        text = "+" + text
      } else if specification.flags.contains(" ") {
        text = " " + text
      }
    }
    return padded(text, specification, isNumber: isNumber)
  }

  private func padded(_ text: String, _ specification: FormatSpecification, isNumber: Bool) -> String {
    let missing = specification.width - text.unicodeScalars.count
    guard missing > 0 else { return text }
    if specification.flags.contains("-") { return text + String(repeating: " ", count: missing) }
    guard isNumber, specification.flags.contains("0") else { return String(repeating: " ", count: missing) + text }
    let sign = text.prefix { "+- ".contains($0) }
    return sign + String(repeating: "0", count: missing) + text.dropFirst(sign.count)
  }

  /// `"{} of {name}".format(…)`, without format specifications.
  func formatted(braces format: String, _ arguments: CallArguments) throws -> String {
    let scalars = Array(format.unicodeScalars)
    var result = ""
    var automatic = 0
    var index = 0
    while index < scalars.count {
      let scalar = scalars[index]
      let isDoubled = index + 1 < scalars.count && scalars[index + 1] == scalar
      if scalar != "{" && scalar != "}" || isDoubled {
        result.unicodeScalars.append(scalar)
        index += scalar == "{" || scalar == "}" ? 2 : 1
        continue
      }
      guard scalar == "{", let end = scalars[index...].firstIndex(of: "}") else {
        throw TemplateFailure("the format has a single '\(scalar)'")
      }
      let field = String(scalars[(index + 1)..<end])
      guard !field.contains(where: { ":!.[{".contains($0) }) else {
        throw ChatTemplateError.unsupported(line: line, "the format field '{\(field)}'")
      }
      let position = field.isEmpty ? automatic : Int(field)
      if field.isEmpty { automatic += 1 }
      try charge(steps: 1 + arguments.keywords.count / 8)
      let found: Value? =
        position.map { arguments.positional.indices.contains($0) ? arguments.positional[$0] : nil }
        ?? arguments.keywords.first { $0.name == field }?.value
      guard let found else { throw TemplateFailure("the format has no value for '{\(field)}'") }
      try append(try string(of: found), to: &result)
      index = end + 1
    }
    return result
  }
}

extension Jinja.Value {
  var isMapping: Bool {
    if case .dictionary = self { true } else { false }
  }
}
