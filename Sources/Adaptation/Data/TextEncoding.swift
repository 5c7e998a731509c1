/// What the data pipeline asks of a tokenizer.
public protocol TextEncoder: Sendable {
  /// The ids of `text`, special tokens spelled out in it recognised, nothing added around it.
  func encode(_ text: String) -> [Int]
  var endOfSequenceID: Int? { get }
}

/// What the data pipeline asks of a chat template.
public protocol ChatRendering: Sendable {
  /// The conversation as text; with `addGenerationPrompt`, up to where the assistant's next answer begins.
  func render(_ messages: [RowMessage], addGenerationPrompt: Bool) throws -> String
}
