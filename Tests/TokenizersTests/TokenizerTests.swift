import TestSupport
import Testing
import Tokenizers

@Suite struct TokenizerTests {
  /// By hand: "abc a" merges a and b, keeps the rest.
  @Test func mergesByHand() throws {
    let tokenizer = try TokenizerFiles(["tokenizer.json": TokenizerFiles.json()]).load()
    #expect(tokenizer.encode("abc a") == [3, 5, 4, 1])
    #expect(tokenizer.encode("aabb") == [1, 3, 2])
    #expect(tokenizer.encode("xab") == [0, 3])
    #expect(tokenizer.encode("") == [])
    #expect(tokenizer.decode([3, 5, 4, 1]) == "abc a")
    #expect(tokenizer.decode([3, 77, -1, 5]) == "abc")
    #expect(tokenizer.vocabularySize == 6)
    #expect(tokenizer.token(3) == "ab" && tokenizer.token(6) == nil && tokenizer.id(of: "c") == 5)
    #expect(tokenizer.unknownTokenID == 0 && tokenizer.bosTokenID == nil)
  }

  /// Canonically equivalent tokens are different tokens.
  @Test func keepsEquivalentTokensApart() throws {
    let vocabulary = "{\"<unk>\":0,\"\u{E9}\":1,\"e\":2,\"\u{301}\":3,\"e\u{301}\":4,\"\u{212B}\":5,\"\u{C5}\":6}"
    let json = TokenizerFiles.json(vocabulary: vocabulary, merges: "[[\"e\",\"\u{301}\"]]")
    let tokenizer = try TokenizerFiles(["tokenizer.json": json]).load()
    #expect(tokenizer.encode("\u{E9}e\u{301}\u{212B}\u{C5}") == [1, 4, 5, 6])
    #expect(tokenizer.id(of: "\u{E9}") == 1 && tokenizer.id(of: "e\u{301}") == 4)
    #expect(isIdentical(tokenizer.decode([5, 6]), "\u{212B}\u{C5}"))
  }

  @Test func readsEscapesInTokens() throws {
    let vocabulary = #"{"<unk>":0,"\u0061":1,"\ud83d\ude00":2,"\"\\\/\b\f\n\r\t":3}"#
    let tokenizer = try TokenizerFiles([
      "tokenizer.json": TokenizerFiles.json(vocabulary: vocabulary, merges: "[]")
    ]).load()
    #expect(tokenizer.encode("a😀") == [1, 2])
    #expect(tokenizer.token(3) == "\"\\/\u{8}\u{C}\n\r\t")
  }

  @Test func unknownCharactersFuseOnRequest() throws {
    let json = TokenizerFiles.json()
    #expect(try TokenizerFiles(["tokenizer.json": json]).load().encode("axya") == [1, 0, 0, 1])
    let fused = json.replacing("\"fuse_unk\":false", with: "\"fuse_unk\":true")
    #expect(try TokenizerFiles(["tokenizer.json": fused]).load().encode("axya") == [1, 0, 1])
  }

  @Test func longestAddedTokenWins() throws {
    let added = """
      [{"id":6,"content":"[X","special":true},{"id":7,"content":"[XY]","special":false,"normalized":false}]
      """
    let tokenizer = try TokenizerFiles(["tokenizer.json": TokenizerFiles.json(added: added)]).load()
    #expect(tokenizer.encode("a[XY]b[X") == [1, 7, 2, 6])
    #expect(tokenizer.decode([1, 7, 6], skipSpecialTokens: true) == "a[XY]")
    #expect(tokenizer.isSpecialToken(6) && !tokenizer.isSpecialToken(7) && !tokenizer.isSpecialToken(1))
    #expect(tokenizer.vocabularySize == 8)
  }

  /// By hand. "ab" is one token, so none ends behind its "a".
  @Test func countsBeforePlaces() throws {
    let added = #"[{"id":6,"content":"[X]","special":true,"rstrip":true}]"#
    let tokenizer = try TokenizerFiles(["tokenizer.json": TokenizerFiles.json(added: added)]).load()
    let encoding = tokenizer.encode("cab[X] ba", countingBefore: [0, 1, 2, 3, 4, 6, 7, 8, 9, 12], budget: 100)
    #expect(encoding == CountedEncoding(ids: [5, 3, 6, 2, 1], counts: [0, 1, nil, 2, nil, 3, 3, 4, 5, nil]))
    #expect(tokenizer.encode("cab[X] ba", countingBefore: [3, 7, 8], budget: 1) != nil)
    #expect(tokenizer.encode("cab[X] ba", countingBefore: [2, 8], budget: 2) == nil)
    #expect(tokenizer.encode("é", countingBefore: [1, 2], budget: 9)?.counts == [nil, 1])
    #expect(tokenizer.encode("", countingBefore: [0, 1], budget: 0)?.counts == [0, nil])
  }

  /// By hand: "ba" is an added token only where no letter touches it.
  @Test func countsBeforePlacesOfWholeWords() throws {
    let added = """
      [{"id":6,"content":"ba","special":true,"single_word":true},{"id":7,"content":"[Xa","special":true},
      {"id":8,"content":"cX","special":true}]
      """
    let tokenizer = try TokenizerFiles(["tokenizer.json": TokenizerFiles.json(added: added)]).load()
    let behind = tokenizer.encode("[Xaba ba", countingBefore: [3, 4, 5, 6, 8], budget: 100)
    #expect(behind == CountedEncoding(ids: [7, 2, 1, 4, 6], counts: [1, 2, 3, 4, 5]))
    let before = tokenizer.encode(" bacX", countingBefore: [1, 2, 3, 5], budget: 100)
    #expect(before == CountedEncoding(ids: [4, 2, 1, 8], counts: [1, 2, nil, 4]))
  }

  @Test func configurationNamesSpecialTokens() throws {
    let configuration = """
      {"bos_token":"<s>",
      "eos_token":{"content":"</s>","lstrip":false,"rstrip":true,"single_word":false,"normalized":false},
      "pad_token":null,"add_bos_token":false,"clean_up_tokenization_spaces":true,"chat_template":"{{ messages }}",
      "added_tokens_decoder":{"6":{"content":"<s>","special":true,"normalized":false}}}
      """
    let added = #"[{"id":6,"content":"<s>","special":false,"normalized":false}]"#
    let processor = """
      {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},
      {"Sequence":{"id":"A","type_id":0}}],
      "pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[6],"tokens":["<s>"]}}}
      """
    let files = try TokenizerFiles([
      "tokenizer.json": TokenizerFiles.json(added: added, postProcessor: processor),
      "tokenizer_config.json": configuration,
    ])
    let tokenizer = try files.load()
    #expect(tokenizer.bosTokenID == 6 && tokenizer.eosTokenID == 7 && tokenizer.padTokenID == nil)
    #expect(tokenizer.encode("a<s>b</s> a") == [1, 6, 2, 7, 1])
    #expect(tokenizer.encode("a", addSpecialTokens: true) == [6, 1])
    #expect(tokenizer.decode([6, 1, 7], skipSpecialTokens: true) == "a")
    #expect(tokenizer.chatTemplate == "{{ messages }}")
  }

  @Test func chatTemplateFileComesFirst() throws {
    let configuration = #"{"chat_template":[{"name":"tool_use","template":"T"},{"name":"default","template":"D"}]}"#
    let named = try TokenizerFiles([
      "tokenizer.json": TokenizerFiles.json(), "tokenizer_config.json": configuration,
    ])
    #expect(try named.load().chatTemplate == "D")
    let file = try TokenizerFiles([
      "tokenizer.json": TokenizerFiles.json(), "tokenizer_config.json": configuration, "chat_template.jinja": "F",
    ])
    #expect(try file.load().chatTemplate == "F")
  }

  @Test func roundTripsAnyTextByBytes() throws {
    let tokenizer = try Tokenizer(directory: TokenizerGoldens.directory("smollm2"))
    var random = SeededGenerator(seed: 3)
    for _ in 0..<200 {
      var text = ""
      for _ in 0..<Int.random(in: 0...40, using: &random) {
        let value = UInt32.random(in: 0..<0x110000, using: &random) >> UInt32.random(in: 0...14, using: &random)
        if let scalar = Unicode.Scalar(value) { text.unicodeScalars.append(scalar) }
      }
      #expect(isIdentical(tokenizer.decode(tokenizer.encode(text)), text))
    }
  }

  /// Short words are scanned, long ones use a queue; both against the definition, on random merges.
  @Test func mergesAsDefined() throws {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<20 {
      var tokens = ["a", "b", "c"]
      var merges: [(left: String, right: String)] = []
      while merges.count < 25 {
        let pair = (tokens.randomElement(using: &random) ?? "a", tokens.randomElement(using: &random) ?? "a")
        guard pair.0.count + pair.1.count < 9, !merges.contains(where: { $0 == pair }) else { continue }
        merges.append((pair.0, pair.1))
        if !tokens.contains(pair.0 + pair.1) { tokens.append(pair.0 + pair.1) }
      }
      let vocabulary = (["<unk>"] + tokens).enumerated().map { "\"\($1)\":\($0)" }.joined(separator: ",")
      let json = TokenizerFiles.json(
        vocabulary: "{\(vocabulary)}",
        merges: "[\(merges.map { "\"\($0.left) \($0.right)\"" }.joined(separator: ","))]")
      let tokenizer = try TokenizerFiles(["tokenizer.json": json]).load()
      for _ in 0..<40 {
        let letters = (0..<Int.random(in: 1...150, using: &random)).map { _ in
          ["a", "b", "c"].randomElement(using: &random) ?? "a"
        }
        let expected = merged(letters, merges)
        #expect(tokenizer.encode(letters.joined()).map { tokenizer.token($0) } == expected, "\(letters.joined())")
      }
    }
  }

  private func merged(_ letters: [String], _ merges: [(left: String, right: String)]) -> [String] {
    var symbols = letters
    while true {
      let found = merges.lazy.compactMap { merge in
        (0..<max(symbols.count - 1, 0)).first { symbols[$0] == merge.left && symbols[$0 + 1] == merge.right }
      }.first
      guard let found else { return symbols }
      symbols[found...found + 1] = [symbols[found] + symbols[found + 1]]
    }
  }

  /// A quadratic algorithm would take hours.
  @Test(.timeLimit(.minutes(1)), arguments: ["smollm2", "llama2", "mistral", "o200k"])
  func longWordsAreNoTrouble(family: String) throws {
    let tokenizer = try Tokenizer(directory: TokenizerGoldens.directory(family))
    for unit in ["a", "ab", "é", " ", "\n", "!", "1"] {
      // Not a space first, which some families strip.
      let text = "x" + String(repeating: unit, count: 200_000)
      #expect(isIdentical(tokenizer.decode(tokenizer.encode(text)), text) as Bool, "\(unit.debugDescription)")
    }
  }

  @Test func isSafeToShare() async throws {
    let tokenizer = try Tokenizer(directory: TokenizerGoldens.directory("qwen2"))
    let texts = try TokenizerGoldens.texts()
    let expected = try TokenizerGoldens.cases("qwen2").ids
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 {
        group.addTask { zip(texts, expected).allSatisfy { tokenizer.encode($0) == $1 } }
      }
      for await isEqual in group { #expect(isEqual) }
    }
  }

  @Test func streamHoldsIncompleteCharacters() throws {
    let tokenizer = try Tokenizer(directory: TokenizerGoldens.directory("smollm2"))
    var decoder = StreamingDecoder(tokenizer)
    // The bytes of 😀, one token each: the byte-level alphabet writes F0 9F 98 80 as these characters.
    let ids = try ["ð", "Ł", "ĺ", "Ģ"].map { try #require(tokenizer.id(of: $0)) }
    #expect(ids.map { decoder.append($0) } == ["", "", "", "😀"])
    #expect(decoder.finish() == "")
    #expect(decoder.append(ids[0]) == "" && decoder.append(ids[1]) == "")
    #expect(decoder.finish() == "\u{FFFD}")
    #expect(decoder.append(ids[3]) == "\u{FFFD}", "a byte that nothing can complete does not wait")
  }

  @Test func streamStripsTheFirstSpace() throws {
    let tokenizer = try Tokenizer(directory: TokenizerGoldens.directory("llama2"))
    var decoder = StreamingDecoder(tokenizer)
    let text = "the  of a"
    let streamed = tokenizer.encode(text).map { decoder.append($0) }.joined() + decoder.finish()
    #expect(streamed == text)
    // A run of byte tokens is text only if all of it is.
    let run = try ["<0xE2>", "<0x98>", "<0x83>", "a"].map { try #require(tokenizer.id(of: $0)) }
    #expect(run.map { decoder.append($0) } == ["", "", "", "☃a"])
  }
}
