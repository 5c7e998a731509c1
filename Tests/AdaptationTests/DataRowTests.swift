import Adaptation
import Foundation
import Testing

@Suite struct DataRows {
  @Test func promptNeverContributes() throws {
    let data = try load(#"{"prompt": "ab", "completion": "cd"}"#)
    #expect(data.format == .promptCompletion)
    #expect(data.rows == [TokenizedRow(number: 1, tokens: [97, 98, 99, 100, 0], labelRanges: [2..<5])])
    #expect(data.summary.tokens == 5 && data.summary.labels == 3 && data.summary.longest == 5)
  }

  @Test func firstTokenIsNeverALabel() throws {
    let row = try #require(load(#"{"prompt": "", "completion": "xy"}"#).rows.first)
    #expect(row.labelRanges == [1..<3])
    #expect(row.labelCount == 2)
  }

  @Test func textLearnsAllButTheFirst() throws {
    let row = try #require(load(#"{"text": "abc"}"#).rows.first)
    #expect(row.tokens == [97, 98, 99, 0])
    #expect(row.labelRanges == [1..<4])
  }

  @Test func instructionUsesAlpacasWording() throws {
    let plain = InstructionPrompt.text(instruction: "Add.", input: "")
    #expect(
      plain
        == "Below is an instruction that describes a task. Write a response that appropriately completes the request."
        + "\n\n### Instruction:\nAdd.\n\n### Response:\n")
    let withInput = InstructionPrompt.text(instruction: "Add.", input: "1 2")
    #expect(
      withInput
        == "Below is an instruction that describes a task, paired with an input that provides further context. "
        + "Write a response that appropriately completes the request."
        + "\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n")
    let rows = try load(
      """
      {"instruction": "Add.", "input": "1 2", "output": "3", "answer": "3"}
      {"instruction": "Add.", "output": "3"}
      {"instruction": "Add.", "input": null, "output": "3"}
      """
    ).rows
    #expect(
      rows.map { $0.tokens.count - 2 } == [CharacterEncoder().encode(withInput).count]
        + Array(
          repeating: CharacterEncoder().encode(plain).count, count: 2))
    #expect(rows.map(labelTexts) == [["3$"], ["3$"], ["3$"]])
  }

  @Test func assistantTurnsAreLearnedWithTheirEnd() throws {
    let row = try #require(
      load(
        """
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}, \
        {"role": "assistant", "content": "one"}, {"role": "user", "content": "v"}, \
        {"role": "assistant", "content": "two"}]}
        """
      ).rows.first)
    #expect(labelTexts(row) == ["one<|im_end|>", "two<|im_end|>"])
    #expect(row.tokens.last == 10, "the frame's last line break stays, unlabelled")
    #expect(row.tokens.filter { $0 == 1 }.count == 5)
  }

  /// The template's line break and the content's own would merge into one token: the boundary is kept.
  @Test func boundaryInsideATokenIsCut() throws {
    let row = try #require(
      load(
        #"{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "\nA"}]}"#
      ).rows.first)
    #expect(labelTexts(row) == ["\nA<|im_end|>"])
    #expect(!row.tokens.contains(3))
  }

  @Test func turnsWithoutAnEndTokenEndInTheirWhiteSpace() throws {
    struct Plain: ChatRendering {
      func render(_ messages: [RowMessage], addGenerationPrompt: Bool) -> String {
        messages.map { "\($0.role): \($0.content)\n" }.joined() + (addGenerationPrompt ? "assistant:" : "")
      }
    }
    let row = try #require(
      load(
        #"{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "A"}]}"#, chat: Plain()
      ).rows.first)
    #expect(labelTexts(row) == [" A\n"])
  }

  /// As with a normalizer that rewrites what stands at a text's end: the second turn would begin before the first one.
  @Test func longerTextsMayHaveFewerTokens() throws {
    struct Shrinking: TextEncoder {
      var endOfSequenceID: Int? { 0 }
      func encode(_ text: String) -> [Int] {
        let ids = CharacterEncoder().encode(text)
        return text.hasSuffix("assistant\n") && text.contains("A") ? Array(ids.prefix(1)) : ids
      }
    }
    let tokenizer = RowTokenizer(encoder: Shrinking(), chat: ChatML())
    let turns = ["A", "B"].map { RowMessage(role: "assistant", content: $0) }
    let row = try tokenizer.tokenize(.conversation(turns), at: RowLocation(path: "rows.jsonl", row: 1, line: 1))
    #expect(labelTexts(row) == ["A<|im_end|>", "B<|im_end|>"])
  }

  /// What ends a turn is written only where nobody is asked to answer: the next turn's prompt ends before it.
  @Test func turnsThatEndOnlyWhenNobodyIsAsked() throws {
    struct Ending: ChatRendering {
      func render(_ messages: [RowMessage], addGenerationPrompt: Bool) -> String {
        messages.map(\.content).joined(separator: "|") + (addGenerationPrompt ? "" : "|")
      }
    }
    let row = try #require(
      load(
        """
        {"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "A"}, \
        {"role": "assistant", "content": "B"}]}
        """, chat: Ending()
      ).rows.first)
    #expect(labelTexts(row) == ["|A|", "B|"])
  }

  @Test func layoutsGiveTheSameRows() throws {
    let lines = #"{"prompt":"a","completion":"é"}"# + "\n" + #"{"prompt":"[,]}\"\\","completion":"d"}"#
    let rows = try load(lines).rows
    #expect(rows.count == 2)
    let pieces = lines.split(separator: "\n").map(String.init)
    let bom: [UInt8] = [0xEF, 0xBB, 0xBF]
    #expect(try load(lines + "\n").rows == rows)
    #expect(try load(pieces.joined(separator: "\r\n") + "\r\n").rows == rows)
    #expect(try load("\n \r\n" + pieces.joined(separator: "\n\n\t\n") + "\n\n").rows == rows)
    #expect(try load(bom + Array(lines.utf8)).rows == rows)
    #expect(try load("[" + pieces.joined(separator: ",\n") + "]\n").rows == rows)
    #expect(try load(bom + Array(("\n [\n" + pieces.joined(separator: " , ") + "\n] \n").utf8)).rows == rows)
  }

  /// Rows that span several read buffers.
  @Test func largeFiles() throws {
    let long = String(repeating: "x", count: 700_000)
    let text = (0..<4).map { #"{"prompt":"\#(long)","completion":"\#($0)"}"# }.joined(separator: "\n")
    let data = try load(text, maximumLength: 800_000)
    #expect(data.rows.map { $0.tokens.count } == Array(repeating: 700_002, count: 4))
    #expect(data.rows.map { $0.tokens[700_000] } == [48, 49, 50, 51])
  }

  @Test(arguments: [
    (OverlengthPolicy.drop, [4, 5], 1, 0, 9),
    (.truncate, [4, 5, 5], 0, 1, 14),
  ])
  func overlength(policy: OverlengthPolicy, lengths: [Int], dropped: Int, truncated: Int, tokens: Int) throws {
    let text = """
      {"prompt": "ab", "completion": "c"}
      {"prompt": "ab", "completion": "cd"}
      {"prompt": "ab", "completion": "cde"}
      """
    let data = try load(text, maximumLength: 5, overlength: policy)
    #expect(data.rows.map { $0.tokens.count } == lengths)
    #expect(data.summary.rows == 3 && data.summary.kept == lengths.count && data.summary.longest == 6)
    #expect(data.summary.dropped == dropped && data.summary.truncated == truncated && data.summary.tokens == tokens)
    if policy == .truncate { #expect(labelTexts(data.rows[2]) == ["cde"]) }
  }

  @Test func truncationDropsRowsWithoutLabels() throws {
    let text = """
      {"prompt": "abcd", "completion": "e"}
      {"prompt": "abc", "completion": "e"}
      """
    let data = try load(text, maximumLength: 4, overlength: .truncate)
    #expect(data.rows == [TokenizedRow(number: 2, tokens: [97, 98, 99, 101], labelRanges: [3..<4])])
    #expect(data.summary.dropped == 1 && data.summary.truncated == 1 && data.summary.labels == 1)
  }

  @Test(
    arguments: [
      (["prompt", "completion", "text"], RowFormat.promptCompletion), (["messages", "prompt"], .messages),
      (["instruction", "input", "output"], .instruction), (["text", "output"], .text),
      (["completion"], .promptCompletion),
      (["question", "answer"], nil), ([], nil),
    ] as [([String], RowFormat?)])
  func detection(fields: [String], expected: RowFormat?) {
    #expect(RowFormat.detect(fields: Set(fields)) == expected)
  }

  @Test func namedFormatWins() throws {
    let text = #"{"prompt": "a", "completion": "b", "text": "xyz"}"#
    #expect(try load(text, format: .text).rows[0].tokens == [120, 121, 122, 0])
    #expect(try RowFormat(named: "prompt-completion") == .promptCompletion)
    #expect(throws: TrainingDataError.unknownFormatName("csv")) { try RowFormat(named: "csv") }
  }
}
