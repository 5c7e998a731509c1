internal import Checkpoints
internal import Foundation

/// Lines of `lota score --json`.
private struct ScoreLine: Decodable {
  let logprob: Double
  let count: Int
}

/// The object of `lota train --json`.
private struct TrainObject: Decodable {
  let adapter: String?
  let model: String?
  let trained: Int?
  let seconds: [String: Double]
  let peakMemoryBytes: Int
}

/// The object of `lota merge --json`.
private struct MergeObject: Decodable {
  struct Model: Decodable {
    let seconds: Double
    let flushSeconds: Double
  }

  let model: Model?
  let adapterSeconds: Double?
  let trained: Int?
  let peakMemory: Int
}

/// Lines of `validation.jsonl`.
private struct ValidationLine: Decodable {
  let step: Int
  let data: String
  let tokenLoss: Double

  enum CodingKeys: String, CodingKey {
    case step, data
    case tokenLoss = "token_loss"
  }
}

/// The object of `lota eval --json`: one task's.
private struct EvalObject: Decodable {
  struct Metric: Decodable {
    let metric: String
    let value: Double
    let low: Double
    let high: Double
    let n: Int
  }

  let metrics: [Metric]
}

extension TaskScore {
  init(scoreOutput text: String, stage: String) throws {
    let lines: [ScoreLine] = try text.split(whereSeparator: \.isNewline).map { try decode($0, of: stage) }
    let (loss, labels) = lines.reduce((0.0, 0)) { ($0.0 - $1.logprob, $0.1 &+ $1.count) }
    guard labels > 0, lines.allSatisfy({ (0...1 << 40).contains($0.count) }) else {
      throw ExperimentError.unreadableResult(name: stage, reason: "no label was scored")
    }
    self.init(
      rows: lines.count, labels: labels, tokenLoss: loss / Double(labels), rowLoss: loss / Double(lines.count))
  }
}

extension MetricValue {
  init(evalOutput text: String, metric: String?, stage: String) throws {
    let object: EvalObject = try decode(text[...], of: stage)
    guard let found = metric.map({ name in object.metrics.first { $0.metric == name } }) ?? object.metrics.first else {
      let names = object.metrics.map(\.metric).joined(separator: ", ")
      throw ExperimentError.unreadableResult(name: stage, reason: "the metrics are \(names), not \(metric ?? "any")")
    }
    self.init(name: found.metric, value: found.value, low: found.low, high: found.high, rows: found.n)
  }
}

extension StageRecord {
  /// - Parameters:
  ///   - directory: the run directory.
  ///   - tasks: names of tasks by their development rows.
  init(
    trainOutput text: String, directory: String, command: StageCommand, instance: StageInstance,
    chosen: [String: String], tasks: [String: String]
  ) throws {
    let object: TrainObject = try decode(text[...], of: instance.label)
    try self.init(
      command, instance, chosen, directory: directory, made: object.adapter == nil ? .model : .adapter,
      seconds: object.seconds.filter { $0.key != "validation" }.values.reduce(0, +),
      peakMemoryBytes: object.peakMemoryBytes, trained: object.trained)
    let validation = FileSystem.join(directory, "validation.jsonl")
    guard FileSystem.exists(validation) else { return }
    curve = try ValidationFile.points(path: validation, stage: instance.label, tasks: tasks)
  }
}

/// `validation.jsonl` of a run.
package enum ValidationFile {
  /// - Parameter tasks: names of tasks by their development rows; lines of other files are left out.
  /// - Throws: ``ExperimentError/unreadableResult(name:reason:)``
  package static func points(path: String, stage: String, tasks: [String: String]) throws -> [StageRecord.CurvePoint] {
    let lines: [ValidationLine] = try String(decoding: try FileSystem.read(path), as: UTF8.self)
      .split(whereSeparator: \.isNewline).map { try decode($0, of: stage) }
    return lines.compactMap { line in
      tasks[line.data].map { StageRecord.CurvePoint(step: line.step, task: $0, tokenLoss: line.tokenLoss) }
    }
  }
}

extension StageRecord {
  /// - Parameter directory: holds the merged model or adapter.
  init(
    mergeOutput text: String, directory: String, command: StageCommand, instance: StageInstance,
    chosen: [String: String]
  ) throws {
    let object: MergeObject = try decode(text[...], of: instance.label)
    try self.init(
      command, instance, chosen, directory: directory, made: object.model == nil ? .adapter : .model,
      seconds: object.model.map { $0.seconds + $0.flushSeconds } ?? object.adapterSeconds ?? 0,
      peakMemoryBytes: object.peakMemory, trained: object.model == nil ? object.trained : nil)
  }

  /// Without a curve.
  private init(
    _ command: StageCommand, _ instance: StageInstance, _ chosen: [String: String], directory: String, made: Made,
    seconds: Double, peakMemoryBytes: Int, trained: Int?
  ) throws {
    key = command.key
    stage = instance.stage.name
    label = instance.label
    seed = instance.seed
    self.command = command.arguments
    self.chosen = chosen
    self.seconds = seconds
    self.peakMemoryBytes = peakMemoryBytes
    bytes = try byteCount(of: FileSystem.join(directory, made.rawValue))
    self.trained = trained
    self.made = made
    curve = []
  }
}

/// Of a directory's files.
private func byteCount(of directory: String) throws -> Int {
  try FileSystem.contents(of: directory).reduce(0) { sum, name in
    sum + (try FileManager.default.attributesOfItem(atPath: FileSystem.join(directory, name))[.size] as? Int ?? 0)
  }
}

private func decode<Value: Decodable>(_ text: Substring, of stage: String) throws -> Value {
  do {
    return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
  } catch {
    throw ExperimentError.unreadableResult(name: stage, reason: "\(error)")
  }
}
