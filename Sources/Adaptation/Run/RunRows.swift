internal import Primitives
internal import Tokenizers

/// A run's rows: those of its data and, for replay, some of earlier tasks', which the order of each epoch mixes.
struct RunRows {
  let rows: [TokenizedRow]
  let summary: DataSummary
  /// Taken from each replayed file.
  let replayed: [Int]

  /// - Throws: ``TrainingDataError``
  init(_ configuration: RunConfiguration, tokenizer: Tokenizer, chat: ChatRenderer?) throws {
    func load(_ path: String, _ format: RowFormat?) throws -> TrainingData {
      try TrainingData.load(
        path: path, format: format, encoder: tokenizer, chat: chat, maximumLength: configuration.maximumLength,
        overlength: configuration.overlength)
    }
    let data = try load(configuration.data, configuration.format)
    let replay = configuration.replay
    let samples = try replay.files.enumerated().map { number, path in
      let stream = RandomStream(seed: configuration.training.seed, purpose: "replay", index: UInt64(number))
      return Self.sample(try load(path, nil).rows, fraction: replay.fraction, stream).map {
        TokenizedRow(number: $0.number, tokens: $0.tokens, labelRanges: $0.labelRanges, file: path)
      }
    }
    rows = samples.reduce(data.rows, +)
    replayed = samples.map(\.count)
    var summary = data.summary
    summary.replayed = replayed.reduce(0, +)
    self.summary = summary
  }

  /// In the file's order.
  private static func sample(_ rows: [TokenizedRow], fraction: Double, _ stream: RandomStream) -> [TokenizedRow] {
    var stream = stream
    var order = Array(rows.indices)
    stream.shuffle(&order)
    let count = max(1, Int((fraction * Double(rows.count)).rounded()))
    return order.prefix(count).sorted().map { rows[$0] }
  }
}
