public import Decoder
internal import Torch

/// Log-probability of one row's labels.
public struct RowScore: Codable, Equatable, Sendable {
  /// From 1, as in the file.
  public let row: Int
  /// Sum over the labels, natural logarithm.
  public let logprob: Double
  /// Number of labels.
  public let count: Int
  /// All token ids, where asked for.
  public let tokens: [Int]?
}

/// Scores rows without training.
public struct Scorer {
  private let model: LanguageModel
  private let microBatchTokens: Int

  public init(_ model: LanguageModel, microBatchTokens: Int = 4096) {
    self.model = model
    self.microBatchTokens = microBatchTokens
  }

  /// - Parameter progress: called with the number of rows done.
  public func score(
    _ rows: [TokenizedRow], showsTokens: Bool = false, progress: (Int) -> Void = { _ in }
  ) throws -> [RowScore] {
    var scores: [RowScore] = []
    for batch in MicroBatches(rows, maximumTokens: microBatchTokens).batches {
      let losses: [Float] = try model.losses(try batch.sequences(for: model), labels: try batch.labels(for: model))
        .values()
      var sums = Array(repeating: 0.0, count: batch.sequenceCount)
      var counts = Array(repeating: 0, count: batch.sequenceCount)
      for (loss, sequence) in zip(losses, batch.labelSequence) {
        sums[Int(sequence)] -= Double(loss)
        counts[Int(sequence)] += 1
      }
      for index in 0..<batch.sequenceCount {
        let range = Int(batch.offsets[index])..<Int(batch.offsets[index + 1])
        scores.append(
          RowScore(
            row: batch.rowNumbers[index], logprob: sums[index], count: counts[index],
            tokens: showsTokens ? batch.tokens[range].map(Int.init) : nil))
      }
      progress(scores.count)
    }
    return scores
  }

  /// Mean of `-log p` over all labels of all rows.
  ///
  /// - Parameter progress: called with the number of rows scored so far.
  public func tokenLoss(_ rows: [TokenizedRow], progress: (Int) -> Void = { _ in }) throws -> Double {
    let scores = try score(rows, progress: progress)
    let labels = scores.reduce(0) { $0 + $1.count }
    return labels == 0 ? 0 : -scores.reduce(0) { $0 + $1.logprob } / Double(labels)
  }
}
