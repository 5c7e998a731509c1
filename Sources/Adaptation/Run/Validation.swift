internal import Checkpoints
internal import Decoder
internal import Foundation
internal import Tokenizers

/// Held-out rows that a run scores while its result trains; they change nothing of it.
public struct ValidationSettings: Codable, Equatable, Sendable {
  public var files: [String] = []
  /// Steps from one score to the next; the last step is scored in any case.
  public var every = 10
  /// Whether what is trained is kept as it was at its best score of the first file, beside what the last step leaves.
  public var keepsBest = true
  /// Scores of the first file, one after another, that are no better than the best, after which training ends; nil: it goes on.
  public var patience: Int?

  public init() {}

  /// Scores of each file in a phase of so many steps.
  func count(steps: Int) -> Int { steps / every + (steps % every == 0 ? 0 : 1) }

  /// - Throws: ``TrainingError/invalidOption(name:value:expected:)``
  func validate() throws {
    if let patience {
      guard !files.isEmpty else {
        throw TrainingError.invalidOption(
          name: "early-stopping", value: "\(patience)", expected: "left out without --validation")
      }
      guard patience >= 1 else {
        throw TrainingError.invalidOption(name: "early-stopping", value: "\(patience)", expected: "at least 1")
      }
    }
    guard (1...1_000_000).contains(every) else {
      throw TrainingError.invalidOption(name: "validate-every", value: "\(every)", expected: "from 1 to 1000000")
    }
  }
}

/// A file's score after a step, as `validation.jsonl` holds it.
public struct ValidationRecord: Codable, Equatable, Sendable {
  public let phase: Phase
  /// Counted from one, within the phase.
  public let step: Int
  /// The file, as it was named.
  public let data: String
  public let rows: Int
  public let labels: Int
  /// Mean over the rows of the sum of `-log p` over a row's labels.
  public let loss: Double
  /// Mean of `-log p` over all labels.
  public let tokenLoss: Double

  enum CodingKeys: String, CodingKey {
    case phase, step, data, rows, labels, loss
    case tokenLoss = "token_loss"
  }
}

extension RunConfiguration {
  /// Tokens of held-out rows scored at once.
  var validationPassTokens: Int { min(training.microBatchTokens ?? 4096, 4096) }
}

/// Scores the held-out files of a run.
struct Validator {
  private let sets: [(path: String, rows: [TokenizedRow])]
  /// Lengths of each file's rows.
  var rowSizes: [[RowSize]] { sets.map { $0.rows.map(RowSize.init) } }
  private let settings: ValidationSettings
  private let microBatchTokens: Int

  /// nil when the run names no file. Reads every row.
  ///
  /// - Throws: ``TrainingDataError``
  init?(_ configuration: RunConfiguration, tokenizer: Tokenizer, chat: ChatRenderer?) throws {
    settings = configuration.validation
    guard !settings.files.isEmpty else { return nil }
    microBatchTokens = configuration.validationPassTokens
    sets = try settings.files.map { path in
      let data = try TrainingData.load(
        path: path, encoder: tokenizer, chat: chat, maximumLength: configuration.maximumLength,
        overlength: configuration.overlength)
      return (path, data.rows)
    }
  }

  /// Calibration, and tickets that only find the next, are a means: their weights are not scored.
  func isDue(_ report: StepReport) -> Bool {
    (report.record.phase == .adaptation || report.record.phase == .training)
      && (report.record.step % settings.every == 0 || report.record.step == report.stepCount)
  }

  func records(_ model: LanguageModel, after report: StepReport) throws -> [ValidationRecord] {
    let scorer = Scorer(model, microBatchTokens: microBatchTokens)
    return try sets.map { path, rows in
      let scores = try scorer.score(rows)
      let labels = scores.reduce(0) { $0 + $1.count }
      let loss = -scores.reduce(0) { $0 + $1.logprob }
      return ValidationRecord(
        phase: report.record.phase, step: report.record.step, data: path, rows: scores.count, labels: labels,
        loss: loss / Double(scores.count), tokenLoss: loss / Double(max(1, labels)))
    }
  }
}

extension ValidationRecord {
  /// All records of a file; none where there is no file. A last line that a crash cut short is left out.
  ///
  /// - Throws: ``ReportError``
  static func read(path: String) throws -> [ValidationRecord] {
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    return try JSONLines.read(path: path)
  }
}

/// Appends records to `validation.jsonl`, each line at once.
final class ValidationWriter {
  private let path: String
  private let handle: FileHandle

  /// - Throws: ``ReportError``
  init(path: String, keeping kept: [ValidationRecord]) throws {
    self.path = path
    handle = try ReportError.wrapping(path) {
      try FileSystem.writeAtomically(try kept.map(Self.line).joined(), to: path)
      let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      try handle.seekToEnd()
      return handle
    }
  }

  deinit { try? handle.close() }

  func write(_ records: [ValidationRecord]) throws {
    for record in records {
      try ReportError.wrapping(path) { try handle.write(contentsOf: Data(try Self.line(record).utf8)) }
    }
  }

  private static func line(_ record: ValidationRecord) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(record), as: UTF8.self) + "\n"
  }
}
