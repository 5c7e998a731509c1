import Adaptation
import Foundation
import Testing

@Suite struct DataCheckTests {
  /// Character tokens; `<|im_start|>` begins texts, `<|im_end|>` is special, id 0 ends texts.
  private func check(
    _ lines: [String], against: [[String]] = [], maximumLength: Int = 512, stops: Set<Int> = [],
    encoder: CharacterEncoder = CharacterEncoder()
  ) throws -> DataCheck {
    let file = try TemporaryFile(lines.joined(separator: "\n"))
    let others = try against.map { try TemporaryFile($0.joined(separator: "\n")) }
    defer { for file in [file] + others { file.remove() } }
    var options = DataCheckOptions()
    options.maximumLength = maximumLength
    options.against = others.map(\.path)
    return try DataCheck(
      path: file.path, options: options, encoder: encoder, chat: ChatML(),
      markers: RowMarkers(beginning: 1, end: encoder.endOfSequenceID, stops: stops, special: [1, 2]))
  }

  private func rows(_ check: DataCheck, _ kind: DataFinding.Kind) -> [Int]? {
    check.findings.first { $0.kind == kind }?.rows
  }

  private func row(_ prompt: String, _ completion: String) -> String {
    #"{"prompt": "\#(prompt)", "completion": "\#(completion)"}"#
  }

  @Test("sound rows: sums, lengths, nothing found")
  func sound() throws {
    let check = try check([row("ab", "cd"), row("", "wxyz"), #"{"prompt": "<|im_start|>p", "completion": "q"}"#])
    #expect(check.findings.isEmpty && !check.isWrong)
    #expect(check.rows == 3 && check.usable == 3 && check.format == "prompt-completion")
    // The first token of a row without a prompt has nothing before it.
    #expect(check.tokens == 5 + 5 + 4 && check.labels == 3 + 4 + 2)
    #expect(check.endLearned == 3 && check.beginningSet == 1)
    #expect(check.lengths.shortest == 4 && check.lengths.median == 5 && check.lengths.longest == 5)
    #expect(check.lengths.bins.map(\.rows) == [0, 0, 0, 0, 1, 2])
  }

  @Test("rows that training refuses are all found, each under what is wrong with it")
  func refused() throws {
    let check = try check([
      row("a", "b"), row("a", ""), "{\"prompt\": \"a\"}", "nonsense", row("a", "c"),
      "{\"prompt\": \"a\", \"completion\": 3}",
    ])
    #expect(rows(check, .emptyCompletion) == [2])
    #expect(rows(check, .unreadable) == [3, 4, 6])
    #expect(check.findings.first?.detail?.contains("row 3: field 'completion' is missing") == true)
    #expect(check.isWrong && check.usable == 2)
    #expect(rows(check, .contradiction) == [5])
  }

  @Test("a text of no token has no labels; a tokenizer without an end token is named once")
  func labels() throws {
    var encoder = CharacterEncoder()
    encoder.endOfSequenceID = nil
    let silent = try check([row("a", "b"), row("c", "d")], encoder: encoder)
    #expect(rows(silent, .noEndToken) == [] && silent.isWrong && silent.usable == 0)
    #expect(silent.lengths.longest == 0)
  }

  @Test("over-length rows are a warning, until no row is left")
  func length() throws {
    let some = try check([row("ab", "cd"), row("abcdefgh", "i"), row("a", "bcdefghi")], maximumLength: 6)
    #expect(rows(some, .overlength) == [2, 3] && rows(some, .noLabelsWithinLength) == [2])
    #expect(!some.isWrong)
    let all = try check([row("abcd", "efgh")], maximumLength: 6)
    #expect(rows(all, .everyRowOverlength) == [] && all.isWrong)
  }

  @Test("doubled beginning, doubled end, and tokens that reach over the boundary")
  func tokens() throws {
    let check = try check([
      row("<|im_start|><|im_start|>a", "b"), row("<|im_start|>", "<|im_start|>a"),
      row("<|im_start|>a<|im_start|>", "b"),
      row("a", #"b\u0000"#), row(#"a\n"#, #"\nb"#), row("a", #"\nb"#),
    ])
    #expect(rows(check, .doubledBeginning) == [1, 2])
    #expect(rows(check, .doubledEnd) == [4])
    #expect(rows(check, .mergedBoundary) == [5])
  }

  @Test("whether a conversation's turns end in a token that stops generation")
  func turns() throws {
    let line = #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#
    let unknown = try check([line])
    #expect(rows(unknown, .endIsNoStop) == [1] && unknown.endLearned == 0 && !unknown.isWrong)
    let known = try check([line], stops: [2])
    #expect(known.findings.isEmpty && known.endLearned == 1)
  }

  @Test("duplicates and overlaps, exact, normalised and of the prompt alone")
  func overlaps() throws {
    let train = [
      row("What is 1 + 1?", "2"), row("q", "a"), row("q", "a"), row("Q!", "A."), row("q", "b"), row("r", "s"),
    ]
    let check = try check(train, against: [[row("what is  1 1", "2")], [row("q", "a"), row("r", "t")]])
    #expect(rows(check, .duplicate) == [3])
    let overlaps = check.findings.filter { $0.kind == .overlap || $0.kind == .normalizedOverlap }
    #expect(overlaps.map(\.rows) == [[2, 3], [1], [4]])
    #expect(Set(overlaps.map(\.detail)).count == 2)
    #expect(rows(check, .promptOverlap) == [5, 6])
    #expect(check.isWrong)
    // Canonically equivalent texts are different bytes.
    let bytes = try self.check([row("q", "\u{E9}"), row("q", "e\u{301}")])
    #expect(rows(bytes, .duplicate) == nil && rows(bytes, .contradiction) == [2])
  }

  @Test("a check agrees with what training keeps")
  func agrees() throws {
    let lines = (1...40).map { row(String(repeating: "p", count: $0 % 7), String(repeating: "c", count: 1 + $0 % 11)) }
    let check = try check(lines, maximumLength: 12)
    let data = try load(lines.joined(separator: "\n"), maximumLength: 12)
    #expect(check.usable - (rows(check, .overlength)?.count ?? 0) == data.summary.kept)
    #expect(check.lengths.longest == data.summary.longest)
    #expect(check.lengths.bins.reduce(0) { $0 + $1.rows } == check.usable)
  }
}

@Suite struct DataSplitTests {
  private func split(_ text: String, _ parts: [String], seed: UInt64 = 0) throws -> DataSplit {
    let file = try TemporaryFile(text)
    defer { file.remove() }
    return try DataSplit(path: file.path, parts: parts.compactMap { DataSplit.Part($0) }, seed: seed)
  }

  private func lines(_ bytes: [UInt8]) -> [String] {
    String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  @Test("parts are disjoint, complete, in the file's order, and a function of the seed")
  func parts() throws {
    let rows = (0..<100).map { "{\"n\":\($0)}" }
    let text = rows.joined(separator: "\n")
    let first = try split(text, ["train=70", "dev=10", "test=15"], seed: 3)
    #expect(first == (try split(text, ["train=70", "dev=10", "test=15"], seed: 3)))
    #expect(first != (try split(text, ["train=70", "dev=10", "test=15"], seed: 4)))
    let parts = first.contents.map { lines($0.bytes) }
    #expect(parts.map(\.count) == [70, 10, 15] && first.remainder == 5 && first.duplicates == 0)
    #expect(Set(parts.joined()).count == 95 && Set(parts.joined()).isSubset(of: rows))
    for part in parts {
      let places = part.compactMap(rows.firstIndex)
      #expect(places == places.sorted())
    }
  }

  @Test("equal rows stay on one side, whatever the order of their members")
  func duplicates() throws {
    let rows = (0..<20).flatMap { ["{\"a\":\($0),\"b\":1.50}", "{ \"b\" : 1.50, \"a\" : \($0) }"] }
    for seed in UInt64(0)..<8 {
      let split = try split(rows.joined(separator: "\n"), ["one=20", "two=20"], seed: seed)
      #expect(split.duplicates == 20 && split.remainder == 0)
      for (_, bytes) in split.contents {
        let numbers = lines(bytes).compactMap { rows.firstIndex(of: $0) }.map { $0 / 2 }
        #expect(numbers.count == 20 && Set(numbers).count == 10)
      }
    }
  }

  @Test("a JSON array's rows become lines")
  func array() throws {
    let split = try split("[{\"a\":\n 1}, {\"a\": \"\\n\"}]", ["all=2"])
    #expect(split.contents.map { lines($0.bytes) } == [["{\"a\":  1}", "{\"a\": \"\\n\"}"]])
  }

  @Test("what cannot be split says why")
  func refuses() throws {
    #expect(throws: DataSplitError.self) { try split("{\"a\":1}", ["a=1", "b=1"]) }
    #expect(throws: DataSplitError.self) { try split("{\"a\":1}\n{\"a\":1}", ["a=1", "b=1"]) }
    #expect(throws: DataSplitError.self) { try split("{\"a\":1}\n{\"a\":2}", ["a=\(Int.max)", "b=\(Int.max)"]) }
    #expect(throws: TrainingDataError.self) { try split("{\"a\":1}\n[1]", ["a=1"]) }
    #expect(throws: TrainingDataError.self) { try split("{\"a\":1,}", ["a=1"]) }
  }

  @Test(arguments: ["train", "train=", "train=0", "=3", "../x=3", ".hidden=1", "a b=1", "a=b=1", "ü=1", "a=-1"])
  func partNames(text: String) { #expect(DataSplit.Part(text) == nil) }

  @Test(arguments: [("1", [1]), ("1,5-7", [1, 5, 6, 7]), ("3-3", [3])])
  func selections(text: String, rows: [Int]) throws {
    let selection = try #require(RowSelection(text))
    #expect((1...10).filter(selection.contains) == rows)
  }

  @Test(arguments: ["", "0", "a", "1,", "3-1", "1-", "-1", "1-2-3", "+1", "99999999999999999999"])
  func noSelections(text: String) { #expect(RowSelection(text) == nil) }
}
