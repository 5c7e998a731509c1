public import Tokenizers

/// What the data pipeline asks of a tokenizer.
public protocol TextEncoder: Sendable {
  /// The ids of `text`, special tokens spelled out in it recognised, nothing added around it.
  func encode(_ text: String) -> [Int]
  /// The ids of `text`, and how many of them stand before each of some places in it.
  ///
  /// - Parameters:
  ///   - places: UTF-8 offsets in `text`, ascending.
  ///   - budget: bytes of text that may be encoded a second time to find them.
  /// - Returns: nil when more would have to be.
  func encode(_ text: String, countingBefore places: [Int], budget: Int) -> CountedEncoding?
  var endOfSequenceID: Int? { get }
}

extension TextEncoder {
  public func encode(_ text: String, countingBefore places: [Int], budget: Int) -> CountedEncoding? {
    guard places.reduce(0, +) <= budget else { return nil }
    let ids = encode(text)
    let bytes = Array(text.utf8)
    let counts = places.map { place -> Int? in
      guard place <= bytes.count, let before = String(validating: bytes[..<place], as: UTF8.self).map(encode) else {
        return nil
      }
      return ids.starts(with: before) ? before.count : nil
    }
    return CountedEncoding(ids: ids, counts: counts)
  }
}

/// What the data pipeline asks of a chat template.
public protocol ChatRendering: Sendable {
  /// The conversation as text; with `addGenerationPrompt`, up to where the assistant's next answer begins.
  func render(_ messages: [RowMessage], addGenerationPrompt: Bool) throws -> String
}
