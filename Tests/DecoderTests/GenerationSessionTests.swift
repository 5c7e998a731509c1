import Checkpoints
import Decoder
import TestSupport
import Testing
import Torch

@Suite(.engine) struct GenerationSessionTests {
  private func model(window: Int? = nil, positions: Int = 2048, dtype: DType = .float32) throws -> LanguageModel {
    let tiny = try ModelConfiguration.tiny(window: window, biases: false)
    let configuration = try ModelConfiguration(
      family: tiny.family, vocabularySize: tiny.vocabularySize, hiddenSize: tiny.hiddenSize,
      intermediateSize: tiny.intermediateSize, layerCount: tiny.layerCount, headCount: tiny.headCount,
      keyValueHeadCount: tiny.keyValueHeadCount, headSize: tiny.headSize, rmsNormEpsilon: tiny.rmsNormEpsilon,
      maximumPositions: positions, slidingWindow: window, tiesEmbeddings: false)
    return try LanguageModel.random(configuration, dtype, seed: 5)
  }

  private static let turns = [[1, 2, 3, 4, 5], [7], [4, 4, 9, 0, 5, 10, 3], [2, 8]]

  /// Every turn's answer is that of the whole conversation given afresh.
  @Test(arguments: [nil, 4] as [Int?], [0.0, 1.2])
  func turnsAreThoseOfAFreshStart(_ window: Int?, _ temperature: Double) throws {
    let model = try model(window: window)
    let session = GenerationSession(model)
    let options = try SamplingOptions(temperature: temperature, seed: 3, maximumTokens: 30, stopTokens: [6])
    var conversation: [Int] = []
    for (number, turn) in Self.turns.enumerated() {
      let held = session.tokens
      conversation += turn
      var heard: [Int] = []
      let continuation = try session.generate(conversation, options: options) {
        heard.append($0)
        return true
      }
      #expect(try Generator(model).generate([conversation], options: options)[0] == continuation.tokens)
      #expect(heard == continuation.tokens)
      #expect(continuation.ending == (heard.count == 30 ? .maximumTokens : .stopToken))
      #expect(continuation.reusedCount == held.count && (number == 0) == held.isEmpty)
      conversation += continuation.tokens
      #expect(Array(conversation.prefix(session.tokens.count)) == session.tokens)
    }
  }

  @Test func logitsOfALongMessageAreThoseOfAPrefill() throws {
    let model = try model()
    var generator = SeededGenerator(seed: 2)
    let tokens = generator.values(700, scale: 1).map { Int((abs($0) * 1e6).truncatingRemainder(dividingBy: 11)) }
    let whole: [Double] = try model.logits(try model.pack([tokens])).values(as: Double.self).suffix(11)
    for cut in [1, 2, 350, 699] {
      let cache = try KeyValueCache(model: model, slots: 2, capacity: 4)
      _ = try model.prefill(try model.pack([Array(tokens[..<cut])]), slots: [1], cache: cache)
      let rest = try model.extend(Array(tokens[cut...]), slot: 1, cache: cache)
      expectClose(try rest.values(as: Double.self), Array(whole), absolute: 1e-5, "cut at \(cut)")
    }
  }

  /// Only the shared beginning is reused, whatever stood behind it.
  @Test func changedConversations() throws {
    let model = try model()
    let session = GenerationSession(model)
    let options = try SamplingOptions(maximumTokens: 12)
    let first = [1, 2, 3, 4, 5, 6, 7, 8]
    for (prompt, reused) in [
      (first, 0), (first, 7), ([1, 2, 3, 9, 9], 3), ([1, 2], 1), ([1, 2, 0], 2), ([5, 2], 0), ([5], 0),
    ] {
      let continuation = try session.generate(prompt, options: options)
      #expect(continuation.reusedCount == reused, "\(prompt)")
      #expect(try Generator(model).generate([prompt], options: options)[0] == continuation.tokens, "\(prompt)")
    }
    session.reset()
    #expect(session.tokens.isEmpty)
    #expect(try session.generate([5], options: options).reusedCount == 0)
  }

  /// Keys and values belong to weights.
  @Test func newWeightsAfterAReset() throws {
    let model = try model()
    let session = GenerationSession(model)
    let options = try SamplingOptions(maximumTokens: 20)
    _ = try session.generate([1, 2, 3], options: options)
    let weight = try #require(model.parameter(named: "model.layers.0.self_attn.v_proj.weight")).value
    try weight.add(weight, times: -3)
    session.reset()
    let fresh = try Generator(model).generate([[1, 2, 3, 4]], options: options)[0]
    #expect(try session.generate([1, 2, 3, 4], options: options).tokens == fresh)
  }

  @Test func interruptions() throws {
    let model = try model()
    let session = GenerationSession(model)
    let options = try SamplingOptions(maximumTokens: 20)
    let whole = try Generator(model).generate([[1, 2]], options: options)[0]
    var count = 0
    let stopped = try session.generate([1, 2], options: options) { _ in
      count += 1
      return count < 3
    }
    #expect(stopped.tokens == Array(whole.prefix(3)) && stopped.ending == .interrupted)
    #expect(session.tokens == [1, 2] + whole.prefix(2))
    // Before the first token, and in the middle of a long message.
    let long = [1, 2] + Array(repeating: [3, 4, 5, 6], count: 150).flatMap { $0 }
    var passes = 0
    let unread = try session.generate(
      long, options: options,
      proceeds: {
        passes += 1
        return passes < 3
      })
    #expect(unread.tokens.isEmpty && unread.ending == .interrupted && session.tokens.count == 2 + 2 * 256)
    #expect(
      try session.generate(long, options: options).tokens == Generator(model).generate([long], options: options)[0])
  }

  @Test func fullContext() throws {
    let model = try model(positions: 16)
    let session = GenerationSession(model)
    let options = try SamplingOptions(maximumTokens: 100)
    let continuation = try session.generate([1, 2, 3], options: options)
    #expect(continuation.ending == .contextFull && continuation.tokens.count == 14 && session.tokens.count == 16)
    let conversation = [1, 2, 3] + continuation.tokens
    #expect(throws: DecoderError.contextFull(tokens: 17, limit: 16)) {
      _ = try session.generate(conversation, options: options)
    }
    #expect(try session.generate([1, 2, 3, 4], options: options).reusedCount == 3)
  }

  @Test func badInput() throws {
    let model = try model()
    let session = GenerationSession(model)
    let options = try SamplingOptions(maximumTokens: 5)
    #expect(throws: DecoderError.emptySequence(index: 0)) { _ = try session.generate([], options: options) }
    _ = try session.generate([1, 2], options: options)
    for token in [11, -1] {
      #expect(throws: DecoderError.tokenOutsideVocabulary(token: token, vocabularySize: 11)) {
        _ = try session.generate([1, 2, token], options: options)
      }
      #expect(session.tokens.isEmpty)
      #expect(throws: DecoderError.self) { _ = try session.generate([token], options: options) }
    }
    #expect(try session.generate([1, 2], options: options).tokens.count == 5)
  }

  @Test(arguments: [DType.bfloat16, .float64]) func otherTypes(_ dtype: DType) throws {
    let model = try model(dtype: dtype)
    let session = GenerationSession(model)
    let options = try SamplingOptions(maximumTokens: 10)
    let first = try session.generate([1, 2, 3], options: options)
    let second = try session.generate([1, 2, 3] + first.tokens + [4, 5], options: options)
    #expect(second.reusedCount == 12 && second.tokens.count == 10)
    guard dtype == .float64 else { return }
    let fresh = try Generator(model).generate([[1, 2, 3] + first.tokens + [4, 5]], options: options)
    #expect(fresh[0] == second.tokens)
  }
}
