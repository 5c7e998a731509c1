import TestSupport
import Testing
import Tokenizers

/// Small files that would cost very much: each is refused, or stopped.
struct HostileTokenizerTests {
  private func load(_ json: String) throws -> Tokenizer { try TokenizerFiles(["tokenizer.json": json]).load() }

  private func split(at pattern: String) -> String {
    TokenizerFiles.json(
      preTokenizer: #"{"type": "Split", "pattern": {"Regex": "\#(pattern)"}, "behavior": "Isolated", "invert": false}"#)
  }

  /// Each tries an exponential number of ways.
  @Test(arguments: [
    "(?:a+)+b", "(?:a|a)+b", "(?:a|aa)+b", "a*a*a*a*a*a*a*a*b", "(?=(?:a+)+b)a", "(?>(?:a|a)+b)",
  ])
  func backtrackingIsStopped(_ pattern: String) throws {
    let tokenizer = try load(split(at: pattern))
    let text = String(repeating: "a", count: 400)
    let ids = expectEnds(pattern) { tokenizer.encode(text) }
    #expect(tokenizer.decode(ids) == text)
  }

  /// What is tried again and again does not take the next text's share.
  @Test func stoppedPatternsFindWhatIsEasy() throws {
    let tokenizer = try load(split(at: "(?:a|a)+b"))
    #expect(tokenizer.encode("caab") == [5, 1, 3])
  }

  @Test(arguments: [
    "((((){1000}){1000}){1000}){1000}", "(?:(?:(?=a){1000}){1000}){1000}", "(?:a{0,999}){999}(?:(?:a?){999}){999}",
    "a\(String(repeating: "{2}", count: 3000))", "a\(String(repeating: "?", count: 9000))",
  ])
  func patternsThatAreLongWrittenOutAreRefused(_ pattern: String) throws {
    let error = try #require(throws: TokenizerError.self) {
      try expectEnds(String(pattern.prefix(40))) { _ = try load(split(at: pattern)) }
    }
    guard case .unsupportedPattern = error else {
      Issue.record("\(error)")
      return
    }
  }

  private func repeated(_ step: String, _ count: Int) -> String {
    "[" + [String](repeating: step, count: count).joined(separator: ",") + "]"
  }

  /// Each step doubles the text.
  @Test(arguments: [1, 30])
  func stepsThatMakeATextLongAreLimited(_ count: Int) throws {
    let replace = #"{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}"#
    let files = [
      TokenizerFiles.json(normalizer: #"{"type": "Sequence", "normalizers": \#(repeated(replace, count))}"#),
      TokenizerFiles.json(decoder: #"{"type": "Sequence", "decoders": \#(repeated(replace, count))}"#),
      TokenizerFiles.json(
        preTokenizer: #"{"type": "Sequence", "pretokenizers": \#(repeated(#"{"type": "ByteLevel"}"#, count))}"#),
    ]
    for json in files {
      guard count > 1 else {
        _ = try load(json)
        continue
      }
      let error = try #require(throws: TokenizerError.self) { try load(json) }
      #expect("\(error)".contains("times as long"))
    }
  }

  @Test func templatesWriteTheTextOnce() throws {
    let twice = #"{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}]}"#
    let json = TokenizerFiles.json(postProcessor: #"{"type": "Sequence", "processors": \#(repeated(twice, 40))}"#)
    let error = try #require(throws: TokenizerError.self) { try load(json) }
    #expect("\(error)".contains("more than once"))
  }

  @Test func templatesHaveFewTokens() throws {
    let ids = "[" + [String](repeating: "1", count: 600).joined(separator: ",") + "]"
    let token = #"{"SpecialToken": {"id": "a"}}"#
    let json = TokenizerFiles.json(
      postProcessor: #"""
        {"type": "TemplateProcessing", "single": [\#(token), \#(token), {"Sequence": {"id": "A"}}],
        "special_tokens": {"a": {"id": "a", "ids": \#(ids), "tokens": ["a"]}}}
        """#)
    let error = try #require(throws: TokenizerError.self) { try load(json) }
    #expect("\(error)".contains("more than 1000 tokens"))
  }

  /// The table by id would take 128 MB.
  @Test func farIDsAreRefused() throws {
    let error = try #require(throws: TokenizerError.self) {
      try load(TokenizerFiles.json(vocabulary: #"{"<unk>": 0, "a": 16777216}"#, merges: "[]"))
    }
    guard case .invalidID(_, "a", "16777216") = error else {
      Issue.record("\(error)")
      return
    }
  }
}
