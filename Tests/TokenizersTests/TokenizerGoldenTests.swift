import TestSupport
import Testing
import Tokenizers

/// Every family against the reference, text by text.
@Suite struct TokenizerGoldenTests {
  @Test(arguments: TokenizerGoldens.families)
  func encodesAsTheReference(family: String) throws {
    let tokenizer = try Tokenizer(directory: TokenizerGoldens.directory(family))
    let cases = try TokenizerGoldens.cases(family)
    let texts = try TokenizerGoldens.texts()
    #expect(texts.count == cases.ids.count && texts.count > 200)
    for (index, text) in texts.enumerated() {
      #expect(tokenizer.encode(text) == cases.ids[index], "text \(index): \(text.debugDescription)")
      let special = cases.special[index]
      let expected = special[0] + cases.ids[index] + special[1]
      #expect(tokenizer.encode(text, addSpecialTokens: true) == expected, "text \(index), with special tokens")
    }
  }

  @Test(arguments: TokenizerGoldens.families)
  func decodesAsTheReference(family: String) throws {
    let tokenizer = try Tokenizer(directory: TokenizerGoldens.directory(family))
    let cases = try TokenizerGoldens.cases(family)
    for (index, text) in try TokenizerGoldens.texts().enumerated() {
      let expected = cases.decoded[index] ?? text
      let decoded = tokenizer.decode(cases.ids[index])
      #expect(isIdentical(decoded, expected), "text \(index): \(decoded.debugDescription)")
      let skipped = tokenizer.decode(cases.ids[index], skipSpecialTokens: true)
      #expect(isIdentical(skipped, cases.skipped[index] ?? expected), "text \(index): \(skipped.debugDescription)")
    }
  }

  @Test(arguments: TokenizerGoldens.families)
  func streamsWhatItDecodes(family: String) throws {
    let tokenizer = try Tokenizer(directory: TokenizerGoldens.directory(family))
    for (index, ids) in try TokenizerGoldens.cases(family).ids.enumerated() {
      for skips in [false, true] {
        let streamed = streamed(ids, tokenizer, skips: skips)
        let decoded = tokenizer.decode(ids, skipSpecialTokens: skips)
        #expect(isIdentical(streamed, decoded), "text \(index): \(streamed.debugDescription)")
      }
    }
  }

  /// Ids as a model may give them: in any order, most of them no text.
  @Test(arguments: TokenizerGoldens.families)
  func streamsRandomIDs(family: String) throws {
    let tokenizer = try Tokenizer(directory: TokenizerGoldens.directory(family))
    var random = SeededGenerator(seed: 7)
    for _ in 0..<300 {
      let ids = (0..<Int.random(in: 1...30, using: &random)).map { _ in
        Int.random(in: -1...tokenizer.vocabularySize, using: &random)
      }
      #expect(isIdentical(streamed(ids, tokenizer, skips: false), tokenizer.decode(ids)), "\(ids)")
    }
  }

  private func streamed(_ ids: [Int], _ tokenizer: Tokenizer, skips: Bool) -> String {
    var decoder = StreamingDecoder(tokenizer, skipSpecialTokens: skips)
    return ids.map { decoder.append($0) }.joined() + decoder.finish()
  }

  /// Every place of every text, and of texts between added tokens, against the text before it encoded alone.
  @Test(arguments: TokenizerGoldens.families)
  func countsBeforePlaces(family: String) throws {
    let tokenizer = try Tokenizer(directory: TokenizerGoldens.directory(family))
    let special = (0..<tokenizer.vocabularySize).filter(tokenizer.isSpecialToken).compactMap(tokenizer.token)
    var random = SeededGenerator(seed: 3)
    let texts = try TokenizerGoldens.texts()
    let mixed = (0..<100).map { _ in
      (0..<6).map { _ in
        Bool.random(using: &random)
          ? special.randomElement(using: &random) ?? " " : texts.randomElement(using: &random) ?? ""
      }
      .joined(separator: Bool.random(using: &random) ? "" : " ")
    }
    for text in texts + mixed {
      let bytes = Array(text.utf8)
      let places = Array(0...bytes.count)
      let encoding = try #require(tokenizer.encode(text, countingBefore: places, budget: .max))
      #expect(encoding.ids == tokenizer.encode(text))
      for (place, count) in zip(places, encoding.counts) {
        let before = String(validating: bytes[..<place], as: UTF8.self).map { tokenizer.encode($0) }
        let expected = before.flatMap { encoding.ids.starts(with: $0) ? $0.count : nil }
        #expect(count == expected, "\(text.debugDescription) before byte \(place)")
      }
    }
  }

  @Test func normalizesAsTheReference() throws {
    let forms: [NormalizationForm] = [.nfc, .nfd, .nfkc, .nfkd]
    for (index, sample) in try TokenizerGoldens.normalization().enumerated() {
      for (form, expected) in zip(forms, sample.forms) {
        let normalized = String(decoding: form.normalize(Array(sample.text.utf8)), as: UTF8.self)
        #expect(isIdentical(normalized, expected ?? sample.text), "\(form.rawValue) of sample \(index)")
      }
    }
  }
}
