import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Torch

/// Steps whose numbers are not finite: named, and left out where that is allowed.
@Suite(.engine) struct SkippedStepTests {
  /// Lets rows with a token overflow float16 in the first feed-forward layer, and no others: the token's embedding points along one
  /// direction, which the layer enlarges, and to which the head is blind.
  private func poison(_ small: SmallRun, token: Int) throws {
    func parameter(_ name: String) throws -> Tensor { try #require(small.model.parameter(named: name)).value }
    let direction = 3..<4
    try parameter("model.embed_tokens.weight").rows(token..<(token + 1)).columns(direction).fill(1e4)
    try parameter("model.layers.0.mlp.gate_proj.weight").columns(direction).fill(7)
    try parameter("model.layers.0.mlp.up_proj.weight").columns(direction).fill(700)
    try parameter("model.norm.weight").rows(direction).fill(0)
  }

  /// A token of one row alone, and that row's number.
  private func rareToken() throws -> (token: Int, row: Int) {
    let rows = try TrainingGoldens().rows()
    let counts = rows.reduce(into: [Int32: Set<Int>]()) { counts, row in
      for token in row.tokens { counts[token, default: []].insert(row.number) }
    }
    let found = counts.filter { $0.value.count == 1 && $0.value != [1] }.sorted { $0.key < $1.key }
    let (token, numbers) = try #require(found.first)
    return (Int(token), try #require(numbers.first))
  }

  private func half(_ configuration: inout RunConfiguration) {
    configuration.dtype = "float16"
    configuration.calibration = .steps(0)
    configuration.training.length = .epochs(1)
    configuration.training.batchSize = 1
    // The layer's large inputs are not to overflow on their way through the low-rank matrices.
    configuration.lora.alpha = 0.01
    configuration.training.learningRate = 1e-6
  }

  @Test("the row that overflows is named") func guiltyRow() throws {
    let (token, row) = try rareToken()
    let small = try SmallRun {
      half(&$0)
      $0.training.batchSize = 14
    }
    try poison(small, token: token)
    let error = #expect(throws: TrainingError.self) { try small.run.run() }
    #expect(error == .lossNotFinite(phase: .adaptation, step: 1, rows: [RowReference(number: row)]), "token \(token)")
    #expect(!FileSystem.exists(small.run.directory.adapterPath))
    #expect(small.notes.contains { $0.contains("--skip-steps") && $0.contains("--resume") })
  }

  @Test("left out, it leaves no trace", arguments: [TrainingMethod.lota, .lora]) func leftOut(_ method: TrainingMethod)
    throws
  {
    let (token, row) = try rareToken()
    let records = try records(method, token, limit: 1)
    let skipped = records.filter { $0.skipped != nil }
    #expect(skipped.map(\.step) == [row] && records.count == 14)
    #expect(records.allSatisfy { ($0.skipped == nil) == $0.loss.isFinite })
    #expect(throws: TrainingError.self) { try self.records(method, token, limit: 0) }
    // The same as a run without the row: what follows the step begins where the step before it ended.
    let directory = try TemporaryDirectory()
    let lines = try String(contentsOfFile: TrainingGoldens().data, encoding: .utf8).split(separator: "\n")
    let rest = lines.enumerated().filter { $0.offset + 1 != row }.map(\.element).joined(separator: "\n") + "\n"
    try FileSystem.writeAtomically(rest, to: directory("rest.jsonl"))
    let without = try SmallRun {
      half(&$0)
      $0.method = method
      $0.data = directory("rest.jsonl")
    }
    try poison(without, token: token)
    let expected = try without.run.run().records.map(\.loss)
    #expect(records.filter { $0.skipped == nil }.map(\.loss) == expected)
  }

  private func records(_ method: TrainingMethod, _ token: Int, limit: Int) throws -> [MetricsRecord] {
    let small = try SmallRun {
      half(&$0)
      $0.method = method
      $0.training.maximumSkippedSteps = limit
    }
    try poison(small, token: token)
    return try small.run.run().records
  }

  @Test("a skipped step's record reads back") func record() throws {
    var record = MetricsRecord(
      phase: .adaptation, step: 3, loss: .nan, tokenLoss: .nan, tokens: 7, labels: 2, seconds: 0.5, learningRate: 1e-3)
    record.skipped = "the loss is \"not\" finite"
    let read = try JSONDecoder().decode(MetricsRecord.self, from: Data(record.jsonLine.utf8))
    #expect(read.skipped == record.skipped && read.loss.isNaN && read.tokens == 7)
  }
}
