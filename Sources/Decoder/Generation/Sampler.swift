internal import Foundation
internal import Primitives

/// How the next token is chosen.
public struct SamplingOptions: Equatable, Sendable {
  /// 0: always the most likely token.
  public var temperature: Double
  /// Only the k most likely tokens; nil: all.
  public var topK: Int?
  /// Only the fewest tokens whose probability reaches p (Holtzman et al. 2020); nil: all.
  public var topP: Double?
  public var seed: UInt64
  public var maximumTokens: Int
  /// Ids that end a continuation; they are not part of it.
  public var stopTokens: Set<Int>

  public static let defaultMaximumTokens = 128

  /// - Throws: ``DecoderError/invalidOption(name:value:expected:)``
  public init(
    temperature: Double = 0, topK: Int? = nil, topP: Double? = nil, seed: UInt64 = 0,
    maximumTokens: Int = SamplingOptions.defaultMaximumTokens, stopTokens: Set<Int> = []
  ) throws {
    func require(_ condition: Bool, _ name: String, _ value: Any, _ expected: String) throws {
      guard condition else { throw DecoderError.invalidOption(name: name, value: "\(value)", expected: expected) }
    }
    try require(temperature >= 0 && temperature.isFinite, "temperature", temperature, "at least 0")
    try require((topK ?? 1) >= 1, "top-k", topK ?? 0, "at least 1")
    try require((topP ?? 1) > 0 && (topP ?? 1) <= 1, "top-p", topP ?? 0, "above 0 and at most 1")
    try require(maximumTokens >= 1, "max-tokens", maximumTokens, "at least 1")
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.seed = seed
    self.maximumTokens = maximumTokens
    self.stopTokens = stopTokens
  }
}

/// Draws tokens for one sequence; its stream depends only on the seed and the sequence's number, so what else is in the
/// batch changes nothing.
struct Sampler {
  private let options: SamplingOptions
  private var stream: RandomStream

  init(_ options: SamplingOptions, sequence: Int) {
    self.options = options
    stream = RandomStream(state: options.seed &+ UInt64(truncatingIfNeeded: sequence) &* 0xD1B5_4A32_D192_ED03)
  }

  /// - Throws: ``DecoderError/notFinite(what:)`` when the logits are not numbers.
  mutating func next(_ logits: UnsafeBufferPointer<Float>) throws -> Int {
    let best = try Self.mostLikely(logits)
    guard options.temperature > 0 else { return best }
    let top = Double(logits[best])
    var candidates = logits.indices.map { (token: $0, weight: exp((Double(logits[$0]) - top) / options.temperature)) }
    if options.topK != nil || options.topP != nil {
      candidates.sort { ($0.weight, $1.token) > ($1.weight, $0.token) }
      if let topK = options.topK, topK < candidates.count { candidates.removeSubrange(topK...) }
      if let topP = options.topP { Self.keepNucleus(&candidates, topP) }
    }
    let total = candidates.reduce(0) { $0 + $1.weight }
    var remaining = stream.unit() * total
    for candidate in candidates {
      remaining -= candidate.weight
      if remaining < 0 { return candidate.token }
    }
    return candidates.last?.token ?? best
  }

  /// The first of the largest logits. NaN compares false with everything, so it is looked for on its own.
  private static func mostLikely(_ logits: UnsafeBufferPointer<Float>) throws -> Int {
    var best = 0
    var isSound = !logits.isEmpty
    for index in logits.indices {
      if logits[index].isNaN { isSound = false }
      if logits[index] > logits[best] { best = index }
    }
    guard isSound, logits[best].isFinite else { throw DecoderError.notFinite(what: "the model's output") }
    return best
  }

  private static func keepNucleus(_ candidates: inout [(token: Int, weight: Double)], _ p: Double) {
    let total = candidates.reduce(0) { $0 + $1.weight }
    var sum = 0.0
    for index in candidates.indices {
      sum += candidates[index].weight
      if sum >= p * total {
        candidates.removeSubrange((index + 1)...)
        return
      }
    }
  }
}
