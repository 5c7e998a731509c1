import Tokenizers

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
    let conversation = try ConversationText(messages, chat: chat, at: location)
    let places = conversation.learned.flatMap { [$0.lowerBound, $0.upperBound] }
    guard
      let encoding = encoder.encode(conversation.text, countingBefore: places, budget: Self.maximumEncodedAgain)
    else {
      throw TrainingDataError.tooManyTurns(
        location, turns: conversation.learned.count, byteCount: conversation.text.utf8.count)
    }
    return jointly(encoding, location) ?? piecewise(conversation, location)
  }

  /// Bytes of a conversation's text. Only turns without an added token between them come near.
  private static let maximumEncodedAgain = 8 << 20

  /// The whole text encoded at once, when every label boundary falls between two of its tokens.
  private func jointly(_ encoding: CountedEncoding, _ location: RowLocation) -> TokenizedRow? {
    var ranges: [Range<Int>] = []
    for index in stride(from: 0, to: encoding.counts.count, by: 2) {
      // With normalizers that look at a text's end, a longer text may have fewer tokens.
      guard let start = encoding.counts[index], let end = encoding.counts[index + 1],
        (ranges.last?.upperBound ?? 0) <= start, start <= end
      else { return nil }
      ranges.append(start..<end)
    }
    return TokenizedRow(number: location.row, tokens: encoding.ids.map { Int32($0) }, labelRanges: ranges)
  }

  /// The text cut at the label boundaries and encoded piece by piece, as generation meets it.
  private func piecewise(_ conversation: ConversationText, _ location: RowLocation) -> TokenizedRow {
    let bytes = Array(conversation.text.utf8)
    func encode(_ range: Range<Int>) -> [Int32] { self.encode(String(decoding: bytes[range], as: UTF8.self)) }
    var tokens: [Int32] = []
    var ranges: [Range<Int>] = []
    var end = 0
    for span in conversation.learned {
      tokens += encode(end..<span.lowerBound)
      let learned = encode(span)
      ranges.append(tokens.count..<tokens.count + learned.count)
      tokens += learned
      end = span.upperBound
    }
    tokens += encode(end..<bytes.count)
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
