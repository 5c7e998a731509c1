import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// The ways to find a ticket against PyTorch: Scripts/goldens/rankings.py.
@Suite(.engine) struct RankingGoldenTests {
  private let file: SafetensorsFile
  private let goldens: TrainingGoldens

  init() throws {
    file = try SafetensorsFile(path: try #require(Bundle.module.resourcePath) + "/Goldens/rankings/goldens.safetensors")
    goldens = try TrainingGoldens()
  }

  private func tensor(_ name: String) throws -> Tensor {
    let description = try file.description(of: name)
    let tensor = try Tensor.empty(description.shape, description.dtype)
    try file.withBytes(of: name) { try tensor.copyBytes(from: $0) }
    return tensor
  }

  private func mask(_ name: String, like mask: Mask) throws -> Mask {
    let packed: [UInt8] = try tensor(name).values()
    var start = 0
    return try Mask(
      entries: mask.entries.map { entry in
        let bits = BitMask((start..<(start + entry.bits.count)).map { packed[$0 / 8] >> UInt8($0 % 8) & 1 == 1 })
        start += entry.bits.count
        return Mask.Entry(name: entry.name, shape: entry.shape, bits: bits)
      })
  }

  private func expectMask(_ mask: Mask, _ name: String) throws {
    let overlap = try mask.overlap(with: try self.mask(name, like: mask)).total
    #expect(overlap.first == overlap.second && overlap.jaccard >= 0.998, "\(name): Jaccard \(overlap.jaccard)")
  }

  @Test(arguments: Ranking.allCases, TicketSelection.Quota.allCases)
  func tickets(_ ranking: Ranking, _ quota: TicketSelection.Quota) throws {
    for microBatchTokens in [8192, 40] {
      let small = try SmallRun {
        $0.rankBy = ranking
        $0.quota = quota
        $0.training.microBatchTokens = microBatchTokens
      }
      let found = try #require(try small.run.run().mask)
      // A layer's tensors have 1024, 512, 512, 1024 and three times 1280 weights: 102 + 51 + 51 + 102 + 3 * 128 = 690.
      #expect(found.keptCount == (quota == .global ? 1382 : 1380))
      if quota == .perTensor {
        #expect(found.entries.prefix(7).map(\.bits.populationCount) == [102, 51, 51, 102, 128, 128, 128])
      }
      try expectMask(found, "\(ranking.rawValue).\(quota.rawValue).mask")
    }
  }

  @Test(arguments: Ranking.allCases.filter { $0 != .update })
  func scores(_ ranking: Ranking) throws {
    let small = try SmallRun { $0.rankBy = ranking }
    let outcome = try small.run.calibrate()
    let (file, scores) = try ScoreFile.open(try #require(outcome.scoresPath))
    #expect(file.rankedBy == ranking.rawValue && outcome.modelPath == nil)
    #expect(file.baseFingerprint == (try ModelFingerprint(outcome.loaded.base).value))
    let names = TicketScope.canonicalOrder(scores.tensors.map(\.name))
    #expect(names.count == 14)
    let found = try names.flatMap { try scores.floats(of: $0) }.map { Double(abs($0)) }
    let expected = try tensor(ranking.rawValue + ".scores").values(as: Double.self)
    let scale = try #require(expected.max())
    let largest = zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
    #expect(largest < 2e-5 * scale, "\(ranking.rawValue): \(largest) of \(scale)")
    // No weight has moved.
    let base = try LanguageModel(directory: goldens.model)
    #expect(try small.model.snapshot() == base.snapshot())
  }

  private func expectRun(_ outcome: RunOutcome, _ name: String) throws {
    expectClose(
      outcome.records.map(\.loss), try tensor(name + ".losses").values(as: Double.self), relative: 5e-6, "losses")
    let found = try #require(outcome.mask)
    try expectMask(found, name + ".mask")
    let expected = try mask(name + ".mask", like: found)
    let values: [Float] = try tensor(name + ".values").values()
    var differences: [Float] = []
    var next = 0
    for entry in expected.entries {
      let mine = try outcome.loaded.model.values(entry.name)
      for index in entry.bits.setIndices {
        if found[entry.name]?.bits[index] == true { differences.append(abs(mine[index] - values[next])) }
        next += 1
      }
    }
    #expect(next == values.count)
    differences.sort()
    #expect(differences[differences.count * 995 / 1000] < 1e-6 && differences[differences.count - 1] < 3e-4)
  }

  @Test func widerScope() throws {
    let small = try SmallRun { $0.scope = ScopeParts([.norms, .embeddings, .projections]) }
    let outcome = try small.run.run()
    try expectRun(outcome, "scope")
    let mask = try #require(outcome.mask)
    // 13,824 weights of projections, 96 * 32 of the embedding, five norms of 32.
    #expect(mask.scopedCount == 13824 + 3072 + 160 && mask.keptCount == 1706)
    #expect(mask["model.embed_tokens.weight"] != nil && mask["model.norm.weight"] != nil)
    let base = try LanguageModel(directory: goldens.model)
    try small.model.expectUnchanged(outside: mask, base: base)
    let adapter = try #require(outcome.adapter)
    #expect(try adapter.mask().sharedCount(with: mask) == 1706)
    let opened = try LoadedModel(directory: goldens.model, adapters: [adapter.path])
    #expect(try opened.model.snapshot() == small.model.snapshot())
    // A later ticket of the usual scope keeps clear of it.
    let next = try SmallRun { $0.exclude = [adapter.path] }
    #expect(try #require(try next.run.run().mask).sharedCount(with: mask) == 0)
  }

  @Test func iteratedCalibration() throws {
    let small = try SmallRun { $0.iterations = [0.5] }
    let outcome = try small.run.run()
    try expectRun(outcome, "iterated")
    let phases: [Phase] = [.calibration, .iteration, .adaptation]
    #expect(outcome.records.map(\.phase) == phases.flatMap { Array(repeating: $0, count: 5) })
    let iterations: [Int?] = [nil, 1, nil]
    #expect(outcome.records.map(\.iteration) == iterations.flatMap { Array(repeating: $0, count: 5) })
    #expect(try small.metrics == outcome.records)
    #expect(
      outcome.seconds.map(\.part) == [
        "calibration", "extraction", "checkpoints", "iteration 1", "adaptation", "writing",
      ])
    let mask = try #require(outcome.mask)
    let first = try Mask(path: small.run.directory.maskPath(iteration: 1))
    #expect(first.keptCount == 6912 && mask.keptCount == 1382 && mask.sharedCount(with: first) == 1382)
    let base = try LanguageModel(directory: goldens.model)
    try small.model.expectUnchanged(outside: mask, base: base)
  }
}
