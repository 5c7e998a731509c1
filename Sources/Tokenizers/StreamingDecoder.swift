/// Decodes ids as they come. The texts it returns, joined, are what ``Tokenizer/decode(_:skipSpecialTokens:)`` gives
/// for all ids at once.
///
/// It returns complete characters only, and holds back what later ids may change: the end of a character, and with byte
/// fallback a run of byte tokens, which is text only if all of it is.
public struct StreamingDecoder: Sendable {
  private let tokenizer: Tokenizer
  private let skipsSpecialTokens: Bool
  private var chain: DecoderChain

  public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = false) {
    self.tokenizer = tokenizer
    skipsSpecialTokens = skipSpecialTokens
    chain = DecoderChain(tokenizer.decoders)
  }

  /// The text that `id` completes, often empty. An id outside the vocabulary gives nothing.
  public mutating func append(_ id: Int) -> String {
    guard let token = tokenizer.decodableToken(id, skipsSpecialTokens: skipsSpecialTokens) else { return "" }
    return String(decoding: chain.append([token]), as: UTF8.self)
  }

  /// What was held back, incomplete characters as U+FFFD. The decoder is then ready for another text.
  public mutating func finish() -> String {
    defer { chain = DecoderChain(tokenizer.decoders) }
    return String(decoding: chain.finish(), as: UTF8.self)
  }
}
