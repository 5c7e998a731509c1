internal import Checkpoints
internal import Foundation
internal import Torch

/// Log-probabilities of given continuations of a prompt.
///
/// The prompt, and what all continuations begin with, run through the model once; only the rests, all in one pass, see them
/// through the cache. Each prompt runs by itself, so that no score depends on what else is scored.
public struct ContinuationScorer {
  /// Sum of the log-probabilities (natural logarithm) of `count` tokens, added up in float64.
  public struct Score: Equatable, Sendable {
    public let logprob: Double
    public let count: Int

    public init(logprob: Double, count: Int) {
      self.logprob = logprob
      self.count = count
    }
  }

  private let model: LanguageModel

  public init(_ model: LanguageModel) { self.model = model }

  /// - Parameters:
  ///   - prompt: Token ids. Without any, each continuation's first token is taken as given and not counted, and nothing is
  ///     shared.
  ///   - continuations: Token ids, at least one each.
  /// - Throws: ``DecoderError`` for an empty continuation or ids outside the vocabulary.
  public func scores(prompt: [Int], continuations: [[Int]]) throws -> [Score] {
    if let index = continuations.firstIndex(where: \.isEmpty) { throw DecoderError.emptySequence(index: index) }
    guard !prompt.isEmpty else {
      return try continuations.map { tokens in
        guard let first = tokens.first, tokens.count > 1 else { return Score(logprob: 0, count: 0) }
        return try scores(prompt: [first], continuations: [Array(tokens.dropFirst())])[0]
      }
    }
    guard let first = continuations.first else { return [] }
    let shared = continuations.dropFirst().reduce(first[...]) { common, tokens in
      common.prefix(zip(common, tokens).prefix { $0 == $1 }.count)
    }
    let rests = continuations.map { $0.dropFirst(shared.count) }
    let slots = 1 + rests.count { $0.count > 1 }
    let cache = slots > 1 ? try KeyValueCache(model: model, slots: slots, capacity: prompt.count + first.count) : nil
    let start = try begin(prompt, shared: Array(shared), branches: rests.map(\.first), cache: cache)
    var sums = start.branches.map { start.shared + $0 }
    if let cache {
      for (index, sum) in try tails(rests, after: prompt.count + shared.count, cache: cache) { sums[index] += sum }
    }
    return zip(sums, continuations).map { Score(logprob: $0, count: $1.count) }
  }

  /// Log-probability of the shared tokens after the prompt, and of each token that may follow them: 0 for none.
  private func begin(
    _ prompt: [Int], shared: [Int], branches: [Int?], cache: KeyValueCache?
  ) throws -> (shared: Double, branches: [Double]) {
    let packed = try PackedSequences(
      [prompt + shared], vocabularySize: model.configuration.vocabularySize, device: model.device)
    let hidden = try model.prefillStates(packed, slots: [0], cache: cache)
    let last = Int32(clamping: packed.tokenCount - 1)
    // A branch is one more label of the last row: the head takes a row as often as it is named.
    let rows =
      shared.indices.map { Int32(clamping: prompt.count - 1 + $0) } + branches.compactMap { $0 }.map { _ in last }
    let targets = (shared + branches.compactMap { $0 }).map { Int32(clamping: $0) }
    let losses = try model.tokenLosses(hidden, rows: rows, targets: targets)
    var following = losses.dropFirst(shared.count)
    return (
      -losses.prefix(shared.count).reduce(0, +), branches.map { $0 == nil ? 0 : -(following.popFirst() ?? 0) }
    )
  }

  /// Log-probabilities of what follows each rest's first token, by the continuation's index.
  private func tails(_ rests: [ArraySlice<Int>], after length: Int, cache: KeyValueCache) throws -> [(Int, Double)] {
    var tokens: [Int] = []
    var slots: [Int] = []
    var places: [Int32] = []
    var targets: [Int32] = []
    var owners: [Int] = []
    for (slot, (index, rest)) in rests.enumerated().filter({ $0.element.count > 1 }).enumerated() {
      try cache.copy(length, from: 0, to: slot + 1)
      for (offset, (token, next)) in zip(rest, rest.dropFirst()).enumerated() {
        tokens.append(token)
        slots.append(slot + 1)
        places.append(Int32(clamping: length + offset))
        targets.append(Int32(clamping: next))
        owners.append(index)
      }
    }
    let hidden = try model.append(tokens, slots: slots, places: places, cache: cache)
    let rows = tokens.indices.map { Int32(clamping: $0) }
    let losses = try model.tokenLosses(hidden, rows: rows, targets: targets)
    return zip(owners, losses).map { ($0, -$1) }
  }
}

extension LanguageModel {
  /// Losses `-log p` of tokens given the hidden states `[N, D]` before them.
  fileprivate func tokenLosses(_ hiddenND: Tensor, rows: [Int32], targets: [Int32]) throws -> [Double] {
    guard !rows.isEmpty else { return [] }
    let size = configuration.vocabularySize
    if let token = targets.first(where: { $0 < 0 || Int($0) >= size }) {
      throw DecoderError.tokenOutsideVocabulary(token: Int(token), vocabularySize: size)
    }
    let labels = try Labels(rows: rows, targets: targets, device: device)
    return try head.losses(hiddenND, labels: labels, workspace: workspace).values()
  }
}
