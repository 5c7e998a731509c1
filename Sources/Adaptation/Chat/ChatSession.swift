public import Decoder
internal import Tokenizers

/// What a session tells while it answers.
public enum ChatEvent: Equatable, Sendable {
  /// Asked between the passes over a long message.
  case reading
  /// The next piece of the answer, possibly empty: characters come when they are complete.
  case text(String)
}

/// A finished answer.
public struct ChatAnswer: Equatable, Sendable {
  public let text: String
  /// Without the end token.
  public let tokens: [Int]
  public let ending: GenerationSession.Ending
  /// Tokens of the conversation before the answer, and those whose keys and values were there already.
  public let promptCount: Int
  public let reusedCount: Int
}

/// A conversation with a model, in its chat template, with keys and values kept between turns.
///
/// Answers are those that the whole conversation, given afresh, would get. Switching adapters in the store between turns is
/// noticed: keys and values are then computed again, the conversation stays. Not thread-safe.
public final class ChatSession {
  public let adapters: AdapterStore
  /// Turns so far, by `user` and `assistant`.
  public private(set) var messages: [RowMessage] = []
  /// Comes before all turns; nil: what the template says by itself.
  public var system: String?
  /// The n-th answer draws with the seed plus n, so that equal questions need not get equal answers.
  public var sampling: SamplingOptions

  private let loaded: LoadedModel
  private let renderer: ChatRenderer
  private let generation: GenerationSession
  /// The adapters that the kept keys and values come from.
  private var computedWith: [String] = []

  /// - Throws: ``ChatError/noTemplate(directory:)``
  public init(_ loaded: LoadedModel, adapters: AdapterStore, sampling: SamplingOptions) throws {
    guard let renderer = loaded.chatRenderer else { throw ChatError.noTemplate(directory: loaded.directory) }
    self.loaded = loaded
    self.renderer = renderer
    self.adapters = adapters
    self.sampling = sampling
    generation = GenerationSession(loaded.model)
  }

  /// Tokens that conversation and answer may have together.
  public var contextLength: Int { generation.contextLength }

  /// Forgets all turns; the system message stays.
  public func clear() {
    messages = []
    generation.reset()
  }

  /// Says something, and waits for the answer; both become part of the conversation. One that was stopped does too, as far
  /// as it went.
  ///
  /// - Parameter observe: told each piece of the answer; may stop it.
  /// - Throws: ``ChatError/contextFull(tokens:limit:)``, `ChatTemplateError`, ``DecoderError``, `TorchError`; the
  ///   conversation is then what it was.
  public func send(_ text: String, observe: (ChatEvent) -> Disposition = { _ in .proceed }) throws -> ChatAnswer {
    let turns = messages + [RowMessage(role: "user", content: text)]
    let prompt = try tokens(of: turns)
    if adapters.active != computedWith {
      generation.reset()
      computedWith = adapters.active
    }
    var options = sampling
    options.seed &+= UInt64(messages.count / 2)
    options.stopTokens = loaded.stopTokens
    var decoder = StreamingDecoder(loaded.tokenizer, skipSpecialTokens: true)
    var answer = ""
    func proceeds(_ piece: String) -> Bool {
      answer += piece
      return observe(.text(piece)) == .proceed
    }
    let continuation = try generation.generate(prompt, options: options) {
      proceeds(decoder.append($0))
    } proceeds: {
      observe(.reading) == .proceed
    }
    let rest = decoder.finish()
    if !rest.isEmpty { _ = proceeds(rest) }
    messages = turns + [RowMessage(role: "assistant", content: answer)]
    return ChatAnswer(
      text: answer, tokens: continuation.tokens, ending: continuation.ending, promptCount: prompt.count,
      reusedCount: continuation.reusedCount)
  }

  private func tokens(of turns: [RowMessage]) throws -> [Int] {
    let first = system.map { [RowMessage(role: "system", content: $0)] } ?? []
    let tokens = loaded.tokenizer.encode(try renderer.render(first + turns, addGenerationPrompt: true))
    guard tokens.count < contextLength else {
      throw ChatError.contextFull(tokens: tokens.count, limit: contextLength)
    }
    return tokens
  }
}

public enum ChatError: Error, Equatable, Sendable {
  case noTemplate(directory: String)
  case contextFull(tokens: Int, limit: Int)
}

extension ChatError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .noTemplate(let directory):
      "\(directory) has no chat template: add chat_template.jinja, or continue plain text with lota generate"
    case .contextFull(let tokens, let limit):
      """
      the context is full: with this message the conversation has \(tokens) tokens, and the model was made for \(limit); \
      clear it, or say less
      """
    }
  }
}
