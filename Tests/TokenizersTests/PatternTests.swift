import TestSupport
import Testing
import Tokenizers

@Suite struct PatternTests {
  /// The scanner written by hand against the general engine.
  @Test(arguments: [WordPattern.gpt2Source, WordPattern.llama3Source, WordPattern.qwen2Source])
  func scannerAgreesWithTheEngine(source: String) throws {
    let scanner = try #require(WordPattern(source: Array(source.utf8)))
    let engine = try PatternProgram(Array(source.utf8))
    var random = SeededGenerator(seed: 11)
    let alphabet = [
      " ", " ", "  ", "\n", "\r", "\t", "\u{A0}", "\u{3000}", "\u{2028}", "a", "Z", "é", "漢", "ſ", "s", "'", "'s",
      "'LL", "'rE",
      "'ve", "1", "23", "４", "½", "!", "-", "\u{301}", "👩‍👩", "\u{0}", "\u{10FFFF}", "\u{E000}", "𝟘", "𝕳",
    ]
    for _ in 0..<3000 {
      let count = Int.random(in: 0...14, using: &random)
      let text = (0..<count).map { _ in alphabet.randomElement(using: &random) ?? "" }.joined()
      let pieces = scanner.pieces(of: text)
      #expect(pieces.joined().utf8.elementsEqual(text.utf8))
      let expected = engine.matches(in: text)
      let isEqual = pieces.count == expected.count && zip(pieces, expected).allSatisfy(isIdentical)
      #expect(isEqual, "\(text.debugDescription): \(pieces) is not \(expected)")
    }
  }

  @Test(arguments: [
    (#"a+"#, "baaac", ["aaa"]),
    (#"a+?"#, "aaa", ["a", "a", "a"]),
    (#"a++a|b"#, "aaab", ["b"]),
    (#"a{2,3}"#, "aaaaa", ["aaa", "aa"]),
    (#"a{2}"#, "aaaaa", ["aa", "aa"]),
    (#"a{,2}b"#, "aaab", ["aab"]),
    (#"(?:ab|a)(?:c|bcd)"#, "abcd", ["abc"]),
    (#"(?>ab|a)bcd"#, "abcd", []),
    (#"(?:xy){2,}z"#, "xyxyxyz", ["xyxyxyz"]),
    (#"\d+(?=€)"#, "12€34", ["12"]),
    (#"\d+(?!€)"#, "12€", ["1"]),
    (#"(?<=\s)\w+"#, "ab cd ef", ["cd", "ef"]),
    (#"(?<!a)b"#, "ab bb", ["b", "b"]),
    (#"(?i:straSSe|k)"#, "STRASSE K", ["STRASSE", "K"]),
    (#"(?i)abc"#, "xABc", ["ABc"]),
    (#"[^\s\p{L}]+"#, "ab 12!? c", ["12!?"]),
    (#"[\p{Lu}\p{Lt}]\p{Ll}*"#, "HelloWorld", ["Hello", "World"]),
    (#"\P{N}+"#, "a1b", ["a", "b"]),
    (#"[a-c\-\]]+"#, "x-a]b", ["-a]b"]),
    (#"[]a]+"#, "]a", ["]a"]),
    (#"\x41\u0042\x{43}"#, "ABC", ["ABC"]),
    (#"^\w+$"#, "ab\ncd", ["ab", "cd"]),
    (#"\Aa|a\z"#, "aba", ["a", "a"]),
    (#"\bfoo\b"#, "foo food foo", ["foo", "foo"]),
    (#"x{a"#, "x{a", ["x{a"]),
    (#"(?=b)"#, "abab", ["", ""]),
    (#"a.c"#, "a\nc abc", ["abc"]),
    (#"日本?語"#, "日語日本語", ["日語", "日本語"]),
  ])
  func engineMatches(pattern: String, text: String, expected: [String]) throws {
    let matches = try PatternProgram(Array(pattern.utf8)).matches(in: text)
    // The Kelvin sign is canonically a K.
    #expect(matches == expected)
  }

  @Test(arguments: [
    "(", ")", "a)", "[a", "[b-a]", "*a", #"\p{Han}"#, #"\p{"#, "(?<name>a)", #"\q"#, "(a*)*", "a{5,2}", "a{1001}",
    "[a&&b]", "(?<=ab)c", "[[:alpha:]]", #"\x{110000}"#, "(?i:[\\p{Lu}a])", "(?", "\\",
    String(repeating: "(", count: 100) + String(repeating: ")", count: 100),
  ])
  func engineRefuses(pattern: String) {
    #expect(throws: PatternError.self) { try PatternProgram(Array(pattern.utf8)) }
  }

  @Test func engineIsSafeOnLongText() throws {
    let text = String(repeating: "ab", count: 100_000)
    #expect(try PatternProgram(Array("(?:ab)+".utf8)).matches(in: text).count == 1)
    #expect(try PatternProgram(Array("(?:a|b)*c|b".utf8)).matches(in: String(repeating: "ab", count: 500)).count == 500)
    #expect(try PatternProgram(Array(#"\w+"#.utf8)).matches(in: text).count == 1)
  }
}
