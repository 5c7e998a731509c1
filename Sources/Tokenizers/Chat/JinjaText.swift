extension Jinja {
  /// Where `part` first occurs at or after `start`, in linear time (Knuth, Morris, Pratt).
  static func firstIndex(of part: [Unicode.Scalar], in text: [Unicode.Scalar], from start: Int) -> Int? {
    occurrences(of: part, in: text, from: start, limit: 1).first
  }

  /// The first `limit` occurrences of `part` that do not overlap.
  static func occurrences<Element: Equatable>(
    of part: [Element], in text: [Element], from start: Int = 0, limit: Int = .max
  ) -> [Int] {
    guard limit > 0, start <= text.count else { return [] }
    guard !part.isEmpty else { return Array((start...text.count).prefix(limit)) }
    guard part.count <= text.count - start else { return [] }
    // fallbacks[i]: how much of `part` still matches when the character after its first i does not.
    var fallbacks = [Int](repeating: 0, count: part.count + 1)
    var matched = 0
    for index in part.indices.dropFirst() {
      while matched > 0, part[index] != part[matched] { matched = fallbacks[matched] }
      if part[index] == part[matched] { matched += 1 }
      fallbacks[index + 1] = matched
    }
    var result: [Int] = []
    matched = 0
    for index in start..<text.count {
      while matched > 0, text[index] != part[matched] { matched = fallbacks[matched] }
      if text[index] == part[matched] { matched += 1 }
      if matched == part.count {
        result.append(index + 1 - part.count)
        if result.count == limit { break }
        matched = 0
      }
    }
    return result
  }

  /// `str.replace`; a negative `limit` replaces all.
  static func replacing(_ old: String, with new: String, in text: String, limit: Int = -1) -> String {
    let most = limit < 0 ? Int.max : limit
    guard !old.isEmpty else {
      var result = ""
      for (index, scalar) in text.unicodeScalars.enumerated() {
        if index < most { result += new }
        result.unicodeScalars.append(scalar)
      }
      return text.unicodeScalars.count < most ? result + new : result
    }
    // Bytes of whole characters are found only where these stand.
    let bytes = Array(text.utf8)
    let part = Array(old.utf8)
    let positions = occurrences(of: part, in: bytes, limit: most)
    guard !positions.isEmpty else { return text }
    let replacement = Array(new.utf8)
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + positions.count * (replacement.count - part.count))
    var start = 0
    for position in positions {
      result += bytes[start..<position]
      result += replacement
      start = position + part.count
    }
    result += bytes[start...]
    return String(decoding: result, as: UTF8.self)
  }

  /// `str.strip` and its one-sided forms; `characters` nil means blanks.
  static func stripped(_ text: String, _ characters: String?, start: Bool = true, end: Bool = true) -> String {
    let scalars = Array(text.unicodeScalars)
    let unwanted = characters.map { Set($0.unicodeScalars) }
    func isUnwanted(_ scalar: Unicode.Scalar) -> Bool { unwanted?.contains(scalar) ?? scalar.isTemplateSpace }
    var lower = 0
    var upper = scalars.count
    if start { while lower < upper, isUnwanted(scalars[lower]) { lower += 1 } }
    if end { while upper > lower, isUnwanted(scalars[upper - 1]) { upper -= 1 } }
    return String(scalars[lower..<upper])
  }

  /// `str.split`: at blanks if `separator` is nil.
  static func split(_ text: String, separator: String?, limit: Int, fromEnd: Bool = false) -> [String] {
    let scalars = Array(text.unicodeScalars)
    let most = limit < 0 ? Int.max : limit
    if fromEnd {
      let reversed = split(
        String(scalars.reversed()), separator: separator.map { String($0.unicodeScalars.reversed()) }, limit: limit)
      return reversed.reversed().map { String($0.unicodeScalars.reversed()) }
    }
    guard let separator else { return splitAtBlanks(scalars, limit: most) }
    let part = Array(separator.unicodeScalars)
    var result: [String] = []
    var start = 0
    for position in occurrences(of: part, in: scalars, limit: most) {
      result.append(String(scalars[start..<position]))
      start = position + part.count
    }
    result.append(String(scalars[start...]))
    return result
  }

  private static func splitAtBlanks(_ scalars: [Unicode.Scalar], limit: Int) -> [String] {
    var result: [String] = []
    var index = 0
    while true {
      while index < scalars.count, scalars[index].isTemplateSpace { index += 1 }
      guard index < scalars.count else { return result }
      if result.count == limit {
        result.append(String(scalars[index...]))
        return result
      }
      let start = index
      while index < scalars.count, !scalars[index].isTemplateSpace { index += 1 }
      result.append(String(scalars[start..<index]))
    }
  }

  /// `str.splitlines`.
  static func lines(of text: String, keepingEnds: Bool = false) -> [String] {
    let scalars = Array(text.unicodeScalars)
    var result: [String] = []
    var start = 0
    var index = 0
    while index < scalars.count {
      guard isLineEnd(scalars[index]) else {
        index += 1
        continue
      }
      let end = index
      let isPair = scalars[index] == "\r" && index + 1 < scalars.count && scalars[index + 1] == "\n"
      index += isPair ? 2 : 1
      result.append(String(scalars[start..<(keepingEnds ? index : end)]))
      start = index
    }
    if start < scalars.count { result.append(String(scalars[start...])) }
    return result
  }

  private static func isLineEnd(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
    default: false
    }
  }

  /// `str.capitalize`.
  static func capitalized(_ text: String) -> String {
    guard let first = text.unicodeScalars.first else { return text }
    return first.properties.titlecaseMapping + String(text.unicodeScalars.dropFirst()).lowercased()
  }

  /// `str.title`: every run of letters starts with a capital.
  static func titled(_ text: String) -> String {
    var result = ""
    var afterLetter = false
    for scalar in text.unicodeScalars {
      result += afterLetter ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
      afterLetter = scalar.properties.isCased
    }
    return result
  }

  /// The filter `title`: words start after blanks, hyphens and opening brackets only.
  static func titledWords(_ text: String) -> String {
    var result = ""
    var startsWord = true
    for scalar in text.unicodeScalars {
      let separates = scalar.isTemplateSpace || "-({[<".unicodeScalars.contains(scalar)
      result += startsWord ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
      startsWord = separates
    }
    return result
  }

  /// `str.islower` and `str.isupper`: cased characters exist, and all are of that case.
  static func isCased(_ text: String, upper: Bool) -> Bool {
    var found = false
    for scalar in text.unicodeScalars where scalar.properties.isCased {
      guard upper ? scalar.properties.isUppercase : scalar.properties.isLowercase else { return false }
      found = true
    }
    return found
  }
}
