internal import Checkpoints
internal import Foundation
internal import Reports
internal import Tickets
internal import Torch

/// What the quickstart does; chosen so that it ends within minutes on two cores.
public struct QuickstartSettings: Codable, Equatable, Sendable {
  public var trainingRows = 900
  public var heldOutRows = 120
  public var sparsity = 0.9
  public var calibrationEpochs = 0.25
  public var epochs = 1.0
  public var batchSize = 16
  public var learningRate = 1e-4
  public var warmupSteps = 8
  public var maximumAnswerTokens = 48
  public var sampleCount = 3
  public var seed: UInt64 = 0

  public init() {}
}

/// Figures of a finished quickstart.
public struct QuickstartResult: Codable, Equatable, Sendable {
  public let directory: String
  public let reportPath: String
  public let adapterPath: String
  public let trainedWeights: Int
  public let scores: [RunReport.Score]
  public let samples: [RunReport.Sample]
  public let sizes: [RunReport.Size]
  public let durations: [RunReport.Duration]
  public let peakMemoryBytes: Int
  public let totalSeconds: Double
}

/// A whole LoTA run on a real model and rows of our own making, judged before and after.
public struct QuickstartRun {
  private let settings: QuickstartSettings
  private let output: String
  private let device: String
  private let dtype: String?
  private let note: (String) -> Void
  private let progress: (String) -> Void
  private let observe: (RunEvent) -> Disposition

  /// - Parameters:
  ///   - output: directory to create.
  ///   - note: told what happens, in lines that stay; `progress`: in lines that the next one replaces.
  public init(
    _ settings: QuickstartSettings, output: String, device: String = "cpu", dtype: String? = nil,
    overwrite: Bool = false,
    note: @escaping (String) -> Void = { _ in }, progress: @escaping (String) -> Void = { _ in },
    observe: @escaping (RunEvent) -> Disposition = { _ in .proceed }
  ) throws {
    try FileSystem.checkPublishable(output, overwrite: overwrite)
    if overwrite, FileSystem.exists(output) { try FileManager.default.removeItem(atPath: output) }
    self.settings = settings
    self.output = output
    self.device = device
    self.dtype = dtype
    self.note = note
    self.progress = progress
    self.observe = observe
  }

  /// - Parameter gguf: the model to import.
  public func run(gguf: String) throws -> QuickstartResult {
    let clock = ContinuousClock()
    let start = clock.now
    let modelPath = FileSystem.join(output, "model")
    try importModel(gguf, to: modelPath)
    let rows = try writeRows()

    let outcome: RunOutcome
    let before: Judgement
    let run = try trainingRun(model: modelPath)
    before = try judge("base model", run.loaded, rows.heldOut)
    outcome = try run.run()
    let after = try judge("with the adapter", outcome.loaded, rows.heldOut)

    let samples = samples(rows.heldOut, before: before, after: after)
    var report = RunReport(
      outcome, configuration: run.configuration, title: "Text-to-SQL with Lottery Ticket Adaptation")
    report.summary = """
      SmolLM2-135M-Instruct learns to answer questions about tables in SQL: \(rows.training.count) rows to learn from, \
      \(rows.heldOut.count) about tables never seen.
      """
    report.scores = [before.score, after.score]
    report.samples = samples
    let reportPath = FileSystem.join(output, "report.html")
    try report.write(to: reportPath)
    return QuickstartResult(
      directory: output, reportPath: reportPath, adapterPath: run.directory.adapterPath,
      trainedWeights: outcome.mask?.keptCount ?? 0, scores: report.scores, samples: samples, sizes: report.sizes,
      durations: report.durations, peakMemoryBytes: Engine.peakMemoryInBytes,
      totalSeconds: (clock.now - start) / .seconds(1))
  }

  /// Leaves nothing behind when the file is no model.
  private func importModel(_ gguf: String, to path: String) throws {
    try FileSystem.createDirectory(output)
    note("importing \(gguf)")
    do {
      _ = try GGUFImporter.importModel(from: gguf, to: path, dtype: .float32, overwrite: false)
    } catch {
      if try FileSystem.contents(of: output).isEmpty { try FileManager.default.removeItem(atPath: output) }
      throw error
    }
  }

  private var trainingPath: String { FileSystem.join(output, "train.jsonl") }
  private var heldOutPath: String { FileSystem.join(output, "heldout.jsonl") }

  private func writeRows() throws -> SQLRows {
    let rows = try SQLRowGenerator(seed: settings.seed).rows(
      training: settings.trainingRows, heldOut: settings.heldOutRows)
    try FileSystem.writeAtomically(try SQLRows.jsonLines(rows.training), to: trainingPath)
    try FileSystem.writeAtomically(try SQLRows.jsonLines(rows.heldOut), to: heldOutPath)
    return rows
  }

  private func trainingRun(model: String) throws -> TrainingRun {
    var configuration = RunConfiguration(model: model, data: trainingPath)
    configuration.device = device
    configuration.dtype = dtype
    configuration.sparsity = settings.sparsity
    configuration.calibration = .epochs(settings.calibrationEpochs)
    configuration.training.length = .epochs(settings.epochs)
    configuration.training.batchSize = settings.batchSize
    configuration.training.learningRate = settings.learningRate
    configuration.training.warmupSteps = settings.warmupSteps
    configuration.training.seed = settings.seed
    return try TrainingRun(configuration, output: FileSystem.join(output, "run"), observe: observe)
  }

  // MARK: - Judging

  private struct Judgement {
    let score: RunReport.Score
    let answers: [String]
  }

  private func judge(_ name: String, _ loaded: LoadedModel, _ rows: [SQLRow]) throws -> Judgement {
    let data = try TrainingData.load(path: heldOutPath, encoder: loaded.tokenizer)
    let loss = try Scorer(loaded.model).tokenLoss(data.rows)
    let answers = try TextGeneration(loaded).greedy(
      rows.map(\.prompt), maximumTokens: settings.maximumAnswerTokens
    ) { progress("\(name): answered \($0) of \(rows.count) held-out questions") }.map(Self.firstLine)
    let exact = zip(answers, rows).filter { SQLExactMatch.matches($0, $1.sql) }.count
    note("\(name): \(exact) of \(rows.count) held-out answers exact, loss per label \(NumberText.fixed(loss, 3))")
    return Judgement(
      score: RunReport.Score(name: name, tokenLoss: loss, exact: exact, total: rows.count), answers: answers)
  }

  /// The answer proper: both models are judged by their first line that is not blank.
  private static func firstLine(_ text: String) -> String {
    text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.first { !$0.isEmpty } ?? ""
  }

  private func samples(_ rows: [SQLRow], before: Judgement, after: Judgement) -> [RunReport.Sample] {
    rows.indices.prefix(settings.sampleCount).map { index in
      let row = rows[index]
      return RunReport.Sample(
        prompt: row.prompt, expected: row.sql, before: before.answers[index], after: after.answers[index],
        beforeIsExact: SQLExactMatch.matches(before.answers[index], row.sql),
        afterIsExact: SQLExactMatch.matches(after.answers[index], row.sql))
    }
  }
}
