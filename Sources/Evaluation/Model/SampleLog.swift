internal import Checkpoints
internal import Decoder
internal import Foundation
internal import Primitives
internal import Torch

/// A file of scored answers that grows while they are made, so that an interrupted evaluation can go on.
///
/// Answers are appended as they come, one object a line; when all are there the file is written anew in the rows' order. Beside it
/// stands the run's record (`scored.run.json` for `scored.jsonl`): what the answers are of, and at the end the figures.
public final class SampleLog {
  public let path: String
  /// What an earlier run had answered, by row.
  public let answers: [Int: Answer]
  private let run: [String: String]
  private let file: FileHandle

  /// - Parameters:
  ///   - run: What must be equal for two runs' answers to be of the same thing: model, adapters, recipe, ...
  ///   - resume: Goes on with what is there. Otherwise an existing file is refused.
  /// - Throws: ``EvaluationError/samplesExist(path:)``, ``EvaluationError/otherRun(path:differences:)``, `CheckpointError`.
  public init(path: String, run: [String: String], resume: Bool) throws {
    self.path = path
    self.run = run
    let exists = FileSystem.exists(path)
    if exists, !resume { throw EvaluationError.samplesExist(path: path) }
    if exists {
      try Self.check(run, against: Self.recordPath(of: path), samples: path)
      answers = try Self.answers(path: path)
    } else {
      answers = [:]
      try FileSystem.writeAtomically("", to: path)
    }
    guard let file = FileHandle(forWritingAtPath: path) else {
      throw EvaluationError.unreadable(path: path, reason: "it cannot be opened for writing")
    }
    self.file = file
    // A line that was being written when the run ended is dropped.
    try file.truncate(atOffset: UInt64(try Self.completeLength(of: path)))
    try file.seekToEnd()
    try write(record: nil)
  }

  deinit { try? file.close() }

  /// Refuses rows that are not those of the run that is gone on with.
  func verify(_ items: [TaskRecipe.Item]) throws {
    let items = Dictionary(items.map { ($0.place.row, $0) }, uniquingKeysWith: { first, _ in first })
    for (row, answer) in answers.sorted(by: { $0.key < $1.key }) {
      let item = items[row]
      guard item?.prompt == answer.prompt, item?.target == answer.target else {
        throw EvaluationError.otherRun(path: path, differences: ["row \(row) of the data has changed"])
      }
    }
  }

  func append(_ answer: Answer, scored scores: [(name: String, score: ItemScore)]) throws {
    try file.write(contentsOf: Data(EvaluationResult.sample(answer, scores)))
  }

  func finish(_ result: EvaluationResult) throws {
    try FileSystem.writeAtomically(Data(result.samples), to: path)
    try write(record: result)
  }

  // MARK: - The record

  /// Where the record of a file of samples stands.
  public static func recordPath(of path: String) -> String {
    (path.hasSuffix(".jsonl") ? String(path.dropLast(6)) : path) + ".run.json"
  }

  private struct Record: Codable {
    let run: [String: String]
    var isFinished = false
    var work: EvaluationWork?
    var metrics: [Figure]?
  }

  private func write(record result: EvaluationResult?) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let record = Record(run: run, isFinished: result != nil, work: result?.work, metrics: result?.figures)
    try FileSystem.writeAtomically(try encoder.encode(record) + Data("\n".utf8), to: Self.recordPath(of: path))
  }

  private static func check(_ run: [String: String], against recordPath: String, samples: String) throws {
    guard FileSystem.exists(recordPath) else {
      throw EvaluationError.otherRun(path: samples, differences: ["its record \(recordPath) is missing"])
    }
    let record: Record
    do {
      record = try JSONDecoder().decode(Record.self, from: try FileSystem.read(recordPath))
    } catch is DecodingError {
      throw EvaluationError.otherRun(path: samples, differences: ["its record \(recordPath) is damaged"])
    }
    let differences = Set(run.keys).union(record.run.keys).sorted().filter { run[$0] != record.run[$0] }
    guard differences.isEmpty else {
      throw EvaluationError.otherRun(
        path: samples, differences: differences.map { describe($0, record.run[$0], run[$0]) })
    }
  }

  /// Long values, a recipe's text for instance, are not repeated.
  private static func describe(_ name: String, _ old: String?, _ new: String?) -> String {
    let isShort = [old, new].allSatisfy { ($0 ?? "").count <= 80 && !($0 ?? "").contains("\n") }
    return isShort ? "\(name) was \(old ?? "none"), is \(new ?? "none")" : "another \(name)"
  }

  private static func answers(path: String) throws -> [Int: Answer] {
    guard try completeLength(of: path) > 0 else { return [:] }
    var answers: [Int: Answer] = [:]
    for row in try DataFile.rows(path: path, ignoringIncompleteEnd: true) {
      guard let number = try row.optionalCount("row", "a row's number") else {
        throw EvaluationError.missingField(row.place, field: "row")
      }
      answers[number] = try Answer(sample: row)
    }
    return answers
  }

  /// Bytes up to the last line's end.
  private static func completeLength(of path: String) throws -> Int {
    let data = try FileSystem.read(path)
    return data.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
  }
}

extension ModelEvaluation {
  /// A log of this evaluation's answers at `path`.
  ///
  /// - Parameters:
  ///   - source: Names the weights, so that a run with others is not taken for the same: the model's fingerprint, adapters.
  ///   - resume: Goes on with what an interrupted run has left there.
  public func log(
    at path: String, items: [TaskRecipe.Item], source: [String: String], resume: Bool
  ) throws -> SampleLog {
    var run = source
    run["task"] = task.name
    run["recipe"] = task.text
    run["method"] = method.rawValue
    run["maximumTokens"] = String(options.maximumTokens ?? task.maximumTokens)
    run["rows"] = String(items.count)
    run["type"] = model.dtype.configurationName
    let log = try SampleLog(path: path, run: run, resume: resume)
    try log.verify(items)
    return log
  }
}
