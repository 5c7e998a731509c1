import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Torch

@Suite(.engine) struct ContinuationScorerTests {
  private static let prompt = [1, 2, 3]
  private static let continuations = [[4, 5, 6, 7], [4, 5], [4, 5, 9], [4, 5, 6, 1, 8], [4, 5, 6]]

  /// Each label of the reference's batch, after all that stands before it.
  @Test(arguments: Goldens.models) func lossesOfTheReference(_ name: String) throws {
    let reference = try GoldenModel(name)
    let scorer = ContinuationScorer(try reference.load())
    let losses = try reference.goldens.values("losses")
    for ((row, target), loss) in zip(zip(reference.labelRows, reference.labelTargets), losses) {
      let start = try #require(reference.offsets.last { $0 <= row })
      let prompt = reference.tokens[Int(start)...Int(row)].map(Int.init)
      let score = try scorer.scores(prompt: prompt, continuations: [[Int(target)]])[0]
      expectClose([-score.logprob], [loss], absolute: 5e-5, "\(name), row \(row)")
    }
  }

  /// Whatever the continuations share, and in whatever order, each has the log-probability that the model's logits give it.
  @Test(arguments: [nil, 2] as [Int?]) func sharedBeginnings(_ window: Int?) throws {
    let model = try LanguageModel.random(try .tiny(window: window, biases: false), .float32, seed: 5)
    func expected(_ prompt: [Int], _ continuation: [Int]) throws -> Double {
      let logits: [Double] = try model.logits(try model.pack([prompt + continuation])).values()
      return continuation.enumerated().reduce(0) { sum, element in
        let row = logits[((prompt.count - 1 + element.offset) * 11)...].prefix(11)
        let top = row.max() ?? 0
        return sum + row[row.startIndex + element.element] - top - log(row.reduce(0) { $0 + exp($1 - top) })
      }
    }
    let scorer = ContinuationScorer(model)
    let sets = [
      Self.continuations, Self.continuations.reversed(), [[4]], [[4], [5]], [[4, 1], [5, 1]], [[4, 4], [4, 4]],
      [[4, 4, 4], [4], [4, 4]],
    ]
    for set in sets {
      let scores = try scorer.scores(prompt: Self.prompt, continuations: set)
      #expect(scores.map(\.count) == set.map(\.count))
      expectClose(
        scores.map(\.logprob), try set.map { try expected(Self.prompt, $0) }, absolute: 1e-5, "\(set)")
    }
    // Without a prompt the first token is given.
    let bare = try scorer.scores(prompt: [], continuations: [[1, 2, 3], [4]])
    #expect(bare.map(\.count) == [2, 0] && bare[1].logprob == 0)
    expectClose([bare[0].logprob], [try expected([1], [2, 3])], absolute: 1e-5)
    #expect(try scorer.scores(prompt: [1], continuations: []) == [])
  }

  @Test func badInputIsRefused() throws {
    let scorer = ContinuationScorer(try LanguageModel.random(try .tiny(biases: false), .float32, seed: 5))
    #expect(throws: DecoderError.emptySequence(index: 1)) { try scorer.scores(prompt: [1], continuations: [[1], []]) }
    #expect(throws: DecoderError.tokenOutsideVocabulary(token: 11, vocabularySize: 11)) {
      try scorer.scores(prompt: [1], continuations: [[11]])
    }
    #expect(throws: DecoderError.self) { try scorer.scores(prompt: [-1], continuations: [[1]]) }
  }
}
