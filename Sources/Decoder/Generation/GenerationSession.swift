internal import Checkpoints
internal import Torch

/// Continues one growing sequence again and again, a conversation for instance, and keeps its keys and values in between:
/// of each prompt only what follows the longest prefix it shares with the last one is run through the model.
///
/// The continuations are those of ``Generator`` for the whole prompt. Keys and values depend on the weights: whoever
/// changes them calls ``reset()``. Not thread-safe.
public final class GenerationSession {
  /// Why a continuation ended.
  public enum Ending: Equatable, Sendable {
    case stopToken, maximumTokens
    /// The observer wanted no more.
    case interrupted
    /// No position is left.
    case contextFull
  }

  public struct Continuation: Equatable, Sendable {
    /// Without prompt and stop token.
    public let tokens: [Int]
    public let ending: Ending
    /// Tokens of the prompt whose keys and values were there already.
    public let reusedCount: Int
  }

  /// Tokens run through the model in one pass once the cache holds some: bounds the buffers, and the wait of an interruption.
  private static let chunk = 256
  private static let initialCapacity = 512

  private let model: LanguageModel
  private var cache: KeyValueCache?
  /// Tokens whose keys and values the cache holds.
  public private(set) var tokens: [Int] = []

  public init(_ model: LanguageModel) { self.model = model }

  /// Positions that the model was made for; prompt and continuation have to fit.
  public var contextLength: Int { model.configuration.maximumPositions }

  /// Forgets all keys and values, and gives their memory back.
  public func reset() {
    cache = nil
    tokens = []
  }

  /// - Parameters:
  ///   - prompt: Token ids of the whole sequence so far, at least one.
  ///   - onToken: Called with each new token as it is drawn; false ends the continuation after it.
  ///   - proceeds: Asked between the passes over a long prompt; false ends the continuation before it has begun.
  /// - Throws: ``DecoderError/contextFull(tokens:limit:)``; ``DecoderError`` for an empty prompt or ids outside the
  ///   vocabulary. The session can be used afterwards, without what it held.
  public func generate(
    _ prompt: [Int], options: SamplingOptions, onToken: (Int) -> Bool = { _ in true }, proceeds: () -> Bool = { true }
  ) throws -> Continuation {
    guard prompt.count < contextLength else {
      throw DecoderError.contextFull(tokens: prompt.count, limit: contextLength)
    }
    do {
      return try proceed(with: prompt, options, proceeds, onToken)
    } catch {
      reset()
      throw error
    }
  }

  private func proceed(
    with prompt: [Int], _ options: SamplingOptions, _ proceeds: () -> Bool, _ onToken: (Int) -> Bool
  ) throws -> Continuation {
    let cache = try self.cache ?? KeyValueCache(model: model, slots: 1, capacity: Self.initialCapacity)
    self.cache = cache
    // The last token is run in any case: its logits are what comes next.
    let reused = zip(tokens, prompt.dropLast()).prefix { $0 == $1 }.count
    cache.setLength(reused, slot: 0)
    tokens.removeSubrange(reused...)
    guard var logits = try run(prompt[reused...], cache, proceeds) else {
      return Continuation(tokens: [], ending: .interrupted, reusedCount: reused)
    }
    var sampler = Sampler(options, sequence: 0)
    var drawn: [Int] = []
    while true {
      let token = try logits.withRows { try sampler.next($0[0]) }
      func ended(_ ending: Ending) -> Continuation {
        Continuation(tokens: drawn, ending: ending, reusedCount: reused)
      }
      if options.stopTokens.contains(token) { return ended(.stopToken) }
      drawn.append(token)
      guard onToken(token) else { return ended(.interrupted) }
      if drawn.count >= options.maximumTokens { return ended(.maximumTokens) }
      if tokens.count >= contextLength { return ended(.contextFull) }
      logits = try model.decode([token], slots: [0], cache: cache)
      tokens.append(token)
    }
  }

  /// Logits after the last of `new`; nil when it was interrupted.
  private func run(_ new: ArraySlice<Int>, _ cache: KeyValueCache, _ proceeds: () -> Bool) throws -> Tensor? {
    if tokens.isEmpty {
      let packed = try PackedSequences(
        [Array(new)], vocabularySize: model.configuration.vocabularySize, device: model.device)
      let logits = try model.prefill(packed, slots: [0], cache: cache)
      tokens = Array(new)
      return logits
    }
    var logits: Tensor?
    var rest = new
    while !rest.isEmpty {
      guard proceeds() else { return nil }
      let part = rest.prefix(Self.chunk)
      logits = try model.extend(Array(part), slot: 0, cache: cache)
      tokens += part
      rest = rest.dropFirst(part.count)
    }
    return logits
  }
}
