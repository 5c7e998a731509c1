internal import Decoder
internal import Tokenizers

/// Text in, text out, many prompts at a time.
public struct TextGeneration {
  private let loaded: LoadedModel
  private let batchSize: Int

  public init(_ loaded: LoadedModel, batchSize: Int = 16) {
    self.loaded = loaded
    self.batchSize = max(1, batchSize)
  }

  /// Greedy continuations in the prompts' order. Prompts of similar length run together.
  ///
  /// - Parameter progress: called with the number of prompts done.
  public func greedy(
    _ prompts: [String], maximumTokens: Int, progress: (Int) -> Void = { _ in }
  ) throws -> [String] {
    let options = try SamplingOptions(maximumTokens: maximumTokens, stopTokens: loaded.stopTokens)
    let encoded = prompts.map { loaded.tokenizer.encode($0, addSpecialTokens: false) }
    let order = encoded.indices.sorted { (encoded[$0].count, $0) < (encoded[$1].count, $1) }
    var texts = Array(repeating: "", count: prompts.count)
    let generator = Generator(loaded.model)
    for start in stride(from: 0, to: order.count, by: batchSize) {
      let chosen = order[start..<min(order.count, start + batchSize)]
      for (index, tokens) in zip(chosen, try generator.generate(chosen.map { encoded[$0] }, options: options)) {
        texts[index] = loaded.tokenizer.decode(tokens, skipSpecialTokens: true)
      }
      progress(min(order.count, start + batchSize))
    }
    return texts
  }
}

extension LoadedModel {
  /// A user's message in the model's chat template, ready for the answer.
  ///
  /// - Throws: ``MissingChatTemplate``; `ChatTemplateError` when the template refuses the messages.
  public func chatPrompt(_ message: String, system: String? = nil) throws -> String {
    guard let chatRenderer else { throw MissingChatTemplate(directory: directory) }
    let messages =
      (system.map { [RowMessage(role: "system", content: $0)] } ?? []) + [RowMessage(role: "user", content: message)]
    return try chatRenderer.render(messages, addGenerationPrompt: true)
  }
}

public struct MissingChatTemplate: Error, Equatable, Sendable, CustomStringConvertible {
  public let directory: String
  public var description: String { "\(directory) has no chat template: leave out --chat, or add chat_template.jinja" }
}
