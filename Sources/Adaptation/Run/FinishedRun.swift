internal import Checkpoints
internal import Foundation
internal import Tickets

/// A run that has ended, read back from its directory.
public struct FinishedRun {
  public let configuration: RunConfiguration
  public let directory: RunDirectory
  public let outcome: RunOutcome

  /// nil where the directory holds none, or one that has not ended.
  ///
  /// - Parameter configuration: with which it must have run.
  /// - Throws: ``RunCheckpointError``, ``ReportError``, `CheckpointError`, `TicketsError`.
  public init?(_ configuration: RunConfiguration, directory path: String) throws {
    directory = RunDirectory(path)
    guard try directory.standing(resumes: true) == .finished, let begun = try directory.configuration() else {
      return nil
    }
    // What a run fills in itself is not compared.
    var wanted = configuration
    wanted.replay.rows = begun.replay.rows
    wanted.training.microBatchTokens = begun.training.microBatchTokens
    let differences = try RunDirectory.differences(begun, wanted)
    guard differences.isEmpty else { throw RunCheckpointError.otherOptions(path: path, names: differences) }
    self.configuration = begun
    outcome = try Self.outcome(begun, directory)
  }

  private static func outcome(_ configuration: RunConfiguration, _ directory: RunDirectory) throws -> RunOutcome {
    func there(_ path: String) -> String? { FileSystem.exists(path) ? path : nil }
    let model = there(directory.modelPath)
    let adapter = there(directory.adapterPath)
    let loaded = try LoadedModel(
      directory: model ?? configuration.model, dtype: try configuration.computeType(),
      device: try configuration.computeDevice(),
      adapters: model == nil ? configuration.adapters + [adapter].compactMap { $0 } : [])
    let records = try MetricsRecord.read(path: directory.metricsPath)
    var seconds: [(part: String, seconds: Double)] = []
    for record in records {
      if seconds.last?.part != record.phaseName { seconds.append((record.phaseName, 0)) }
      seconds[seconds.count - 1].seconds += record.seconds
    }
    let isLowRank = configuration.method == .lora
    let validations = try ValidationRecord.read(path: directory.validationPath)
    return RunOutcome(
      loaded: loaded, records: records, validations: validations,
      mask: try there(directory.maskPath).map { try Mask(path: $0) },
      adapter: isLowRank ? nil : try adapter.map { try Adapter(directory: $0) },
      scoresPath: there(directory.scoresPath),
      lora: isLowRank ? try adapter.map { try LoRAAdapter(directory: $0) } : nil, modelPath: model,
      best: best(of: validations, configuration, directory), seconds: seconds)
  }

  private static func best(
    of validations: [ValidationRecord], _ configuration: RunConfiguration, _ directory: RunDirectory
  ) -> (result: BestResult, path: String)? {
    guard let first = configuration.validation.files.first else { return nil }
    var best = BestResult()
    for record in validations where record.data == first { _ = best.note(record) }
    let path = directory.bestPath(configuration.method)
    return FileSystem.exists(path) ? (best, path) : nil
  }
}
