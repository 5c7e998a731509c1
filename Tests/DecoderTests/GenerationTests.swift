import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Torch

@Suite(.engine) struct GenerationTests {
  static let prompts = [[1, 2, 3], [7], [4, 4, 9, 0, 5], [10, 3], [2, 8, 6]]

  private func model(vocabulary: Int = 11, window: Int? = nil) throws -> LanguageModel {
    try LanguageModel.random(try .tiny(window: window, biases: false, vocabulary: vocabulary), .float32, seed: 5)
  }

  @Test func seededSamplingIsReproducible() throws {
    let generator = Generator(try model())
    func draw(_ seed: UInt64) throws -> [[Int]] {
      try generator.generate(
        Self.prompts, options: try SamplingOptions(temperature: 1.5, seed: seed, maximumTokens: 40))
    }
    let first = try draw(3)
    #expect(try draw(3) == first)
    #expect(try draw(4) != first)
    #expect(first.allSatisfy { $0.count == 40 })
  }

  /// A sequence's stream depends on the seed and its number only.
  @Test(arguments: [0.0, 1.2]) func neighboursChangeNothing(_ temperature: Double) throws {
    let generator = Generator(try model())
    let options = try SamplingOptions(temperature: temperature, seed: 9, maximumTokens: 30)
    let together = try generator.generate(Self.prompts, options: options)
    #expect(try generator.generate([Self.prompts[0]], options: options)[0] == together[0])
    #expect(try generator.generate(Array(Self.prompts[..<3]), options: options) == Array(together[..<3]))
    // A neighbour that ends early leaves the batch, and the rest goes on.
    let stopped = try generator.generate(Self.prompts, options: options) { prompt, _ in prompt != 2 }
    #expect(stopped[2] == [together[2][0]])
    for index in [0, 1, 3, 4] { #expect(stopped[index] == together[index]) }
  }

  @Test func batchesOfOneAndFiveAgree() throws {
    let generator = Generator(try model(window: 4))
    let options = try SamplingOptions(maximumTokens: 50)
    let together = try generator.generate(Self.prompts, options: options)
    #expect(try Self.prompts.map { try generator.generate([$0], options: options)[0] } == together)
  }

  /// Waiting prompts take the places of finished ones; lengths, stops and places in the batch change nothing.
  @Test(arguments: [0.0, 1.1]) func batchSizeChangesNothing(_ temperature: Double) throws {
    let generator = Generator(try model())
    let prompts = (0..<37).map { number in (0..<(1 + number % 5)).map { (number * 7 + $0 * 3) % 11 } }
    let options = try SamplingOptions(temperature: temperature, seed: 4, maximumTokens: 40, stopTokens: [6])
    var finished: [Int: [Int]] = [:]
    let alone = try generator.generate(prompts, options: options, batchSize: 1, onFinish: { finished[$0] = $1 })
    #expect(prompts.indices.allSatisfy { finished[$0] == alone[$0] })
    #expect(Set(alone.map(\.count)).count > 3, "the test wants rows that end at different times")
    for size in [2, 5, 16, 64] {
      #expect(try generator.generate(prompts, options: options, batchSize: size) == alone, "batch \(size)")
    }
  }

  @Test func whatTheObserverThrowsEndsTheRun() throws {
    struct Full: Error {}
    #expect(throws: Full.self) {
      try Generator(try model()).generate(
        [[1], [2]], options: try SamplingOptions(maximumTokens: 2)
      ) { _, _ in
        true
      } onFinish: { _, _ in
        throw Full()
      }
    }
  }

  @Test func narrowSamplingIsGreedy() throws {
    let generator = Generator(try model())
    let greedy = try generator.generate(Self.prompts, options: try SamplingOptions(maximumTokens: 30))
    let narrow = [
      try SamplingOptions(temperature: 2, topK: 1, seed: 1, maximumTokens: 30),
      try SamplingOptions(temperature: 2, topP: 1e-9, seed: 2, maximumTokens: 30),
      try SamplingOptions(temperature: 1e-4, seed: 3, maximumTokens: 30),
    ]
    for options in narrow { #expect(try generator.generate(Self.prompts, options: options) == greedy) }
  }

  /// 4,000 draws of the first token against the exact probabilities, by Pearson's chi-square.
  @Test(
    arguments: [
      (1.0, nil, nil), (0.6, nil, nil), (2.5, nil, nil), (1.0, 3, nil), (1.0, nil, 0.7), (1.3, 4, 0.8),
    ] as [(Double, Int?, Double?)])
  func drawsFollowTheSoftmax(_ temperature: Double, _ topK: Int?, _ topP: Double?) throws {
    let model = try model(vocabulary: 8)
    let draws = 4000
    let options = try SamplingOptions(temperature: temperature, topK: topK, topP: topP, seed: 77, maximumTokens: 1)
    let drawn = try Generator(model).generate(Array(repeating: [1, 5], count: draws), options: options)
    let logits: [Double] = Array(try model.logits(try model.pack([[1, 5]])).values(as: Double.self).suffix(8))
    let expected = probabilities(logits, temperature, topK, topP)
    var counts = Array(repeating: 0, count: 8)
    for ids in drawn { counts[ids[0]] += 1 }
    var statistic = 0.0
    for (count, probability) in zip(counts, expected) {
      guard probability > 0 else {
        #expect(count == 0)
        continue
      }
      let mean = probability * Double(draws)
      statistic += (Double(count) - mean) * (Double(count) - mean) / mean
    }
    #expect(expected.filter { $0 > 0 }.count > 1)
    #expect(statistic < 24.3, "seven degrees of freedom exceed 24.3 once in a thousand seeds")
  }

  private func probabilities(_ logits: [Double], _ temperature: Double, _ topK: Int?, _ topP: Double?) -> [Double] {
    let weights = logits.map { exp($0 / temperature) }
    var order = logits.indices.sorted { weights[$0] > weights[$1] }
    if let topK { order = Array(order.prefix(topK)) }
    if let topP {
      let total = order.reduce(0) { $0 + weights[$1] }
      var sum = 0.0
      let needed = order.firstIndex {
        sum += weights[$0]
        return sum >= topP * total
      }
      order = Array(order[...(needed ?? order.count - 1)])
    }
    let total = order.reduce(0) { $0 + weights[$1] }
    return logits.indices.map { order.contains($0) ? weights[$0] / total : 0 }
  }

  @Test func stopTokensEndAndAreLeftOut() throws {
    let generator = Generator(try model())
    let free = try generator.generate(Self.prompts, options: try SamplingOptions(maximumTokens: 20))
    let stop = try #require(free[0].dropFirst(3).first)
    let stopped = try generator.generate(
      Self.prompts, options: try SamplingOptions(maximumTokens: 20, stopTokens: [stop]))
    for (whole, part) in zip(free, stopped) { #expect(part == Array(whole.prefix { $0 != stop })) }
    let all = try SamplingOptions(maximumTokens: 20, stopTokens: Set(0..<11))
    #expect(try generator.generate(Self.prompts, options: all) == Array(repeating: [], count: 5))
  }

  @Test(arguments: [1, 2, 300]) func maximumTokensIsKept(_ limit: Int) throws {
    // 300 exceeds what the cache holds at first.
    let drawn = try Generator(try model(window: 3)).generate(
      [[1], [2, 3]], options: try SamplingOptions(maximumTokens: limit))
    #expect(drawn.map(\.count) == [limit, limit])
  }

  @Test func tokensAreReportedAsTheyCome() throws {
    let generator = Generator(try model())
    var heard: [[Int]] = [[], []]
    let drawn = try generator.generate([[1], [2]], options: try SamplingOptions(maximumTokens: 6)) { prompt, token in
      heard[prompt].append(token)
      return heard[prompt].count < 4
    }
    #expect(drawn == heard && heard.map(\.count) == [4, 4])
    #expect(try generator.generate([], options: try SamplingOptions()) == [])
  }

  @Test func badInputIsRefused() throws {
    let generator = Generator(try model())
    let options = try SamplingOptions(maximumTokens: 2)
    #expect(throws: DecoderError.emptySequence(index: 1)) { _ = try generator.generate([[1], []], options: options) }
    #expect(throws: DecoderError.self) { _ = try generator.generate([[11]], options: options) }
    #expect(throws: DecoderError.self) { _ = try SamplingOptions(temperature: -1) }
    #expect(throws: DecoderError.self) { _ = try SamplingOptions(temperature: .nan) }
    #expect(throws: DecoderError.self) { _ = try SamplingOptions(topK: 0) }
    #expect(throws: DecoderError.self) { _ = try SamplingOptions(topP: 0) }
    #expect(throws: DecoderError.self) { _ = try SamplingOptions(topP: 1.1) }
    #expect(throws: DecoderError.self) { _ = try SamplingOptions(maximumTokens: 0) }
  }

  /// Wherever the NaN stands among the logits.
  @Test(arguments: [0, 4, 10]) func damagedWeightsAreNamed(_ row: Int) throws {
    let model = try model()
    try model.parameter(named: "lm_head.weight")?.value.rows(row..<(row + 1)).fill(.nan)
    for temperature in [0.0, 1.0] {
      #expect(throws: DecoderError.notFinite(what: "the model's output")) {
        _ = try Generator(model).generate(
          [[1]], options: try SamplingOptions(temperature: temperature, maximumTokens: 1))
      }
    }
  }
}
