import Foundation

/// Turns rows into token ids and labels.
///
/// - prompt and completion: `encode(prompt) + encode(completion) + [eos]`; labels are the completion and eos.
/// - text: `encode(text) + [eos]`; labels are all tokens but the first.
/// - conversation: the chat template's text; labels are each assistant turn's content and the end-of-turn token.
public struct RowTokenizer: Sendable {
  private let encoder: any TextEncoder
  private let chat: (any ChatRendering)?

  public init(encoder: any TextEncoder, chat: (any ChatRendering)? = nil) {
    self.encoder = encoder
    self.chat = chat
  }

  /// Throws: ``TrainingDataError``, naming the row.
  public func tokenize(_ row: TrainingRow, at location: RowLocation) throws -> TokenizedRow {
    let tokenized: TokenizedRow
    switch row {
    case .completion(let prompt, let completion):
      let before = encode(prompt)
      let tokens = try before + encode(completion) + [endOfSequence(location)]
      tokenized = TokenizedRow(number: location.row, tokens: tokens, labelRanges: [before.count..<tokens.count])
    case .text(let text):
      let tokens = try encode(text) + [endOfSequence(location)]
      tokenized = TokenizedRow(number: location.row, tokens: tokens, labelRanges: [0..<tokens.count])
    case .conversation(let messages):
      tokenized = try tokenize(messages, at: location)
    }
    guard tokenized.labelCount > 0 else {
      throw TrainingDataError.noLabels(location, reason: "no token is left to predict")
    }
    return tokenized
  }

  private func tokenize(_ messages: [RowMessage], at location: RowLocation) throws -> TokenizedRow {
    guard let chat else { throw TrainingDataError.noChatTemplate(location) }
    let turns = try ConversationText(messages, chat: chat, at: location)
    if let row = jointly(turns, location) { return row }
    return piecewise(turns, location)
  }

  /// The whole text encoded at once, when every label boundary falls between two of its tokens.
  private func jointly(_ turns: ConversationText, _ location: RowLocation) -> TokenizedRow? {
    let tokens = encode(String(turns.text))
    var ranges: [Range<Int>] = []
    for span in turns.learned {
      let before = encode(String(turns.text[..<span.lowerBound]))
      let through = encode(String(turns.text[..<span.upperBound]))
      guard tokens.starts(with: before), tokens.starts(with: through), before.count <= through.count else { return nil }
      ranges.append(before.count..<through.count)
    }
    return TokenizedRow(number: location.row, tokens: tokens, labelRanges: ranges)
  }

  /// The text cut at the label boundaries and encoded piece by piece, as generation meets it.
  private func piecewise(_ turns: ConversationText, _ location: RowLocation) -> TokenizedRow {
    var tokens: [Int32] = []
    var ranges: [Range<Int>] = []
    var end = turns.text.startIndex
    for span in turns.learned {
      tokens += encode(String(turns.text[end..<span.lowerBound]))
      let learned = encode(String(turns.text[span]))
      ranges.append(tokens.count..<tokens.count + learned.count)
      tokens += learned
      end = span.upperBound
    }
    tokens += encode(String(turns.text[end...]))
    return TokenizedRow(number: location.row, tokens: tokens, labelRanges: ranges)
  }

  private func encode(_ text: String) -> [Int32] {
    text.isEmpty ? [] : encoder.encode(text).map { Int32($0) }
  }

  private func endOfSequence(_ location: RowLocation) throws -> Int32 {
    guard let id = encoder.endOfSequenceID else { throw TrainingDataError.noEndOfSequence(path: location.path) }
    return Int32(id)
  }
}

/// A conversation rendered whole, with the stretches of its text that are learned.
///
/// A turn's stretch begins where the template, asked for a generation prompt after the messages before it, ends; and it
/// ends with what the template writes after the content, white space excepted: a line break behind an end-of-turn token
/// belongs to the frame. When the template writes nothing but white space there, that is what ends a turn, and it is
/// learned.
private struct ConversationText {
  let text: Substring
  private(set) var learned: [Range<Substring.Index>] = []

  init(_ messages: [RowMessage], chat: any ChatRendering, at location: RowLocation) throws {
    func render(_ count: Int, prompt: Bool) throws -> [UInt8] {
      do {
        return Array(try chat.render(Array(messages.prefix(count)), addGenerationPrompt: prompt).utf8)
      } catch {
        throw TrainingDataError.chatTemplateFailed(location, reason: error.localizedDescription)
      }
    }
    let whole = try render(messages.count, prompt: false)
    text = String(decoding: whole, as: UTF8.self)[...]
    let turns = messages.count(where: \.isLearned)
    guard whole.count <= Self.maximumWork / max(1, turns) else {
      throw TrainingDataError.wrongType(
        location, field: "messages",
        expected: "fewer or shorter (each of the assistant's \(turns) turns is found in the whole text): split the row",
        found: "\(whole.count) bytes of text")
    }
    for (index, message) in messages.enumerated() where message.isLearned {
      let before = try render(index, prompt: true)
      let through = index == messages.count - 1 ? whole : try render(index + 1, prompt: false)
      guard through.starts(with: before), whole.starts(with: through) else {
        throw TrainingDataError.chatTemplateNotIncremental(location, message: index)
      }
      let turn = through[before.count...]
      let length = Self.learnedLength(turn, content: message.content)
      let start = text.utf8.index(text.startIndex, offsetBy: before.count)
      learned.append(start..<text.utf8.index(start, offsetBy: length))
    }
  }

  /// Bytes of the text times turns that are learned: each of them is rendered and encoded with all that stands before.
  private static let maximumWork = 4 << 20

  private static func learnedLength(_ turn: ArraySlice<UInt8>, content: String) -> Int {
    let blank: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
    var trimmed = turn
    while let last = trimmed.last, blank(last) { trimmed.removeLast() }
    var inner = Array(content.utf8)
    while let last = inner.last, blank(last) { inner.removeLast() }
    while let first = inner.first, blank(first) { inner.removeFirst() }
    let endsWithContent = trimmed.drop(while: blank).elementsEqual(inner)
    return endsWithContent ? turn.count : trimmed.count
  }
}
