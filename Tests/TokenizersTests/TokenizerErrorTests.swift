import Testing
import Tokenizers

/// Bad files: one clear error each.
@Suite struct TokenizerErrorTests {
  private func error(_ json: String, configuration: String? = nil) throws -> TokenizerError {
    var files = ["tokenizer.json": json]
    files["tokenizer_config.json"] = configuration
    let directory = try TokenizerFiles(files)
    let error = try #require(throws: TokenizerError.self) { try directory.load() }
    #expect(error.description.hasPrefix(directory.directory), "names the file: \(error)")
    #expect(!error.description.contains("\n"))
    return error
  }

  @Test func missingFiles() throws {
    #expect(throws: TokenizerError.missingFile(path: "/nowhere/at/all/tokenizer.json")) {
      try Tokenizer(directory: "/nowhere/at/all")
    }
    let empty = try TokenizerFiles([:])
    #expect(throws: TokenizerError.missingFile(path: empty.path())) { try empty.load() }
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "tru", "nul", "01", "1.", "-", "1e", "\"a", "\"\\u12\"", "\"\\ud800\"",
    "\"\\ud800\\u0041\"",
    "\"\\udc00\"", "\"\\x\"", "\"\u{1}\"", "{}x", "{\"a\":1}}", "\u{FEFF}{}", "{1:2}", "'a'", "[1 2]",
  ])
  func malformedJSON(text: String) throws {
    guard case .malformedJSON = try error(text) else {
      Issue.record("\(text.debugDescription) was read")
      return
    }
  }

  @Test func deepNestingIsRefused() throws {
    let deep = String(repeating: "[", count: 100_000)
    guard case .malformedJSON(_, 1, _, let reason) = try error(deep) else {
      Issue.record("deep nesting was read")
      return
    }
    #expect(reason.contains("nested"))
  }

  @Test func malformedJSONNamesThePlace() throws {
    guard case .malformedJSON(_, let line, let column, _) = try error("{\n  \"a\": 1,\n  \"b\": x\n}") else {
      Issue.record("was read")
      return
    }
    #expect(line == 3 && column == 8)
  }

  @Test(arguments: [
    ("normalizer", #"{"type":"Nmt"}"#), ("normalizer", #"{"type":"Precompiled","precompiled_charsmap":""}"#),
    ("pre_tokenizer", #"{"type":"BertPreTokenizer"}"#), ("post_processor", #"{"type":"Unheard"}"#),
    ("decoder", #"{"type":"WordPiece","prefix":"","cleanup":true}"#), ("decoder", #"{"type":"CTC"}"#),
  ])
  func unknownComponentsAreNamed(section: String, json: String) throws {
    let text =
      switch section {
      case "normalizer": TokenizerFiles.json(normalizer: json)
      case "pre_tokenizer": TokenizerFiles.json(preTokenizer: json)
      case "post_processor": TokenizerFiles.json(postProcessor: json)
      default: TokenizerFiles.json(decoder: json)
      }
    guard case .unsupportedComponent(_, section, let type) = try error(text) else {
      Issue.record("\(json) was read, or refused for another reason")
      return
    }
    #expect(json.contains("\"\(type)\""))
  }

  @Test func unknownComponentsInSequencesAreNamed() throws {
    let json = #"{"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"UnicodeScripts"}]}"#
    let found = try error(TokenizerFiles.json(preTokenizer: json))
    guard case .unsupportedComponent(_, let field, "UnicodeScripts") = found else {
      Issue.record("was read")
      return
    }
    #expect(field == "pre_tokenizer.pretokenizers[1]")
  }

  @Test func otherModelsAreNamed() throws {
    let json = TokenizerFiles.json().replacing("\"type\":\"BPE\"", with: "\"type\":\"Unigram\"")
    guard case .unsupportedComponent(_, "model", "Unigram") = try error(json) else {
      Issue.record("was read")
      return
    }
  }

  @Test(arguments: [
    (#"{"<unk>":0,"a":-1,"b":2,"ab":3}"#, "-1"), (#"{"<unk>":0,"a":1.5,"b":2,"ab":3}"#, "1.5"),
    (#"{"<unk>":0,"a":99999999,"b":2,"ab":3}"#, "99999999"),
    (#"{"<unk>":0,"a":99999999999999999999,"b":2,"ab":3}"#, "99999999999999999999"),
  ])
  func idsOutOfRange(vocabulary: String, id: String) throws {
    guard case .invalidID(_, "a", id) = try error(TokenizerFiles.json(vocabulary: vocabulary)) else {
      Issue.record("was read")
      return
    }
  }

  @Test func duplicates() throws {
    let shared = try error(TokenizerFiles.json(vocabulary: #"{"<unk>":0,"a":1,"b":1,"ab":3}"#))
    guard case .duplicateID(_, 1, "a", "b") = shared else {
      Issue.record("two tokens with one id were read")
      return
    }
    guard case .duplicateToken(_, "a") = try error(TokenizerFiles.json(vocabulary: #"{"<unk>":0,"a":1,"a":2}"#)) else {
      Issue.record("a token with two ids was read")
      return
    }
  }

  @Test(arguments: [#"["a"]"#, #"["a b c"]"#, #"[["a"]]"#, #"[["a","b","c"]]"#, #"[["a",1]]"#])
  func malformedMerges(merges: String) throws {
    guard case .malformedMerge(_, 0, _) = try error(TokenizerFiles.json(merges: merges)) else {
      Issue.record("\(merges) was read")
      return
    }
  }

  @Test(arguments: [(#"["a b","a x"]"#, "x"), (#"[["a","b"],["b","a"]]"#, "ba")])
  func mergesOfUnknownTokens(merges: String, token: String) throws {
    guard case .unknownMergeToken(_, 1, token) = try error(TokenizerFiles.json(merges: merges)) else {
      Issue.record("\(merges) was read")
      return
    }
  }

  @Test func otherFields() throws {
    let missing = TokenizerFiles.json().replacing("\"model\"", with: "\"modle\"")
    guard case .missingField(_, "model") = try error(missing) else {
      Issue.record("no model")
      return
    }
    guard case .wrongType(_, "model.merges", _) = try error(TokenizerFiles.json(merges: "7")) else {
      Issue.record("merges of a wrong type")
      return
    }
    guard case .wrongType(_, "(root)", _) = try error("[]") else {
      Issue.record("an array")
      return
    }
    let unknown = TokenizerFiles.json(vocabulary: #"{"a":1,"b":2,"ab":3}"#)
    guard case .unknownToken(_, "model.unk_token", "<unk>") = try error(unknown) else {
      Issue.record("an unknown token outside the vocabulary")
      return
    }
    let dropout = TokenizerFiles.json().replacing("\"dropout\":null", with: "\"dropout\":0.1")
    guard case .unsupportedOption(_, "model.dropout", "0.1") = try error(dropout) else {
      Issue.record("dropout")
      return
    }
    let pattern = #"{"type":"Split","pattern":{"Regex":"\\p{Han}+"},"behavior":"Isolated","invert":false}"#
    let refused = try error(TokenizerFiles.json(preTokenizer: pattern))
    guard case .unsupportedPattern(_, "pre_tokenizer.pattern", #"\p{Han}+"#, _) = refused else {
      Issue.record("a pattern with a script")
      return
    }
  }

  @Test func addedTokensMustFitTheVocabulary() throws {
    let added = #"[{"id":9,"content":"[X]","special":true}]"#
    guard case .addedTokenMismatch(_, "[X]", 9, 6) = try error(TokenizerFiles.json(added: added)) else {
      Issue.record("an id beyond the end was read")
      return
    }
    let negative = #"[{"id":-6,"content":"[X]","special":true}]"#
    guard case .invalidID(_, "[X]", "-6") = try error(TokenizerFiles.json(added: negative)) else {
      Issue.record("a negative id was read")
      return
    }
  }

  @Test func badConfigurationIsNamed() throws {
    let directory = try TokenizerFiles(["tokenizer.json": TokenizerFiles.json(), "tokenizer_config.json": "{"])
    let error = #expect(throws: TokenizerError.self) { try directory.load() }
    #expect(error?.description.hasPrefix(directory.path("tokenizer_config.json")) == true)
  }
}
