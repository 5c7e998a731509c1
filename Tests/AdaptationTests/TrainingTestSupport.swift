import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Values written by Scripts/goldens/training.py: a tiny model, rows, and PyTorch's training of it.
struct TrainingGoldens {
  let directory: String
  let file: SafetensorsFile

  init() throws {
    directory = try #require(Bundle.module.resourcePath) + "/Goldens/training"
    file = try SafetensorsFile(path: directory + "/goldens.safetensors")
  }

  var model: String { directory + "/model" }
  var data: String { directory + "/rows.jsonl" }

  func tensor(_ name: String) throws -> Tensor {
    let description = try file.description(of: name)
    let tensor = try Tensor.empty(description.shape, description.dtype)
    try file.withBytes(of: name) { try tensor.copyBytes(from: $0) }
    return tensor
  }

  func values(_ name: String) throws -> [Double] { try tensor(name).values() }
  func integers(_ name: String) throws -> [Int] { try tensor(name).values(as: Int32.self).map(Int.init) }

  /// The reference's ticket, over the tensors of `mask`.
  func mask(_ name: String, like mask: Mask) throws -> Mask {
    let packed: [UInt8] = try tensor(name).values()
    var start = 0
    let entries = mask.entries.map { entry in
      let bits = BitMask((start..<(start + entry.bits.count)).map { packed[$0 / 8] >> UInt8($0 % 8) & 1 == 1 })
      start += entry.bits.count
      return Mask.Entry(name: entry.name, shape: entry.shape, bits: bits)
    }
    return try Mask(entries: entries)
  }

  func rows() throws -> [TokenizedRow] {
    let tokens = try integers("tokens")
    let bounds = try integers("tokenOffsets")
    return zip(try integers("promptLengths"), zip(bounds, bounds.dropFirst())).enumerated().map { index, row in
      let (prompt, (start, end)) = row
      return TokenizedRow(
        number: index + 1, tokens: tokens[start..<end].map(Int32.init), labelRanges: [prompt..<(end - start)])
    }
  }

  /// The reference's settings: 5 + 5 steps of 4 rows in file order.
  func configuration(_ change: (inout RunConfiguration) -> Void = { _ in }) -> RunConfiguration {
    var configuration = RunConfiguration(model: model, data: data)
    configuration.calibration = .steps(5)
    configuration.training.length = .steps(5)
    configuration.training.batchSize = 4
    configuration.training.learningRate = 1e-3
    configuration.training.shuffles = false
    change(&configuration)
    return configuration
  }
}

/// A run on the tiny model in a directory of its own, and what it told its observer.
final class SmallRun {
  let goldens: TrainingGoldens
  let run: TrainingRun
  private let directory: TemporaryDirectory
  private let log: EventLog

  /// - Parameters:
  ///   - stop: whether to stop after a step.
  ///   - earlier: goes on in that one's directory, which must not be at work any more.
  init(
    stop: @escaping (StepReport) -> Bool, goingOnFrom earlier: TemporaryDirectory? = nil, saveEvery: Int? = nil,
    _ change: (inout RunConfiguration) -> Void = { _ in }
  ) throws {
    goldens = try TrainingGoldens()
    let directory = try earlier ?? TemporaryDirectory()
    var schedule = CheckpointSchedule()
    schedule.everySteps = saveEvery
    let log = EventLog()
    self.directory = directory
    self.log = log
    run = try TrainingRun(
      goldens.configuration(change), output: directory("run"), checkpoints: schedule, resumes: earlier != nil
    ) { event in
      log.events.append(event)
      if case .step(let report) = event, stop(report) { return .stop }
      return .proceed
    }
  }

  convenience init(_ change: (inout RunConfiguration) -> Void = { _ in }) throws {
    try self.init(stop: { _ in false }, change)
  }

  static func outcome(_ change: (inout RunConfiguration) -> Void = { _ in }) throws -> RunOutcome {
    let small = try SmallRun(change)
    return try withExtendedLifetime(small) { try small.run.run() }
  }

  var model: LanguageModel { run.loaded.model }
  var metrics: [MetricsRecord] { get throws { try MetricsRecord.read(path: run.directory.metricsPath) } }
  var events: [RunEvent] { log.events }
  var notes: [String] {
    events.compactMap { if case .note(let text) = $0 { text } else { nil } }
  }

  var home: TemporaryDirectory { directory }

  func path(_ name: String) -> String { directory(name) }

  private final class EventLog { var events: [RunEvent] = [] }
}

extension LanguageModel {
  func values(_ name: String) throws -> [Float] { try #require(parameter(named: name)).value.values() }

  /// Every parameter's bytes, in the model's type.
  func snapshot() throws -> [String: [UInt8]] {
    try Dictionary(
      uniqueKeysWithValues: parameters.map { ($0.name, try $0.value.converted().withBytes { Array($0) }) })
  }

  /// The weights of a ticket, in canonical order.
  func values(of mask: Mask) throws -> [Float] {
    try mask.entries.flatMap { entry in
      let values = try values(entry.name)
      return entry.bits.int32Indices.map { values[Int($0)] }
    }
  }

  /// Checks that only weights of the ticket differ from `base`, and that some of them do.
  func expectUnchanged(outside mask: Mask, base: LanguageModel, sourceLocation: SourceLocation = #_sourceLocation)
    throws
  {
    var changed = 0
    for parameter in parameters {
      let (mine, theirs) = (try values(parameter.name), try base.values(parameter.name))
      let bits = mask[parameter.name]?.bits
      for index in mine.indices where mine[index].bitPattern != theirs[index].bitPattern {
        changed += 1
        if bits?[index] != true {
          Issue.record("\(parameter.name) changed at \(index), outside the ticket", sourceLocation: sourceLocation)
          return
        }
      }
    }
    #expect(changed > 0, "nothing changed at all", sourceLocation: sourceLocation)
  }
}

extension TrainingSink {
  /// A step with the statistics of the CPU.
  func beginStep(rate: Double, microBatches: Int) {
    beginStep(rate: rate, microBatches: microBatches, statistics: HostStatistics())
  }
}
