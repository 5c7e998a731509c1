import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Micro-batches, seeds and threads: what may change a run's result, and what may not.
@Suite(.engine) struct TrainingStepTests {
  /// Largest and 99.5th percentile difference of two models' weights.
  private func difference(_ first: LanguageModel, _ second: LanguageModel) throws -> (almostAll: Float, all: Float) {
    let differences = try first.parameters.flatMap { parameter in
      zip(try first.values(parameter.name), try second.values(parameter.name)).map { abs($0 - $1) }
    }.sorted()
    return (differences[differences.count * 995 / 1000], differences.last ?? 0)
  }

  /// 20 tokens hold one row or two; 1 splits every row off; 45 makes uneven parts.
  @Test(arguments: [1, 20, 45], [LossReduction.sequenceSum, .tokenMean])
  func microBatchesOfADenseStep(_ tokens: Int, _ loss: LossReduction) throws {
    func train(_ limit: Int?) throws -> RunOutcome {
      try SmallRun.outcome { configuration in
        configuration.method = .fft
        configuration.training.optimizer = .sgd
        configuration.training.learningRate = 0.1
        configuration.training.loss = loss
        configuration.training.microBatchTokens = limit
      }
    }
    let (whole, split) = (try train(nil), try train(tokens))
    expectClose(split.records.map(\.loss), whole.records.map(\.loss), relative: 1e-5)
    expectClose(split.records.map(\.tokenLoss), whole.records.map(\.tokenLoss), relative: 1e-5)
    #expect(split.records.map(\.tokens) == whole.records.map(\.tokens))
    #expect(split.records.map(\.labels) == whole.records.map(\.labels))
    let apart = try difference(split.loaded.model, whole.loaded.model)
    #expect(apart.all < 1e-5, "\(apart)")
  }

  @Test(arguments: [1, 20, 45], [Clipping.perTensor, .global])
  func microBatchesOfATicket(_ tokens: Int, _ clipping: Clipping) throws {
    func train(_ limit: Int?) throws -> RunOutcome {
      try SmallRun.outcome { configuration in
        configuration.calibration = .steps(0)
        configuration.training.optimizer = .sgd
        configuration.training.learningRate = 0.1
        configuration.training.clipping = clipping
        configuration.training.microBatchTokens = limit
      }
    }
    let (whole, split) = (try train(nil), try train(tokens))
    #expect(split.mask == whole.mask)
    expectClose(split.records.map(\.loss), whole.records.map(\.loss), relative: 1e-5)
    let apart = try difference(split.loaded.model, whole.loaded.model)
    #expect(apart.all < 1e-5, "\(apart)")
    let base = try LanguageModel(directory: split.loaded.directory)
    try split.loaded.model.expectUnchanged(outside: try #require(split.mask), base: base)
  }

  /// The dense sink takes a step of one micro-batch after one of several, as an epoch's last step may be.
  @Test func lastBatchIsSmaller() throws {
    func train(_ limit: Int?) throws -> RunOutcome {
      try SmallRun.outcome { configuration in
        configuration.method = .fft
        configuration.training.length = .epochs(1.5)
        configuration.training.batchSize = 13
        configuration.training.microBatchTokens = limit
      }
    }
    let (whole, split) = (try train(nil), try train(60))
    #expect(whole.records.count == 3)
    #expect(whole.records.reduce(0) { $0 + $1.labels } == (try labels(Array(0..<14) + Array(0..<7))))
    expectClose(split.records.map(\.loss), whole.records.map(\.loss), relative: 1e-4)
  }

  private func labels(_ rows: [Int]) throws -> Int {
    let all = try TrainingGoldens().rows()
    return rows.reduce(0) { $0 + all[$1].labelCount }
  }

  // MARK: - What decides the result

  private struct Files: Equatable {
    let mask: Data
    let adapter: Data
    let losses: [Double]
    let weights: [String: [UInt8]]

    init(seed: UInt64) throws {
      let small = try SmallRun { configuration in
        configuration.training.shuffles = true
        configuration.training.seed = seed
      }
      let outcome = try small.run.run()
      losses = outcome.records.map(\.loss)
      mask = try FileSystem.read(small.run.directory.maskPath)
      adapter = try FileSystem.read(FileSystem.join(small.run.directory.adapterPath, "adapter_model.safetensors"))
      weights = try small.model.snapshot()
    }
  }

  @Test func sameSeedSameBytes() throws {
    let (first, second, other) = (try Files(seed: 5), try Files(seed: 5), try Files(seed: 6))
    #expect(first == second)
    #expect(first.losses != other.losses)
    #expect(first.mask != other.mask)
    #expect(first.adapter != other.adapter)
  }

  @Test func threadsChangeRoundingAtMost() throws {
    let before = Engine.threadCount
    defer { try? Engine.setThreadCount(before) }
    try Engine.setThreadCount(1)
    let one = try Files(seed: 5)
    try Engine.setThreadCount(2)
    let two = try Files(seed: 5)
    expectClose(two.losses, one.losses, relative: 2e-4)
  }
}
