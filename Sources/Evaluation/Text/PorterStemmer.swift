/// The stem of an English word (Porter 1980, "An algorithm for suffix stripping"), with the departures that NLTK makes
/// from it by default and on which rouge-score relies: a table of irregular forms, `ies` and `ied` after one letter,
/// `y` to `i` after any consonant but the first letter, `alli` before the other rules of step 2, `fulli`, `logi`, and
/// words of one or two letters left alone.
///
/// Letters are lower-case ASCII; digits count as consonants.
package struct PorterStemmer: Sendable {
  package init() {}

  package func stem(_ word: String) -> String {
    String(decoding: stem(Array(word.utf8)), as: UTF8.self)
  }

  func stem(_ word: [UInt8]) -> [UInt8] {
    if let irregular = Self.irregular[word] { return irregular }
    guard word.count > 2 else { return word }
    var stem = pluralRemoved(word)
    stem = participleRemoved(stem)
    stem = finalY(stem)
    stem = doubleSuffixReduced(stem)
    stem = firstMatch(Self.step3, stem) { $0.measure > 0 }
    stem = suffixRemoved(stem)
    stem = finalE(stem)
    return finalDoubleL(stem)
  }

  /// Step 1a.
  private func pluralRemoved(_ word: [UInt8]) -> [UInt8] {
    if word.count == 4, word.ends(with: "ies") { return word.dropLast(3) + Array("ie".utf8) }
    return firstMatch(Self.step1a, word) { _ in true }
  }

  /// Step 1b.
  private func participleRemoved(_ word: [UInt8]) -> [UInt8] {
    if word.ends(with: "ied") { return word.dropLast(3) + Array((word.count == 4 ? "ie" : "i").utf8) }
    if word.ends(with: "eed") { return Letters(word.dropLast(3)).measure > 0 ? word.dropLast(1) : word }
    let candidates: [(suffix: String, count: Int)] = [("ed", 2), ("ing", 3)]
    for (suffix, count) in candidates where word.ends(with: suffix) {
      let stem = Array(word.dropLast(count))
      if Letters(stem).hasVowel { return restored(stem) }
    }
    return word
  }

  /// What step 1b does to a word that has lost `ed` or `ing`.
  private func restored(_ word: [UInt8]) -> [UInt8] {
    for suffix in ["at", "bl", "iz"] where word.ends(with: suffix) { return word + [UInt8(ascii: "e")] }
    let letters = Letters(word)
    if letters.endsInDoubleConsonant {
      let keepsBoth = word.last.map { "lsz".utf8.contains($0) } ?? true
      return keepsBoth ? word : word.dropLast()
    }
    return letters.measure == 1 && letters.endsInShortSyllable ? word + [UInt8(ascii: "e")] : word
  }

  /// Step 1c.
  private func finalY(_ word: [UInt8]) -> [UInt8] {
    guard word.count > 2, word.ends(with: "y"), Letters(word.dropLast()).endsInConsonant else { return word }
    return word.dropLast() + [UInt8(ascii: "i")]
  }

  /// Step 2.
  private func doubleSuffixReduced(_ word: [UInt8]) -> [UInt8] {
    if word.ends(with: "alli"), Letters(word.dropLast(4)).measure > 0 { return doubleSuffixReduced(word.dropLast(2)) }
    for rule in Self.step2 where word.ends(with: rule.suffix) {
      // The l of "logi" belongs to the stem whose measure counts.
      let removed = rule.suffix == "logi" ? 3 : rule.suffix.utf8.count
      guard Letters(word.dropLast(removed)).measure > 0 else { return word }
      return word.dropLast(rule.suffix.utf8.count) + Array(rule.replacement.utf8)
    }
    return word
  }

  /// Step 4.
  private func suffixRemoved(_ word: [UInt8]) -> [UInt8] {
    for suffix in Self.step4 where word.ends(with: suffix) {
      let stem = Array(word.dropLast(suffix.utf8.count))
      let isAllowed = suffix != "ion" || stem.ends(with: "s") || stem.ends(with: "t")
      return isAllowed && Letters(stem).measure > 1 ? stem : word
    }
    return word
  }

  /// Step 5a.
  private func finalE(_ word: [UInt8]) -> [UInt8] {
    guard word.ends(with: "e") else { return word }
    let letters = Letters(word.dropLast())
    let isRemoved = letters.measure > 1 || letters.measure == 1 && !letters.endsInShortSyllable
    return isRemoved ? letters.bytes : word
  }

  /// Step 5b.
  private func finalDoubleL(_ word: [UInt8]) -> [UInt8] {
    word.ends(with: "ll") && Letters(word.dropLast()).measure > 1 ? word.dropLast() : word
  }

  /// The first rule whose suffix fits decides, whether or not its condition holds.
  private func firstMatch(_ rules: [Rule], _ word: [UInt8], if condition: (Letters) -> Bool) -> [UInt8] {
    for rule in rules where word.ends(with: rule.suffix) {
      let stem = Letters(word.dropLast(rule.suffix.utf8.count))
      return condition(stem) ? stem.bytes + Array(rule.replacement.utf8) : word
    }
    return word
  }
}

extension PorterStemmer {
  struct Rule: Sendable {
    let suffix: String
    let replacement: String

    init(_ suffix: String, _ replacement: String) {
      self.suffix = suffix
      self.replacement = replacement
    }
  }

  static let irregular: [[UInt8]: [UInt8]] = {
    let forms = [
      "sky": ["sky", "skies"], "die": ["dying"], "lie": ["lying"], "tie": ["tying"], "news": ["news"],
      "inning": ["innings", "inning"], "outing": ["outings", "outing"], "canning": ["cannings", "canning"],
      "howe": ["howe"], "proceed": ["proceed"], "exceed": ["exceed"], "succeed": ["succeed"],
    ]
    var table: [[UInt8]: [UInt8]] = [:]
    for (stem, words) in forms { for word in words { table[Array(word.utf8)] = Array(stem.utf8) } }
    return table
  }()

  static let step1a = [Rule("sses", "ss"), Rule("ies", "i"), Rule("ss", "ss"), Rule("s", "")]

  static let step2 = [
    Rule("ational", "ate"), Rule("tional", "tion"), Rule("enci", "ence"), Rule("anci", "ance"), Rule("izer", "ize"),
    Rule("bli", "ble"), Rule("alli", "al"), Rule("entli", "ent"), Rule("eli", "e"), Rule("ousli", "ous"),
    Rule("ization", "ize"), Rule("ation", "ate"), Rule("ator", "ate"), Rule("alism", "al"), Rule("iveness", "ive"),
    Rule("fulness", "ful"), Rule("ousness", "ous"), Rule("aliti", "al"), Rule("iviti", "ive"), Rule("biliti", "ble"),
    Rule("fulli", "ful"), Rule("logi", "log"),
  ]

  static let step3 = [
    Rule("icate", "ic"), Rule("ative", ""), Rule("alize", "al"), Rule("iciti", "ic"), Rule("ical", "ic"),
    Rule("ful", ""), Rule("ness", ""),
  ]

  static let step4 = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
  ]
}

/// A word whose letters are told apart as consonants and vowels; `y` is a vowel after a consonant.
private struct Letters {
  let bytes: [UInt8]
  private let isConsonant: [Bool]

  init(_ word: some Sequence<UInt8>) {
    bytes = Array(word)
    var flags: [Bool] = []
    flags.reserveCapacity(bytes.count)
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "a"), UInt8(ascii: "e"), UInt8(ascii: "i"), UInt8(ascii: "o"), UInt8(ascii: "u"):
        flags.append(false)
      case UInt8(ascii: "y"): flags.append(!(flags.last ?? false))
      default: flags.append(true)
      }
    }
    isConsonant = flags
  }

  /// How often a consonant follows a vowel: the m of `[C](VC)^m[V]`.
  var measure: Int { zip(isConsonant, isConsonant.dropFirst()).count { !$0 && $1 } }

  var hasVowel: Bool { isConsonant.contains(false) }

  var endsInConsonant: Bool { isConsonant.last ?? false }

  var endsInDoubleConsonant: Bool {
    bytes.count >= 2 && bytes[bytes.count - 1] == bytes[bytes.count - 2] && endsInConsonant
  }

  /// Condition *o: consonant, vowel, consonant other than w, x and y; or a word of a vowel and a consonant.
  var endsInShortSyllable: Bool {
    let last = isConsonant.suffix(3)
    if bytes.count >= 3 {
      return last.elementsEqual([true, false, true]) && !(bytes.last.map { "wxy".utf8.contains($0) } ?? true)
    }
    return bytes.count == 2 && last.elementsEqual([false, true])
  }
}

extension Collection where Element == UInt8, Self: BidirectionalCollection {
  fileprivate func ends(with suffix: String) -> Bool {
    let length = suffix.utf8.count
    return count >= length && self.suffix(length).elementsEqual(suffix.utf8)
  }
}
