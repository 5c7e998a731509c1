internal import Checkpoints
public import Tokenizers

/// What a model directory has for turning rows into tokens: no weights are read.
public struct ModelText: Sendable {
  public let tokenizer: Tokenizer
  /// nil without a chat template.
  public let chat: ChatRenderer?
  public let markers: RowMarkers

  /// `config.json` may be absent: then the tokenizer alone says what ends a text.
  ///
  /// - Throws: `TokenizerError`, `ChatTemplateError`, ``CheckpointError``.
  public init(directory: String) throws {
    let tokenizer = try Tokenizer(directory: directory)
    self.tokenizer = tokenizer
    chat = try ChatTemplate.load(directory: directory).map { ChatRenderer($0, tokenizer: tokenizer) }
    let hasConfiguration = FileSystem.exists(FileSystem.join(directory, "config.json"))
    let stops = hasConfiguration ? try ModelConfiguration(directory: directory).eosTokenIDs : []
    markers = RowMarkers(
      beginning: tokenizer.bosTokenID, end: tokenizer.eosTokenID, stops: Set(stops),
      special: Set((0..<tokenizer.vocabularySize).filter(tokenizer.isSpecialToken)))
  }
}
