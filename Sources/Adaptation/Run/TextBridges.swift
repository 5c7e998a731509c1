public import Tokenizers

extension Tokenizer: TextEncoder {
  public func encode(_ text: String) -> [Int] { encode(text, addSpecialTokens: false) }
  public var endOfSequenceID: Int? { eosTokenID }
}

/// A model's chat template with the tokenizer's special tokens filled in.
public struct ChatRenderer: ChatRendering {
  private let template: ChatTemplate
  private let variables: [String: String]

  public init(_ template: ChatTemplate, tokenizer: Tokenizer) {
    self.template = template
    var variables: [String: String] = [:]
    if let id = tokenizer.bosTokenID { variables["bos_token"] = tokenizer.token(id) }
    if let id = tokenizer.eosTokenID { variables["eos_token"] = tokenizer.token(id) }
    if let id = tokenizer.padTokenID { variables["pad_token"] = tokenizer.token(id) }
    if let id = tokenizer.unknownTokenID { variables["unk_token"] = tokenizer.token(id) }
    self.variables = variables
  }

  public func render(_ messages: [RowMessage], addGenerationPrompt: Bool) throws -> String {
    try template.render(
      messages.map { ChatMessage(role: $0.role, content: $0.content) }, addGenerationPrompt: addGenerationPrompt,
      variables: variables)
  }
}

extension LoadedModel {
  /// Renders conversations; nil when the model has no chat template.
  public var chatRenderer: ChatRenderer? { chatTemplate.map { ChatRenderer($0, tokenizer: tokenizer) } }
}
