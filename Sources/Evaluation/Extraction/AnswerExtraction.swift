/// How the answer is found in a text, of a target as of a prediction. docs/evaluation.md states each rule.
public enum AnswerExtraction: Equatable, Sendable {
  /// The text without white space at its ends.
  case text
  /// The first line that is not blank, without white space at its ends.
  case firstLine
  /// The first number after the first occurrence of `marker`; without marker, or without a number after it, the last
  /// number of the text.
  case number(marker: String?)
  /// What follows the last occurrence of `marker`: a choice's letter, a number, or the rest of the line; without marker
  /// the last number.
  case finalAnswer(marker: String)
  /// The choice that occurs first; of two at one place the one named first. With `wholeWords`, in any letter case and only where no
  /// ASCII letter or digit adjoins; else exactly as written, anywhere.
  case choice([String], wholeWords: Bool)

  /// nil: the text holds no answer of this kind.
  public func answer(in text: String) -> String? {
    switch self {
    case .text: trimmed(text)
    case .firstLine: lines(text).lazy.map(trimmed).first { !$0.isEmpty } ?? ""
    case .number(let marker): Self.number(in: text, after: marker)
    case .finalAnswer(let marker): Self.finalAnswer(in: text, after: marker)
    case .choice(let choices, let wholeWords): Self.choice(in: text, of: choices, wholeWords: wholeWords)
    }
  }

  private static func number(in text: String, after marker: String?) -> String? {
    if let marker, let found = firstOccurrence(of: Array(marker.utf8), in: Array(text.utf8)[...]) {
      let rest = String(decoding: Array(text.utf8)[(found + marker.utf8.count)...], as: UTF8.self)
      if let number = AnswerNumber.all(in: rest).first { return number.description }
    }
    return AnswerNumber.all(in: text).last?.description
  }

  private static func finalAnswer(in text: String, after marker: String) -> String? {
    let (bytes, pattern) = (Array(text.utf8), Array(marker.utf8).map(lowercased))
    let lower = bytes.map(lowercased)
    guard let found = lastOccurrence(of: pattern, in: lower[...]) else {
      return AnswerNumber.all(in: text).last?.description
    }
    let rest = String(decoding: bytes[(found + pattern.count)...], as: UTF8.self)
    let whole = trimmed(lines(rest).first ?? "")
    let line = String(decoding: whole.utf8.drop { ": $(".utf8.contains($0) }, as: UTF8.self)
    if let letter = line.utf8.first, (UInt8(ascii: "A")...UInt8(ascii: "J")).contains(letter),
      line.utf8.dropFirst().first.map({ ").,:".utf8.contains($0) }) ?? true
    {
      return String(Unicode.Scalar(letter))
    }
    if let number = AnswerNumber.all(in: whole).first { return number.description }
    var words = Array(line.utf8).map(lowercased)
    while let last = words.last, ".$ ".utf8.contains(last) { words.removeLast() }
    return words.isEmpty ? nil : String(decoding: words, as: UTF8.self)
  }

  private static func choice(in text: String, of choices: [String], wholeWords: Bool) -> String? {
    let bytes = Array(text.utf8).map { wholeWords ? lowercased($0) : $0 }
    var best: (position: Int, choice: String)?
    for choice in choices {
      let pattern = Array(choice.utf8).map { wholeWords ? lowercased($0) : $0 }
      var start = 0
      while let found = firstOccurrence(of: pattern, in: bytes[start...]) {
        let end = found + pattern.count
        let adjoins = (found > 0 && isWordByte(bytes[found - 1])) || (end < bytes.count && isWordByte(bytes[end]))
        guard wholeWords, adjoins else {
          if found < best?.position ?? .max { best = (found, choice) }
          break
        }
        start = found + 1
      }
    }
    return best?.choice
  }
}

/// Without ASCII white space at both ends.
func trimmed(_ text: some StringProtocol) -> String {
  func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
  let bytes = Array(text.utf8)
  guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) })
  else {
    return ""
  }
  return String(decoding: bytes[first...last], as: UTF8.self)
}

/// The parts between line feeds.
func lines(_ text: String) -> [String] {
  text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map {
    String(decoding: $0, as: UTF8.self)
  }
}

func lowercased(_ byte: UInt8) -> UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte + 32 : byte }

func isWordByte(_ byte: UInt8) -> Bool {
  let lower = lowercased(byte)
  return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lower)
    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

/// Where `pattern` begins first; nil for an empty pattern.
func firstOccurrence(of pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
  guard let initial = pattern.first, bytes.count >= pattern.count else { return nil }
  for start in bytes.startIndex...(bytes.endIndex - pattern.count)
  where bytes[start] == initial && bytes[start..<(start + pattern.count)].elementsEqual(pattern) {
    return start
  }
  return nil
}

func lastOccurrence(of pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
  guard !pattern.isEmpty, bytes.count >= pattern.count else { return nil }
  for start in (bytes.startIndex...(bytes.endIndex - pattern.count)).reversed()
  where bytes[start..<(start + pattern.count)].elementsEqual(pattern) {
    return start
  }
  return nil
}
