import ArgumentParser
import Decoder

/// How the next token is drawn.
struct SamplingArguments: ParsableArguments {
  @Option(help: "0 takes the most likely token; higher draws more freely.")
  var temperature = 0.0

  @Option(help: "Draw from the k most likely tokens only.")
  var topK: Int?

  @Option(help: "Draw from the most likely tokens that together reach this probability.")
  var topP: Double?

  @Option(help: "Seed of the draws.")
  var seed: UInt64 = 0

  func options(maximumTokens: Int, stopTokens: Set<Int> = []) throws -> SamplingOptions {
    try SamplingOptions(
      temperature: temperature, topK: topK, topP: topP, seed: seed, maximumTokens: maximumTokens,
      stopTokens: stopTokens)
  }
}
