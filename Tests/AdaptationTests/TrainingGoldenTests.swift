import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Whole runs on a tiny model against the same algorithm in PyTorch.
@Suite(.engine) struct TrainingGoldenTests {
  private static func apply(_ variant: String, to configuration: inout RunConfiguration) throws {
    switch variant {
    case "default": break
    case "token-mean": configuration.training.loss = .tokenMean
    case "adamw": configuration.training.optimizer = .adamW(weightDecay: 0.1)
    case "sgd", "global":
      configuration.training.optimizer = .sgd
      configuration.training.learningRate = 0.1
      if variant == "global" { configuration.training.clipping = .global }
    case "warm-up": configuration.training.warmupSteps = 3
    case "unclipped": configuration.training.maximumGradientNorm = nil
    case "one-step": configuration.calibration = .steps(1)
    case "fft": configuration.method = .fft
    case "fft-adamw":
      configuration.method = .fft
      configuration.training.optimizer = .adamW(weightDecay: 0.1)
      configuration.training.loss = .tokenMean
      configuration.training.warmupSteps = 2
    default: Issue.record("no variant \(variant)")
    }
  }

  @Test(arguments: ["default", "token-mean", "adamw", "sgd", "warm-up", "unclipped", "global", "one-step"])
  func lotteryTicketAdaptation(_ variant: String) throws {
    let small = try SmallRun { configuration in try? Self.apply(variant, to: &configuration) }
    let outcome = try small.run.run()
    let goldens = small.goldens
    expectClose(outcome.records.map(\.loss), try goldens.values(variant + ".losses"), relative: 5e-6, "losses")
    expectClose(
      outcome.records.map(\.tokenLoss), try goldens.values(variant + ".token_losses"), relative: 5e-6, "token losses")
    let calibration = variant == "one-step" ? 1 : 5
    #expect(outcome.records.map(\.step) == Array(1...calibration) + Array(1...5))
    #expect(
      outcome.records.map(\.phase) == Array(repeating: .calibration, count: calibration)
        + Array(repeating: .adaptation, count: 5))

    let mask = try #require(outcome.mask)
    let expected = try goldens.mask(variant + ".mask", like: mask)
    let overlap = try mask.overlap(with: expected).total
    #expect(overlap.first == overlap.second && overlap.jaccard >= 0.998, "\(variant): Jaccard \(overlap.jaccard)")

    try expectValues(outcome, mask: mask, expected: expected, variant, goldens)
    let base = try LanguageModel(directory: goldens.model)
    try small.model.expectUnchanged(outside: mask, base: base)
  }

  /// Weights in both tickets agree but for a few whose gradient is nearly zero, which adaptive optimizers magnify.
  private func expectValues(
    _ outcome: RunOutcome, mask: Mask, expected: Mask, _ variant: String, _ goldens: TrainingGoldens
  ) throws {
    let values: [Float] = try goldens.tensor(variant + ".values").values()
    var next = 0
    var differences: [Float] = []
    for entry in expected.entries {
      let mine = try outcome.loaded.model.values(entry.name)
      for index in entry.bits.int32Indices.map(Int.init) {
        if mask[entry.name]?.bits[index] == true { differences.append(abs(mine[index] - values[next])) }
        next += 1
      }
    }
    #expect(next == values.count)
    differences.sort()
    let almostAll = differences[differences.count * 995 / 1000]
    let largest = try #require(differences.last)
    #expect(almostAll < 1e-6 && largest < 3e-4, "\(variant): 99.5 % within \(almostAll), all within \(largest)")
  }

  @Test(arguments: ["fft", "fft-adamw"]) func fullFineTuning(_ variant: String) throws {
    let small = try SmallRun { configuration in try? Self.apply(variant, to: &configuration) }
    let outcome = try small.run.run()
    let goldens = small.goldens
    expectClose(outcome.records.map(\.loss), try goldens.values(variant + ".losses"), relative: 5e-6, "losses")
    #expect(outcome.records.allSatisfy { $0.phase == .training })
    #expect(outcome.mask == nil && outcome.adapter == nil)
    let names = goldens.file.tensors.map(\.name).filter { $0.hasPrefix(variant + ".parameter.") }
    #expect(names.count == small.model.parameters.count)
    for parameter in small.model.parameters {
      let expected = try goldens.values("\(variant).parameter.\(parameter.name)").map { Float($0) }
      let differences = zip(try small.model.values(parameter.name), expected).map { abs($0 - $1) }.sorted()
      let almostAll = differences[(differences.count - 1) * 99 / 100]
      let largest = try #require(differences.last)
      #expect(
        almostAll < 1e-6 && largest < 3e-4,
        "\(variant), \(parameter.name): 99 % within \(almostAll), all within \(largest)")
    }
  }

  @Test func everyStepCountsTokensAndLabels() throws {
    let outcome = try SmallRun.outcome()
    let rows = try TrainingGoldens().rows()
    for record in outcome.records {
      let batch = (0..<4).map { rows[((record.step - 1) * 4 + $0) % rows.count] }
      #expect(record.tokens == batch.reduce(0) { $0 + $1.tokens.count })
      #expect(record.labels == batch.reduce(0) { $0 + $1.labelCount })
      #expect(record.learningRate == 1e-3 && record.seconds > 0)
    }
  }

  @Test func warmUpRates() throws {
    let outcome = try SmallRun.outcome { configuration in
      configuration.training.warmupSteps = 4
    }
    expectClose(
      outcome.records.map(\.learningRate), [2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3, 2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3],
      relative: 1e-12)
  }

  // MARK: - Short calibrations

  @Test func oneStepRanksByGradient() throws {
    let small = try SmallRun { $0.calibration = .steps(1) }
    let mask = try #require(try small.run.run().mask)
    #expect(small.notes.count == 1 && small.notes[0].contains("gradient magnitude"))

    // By hand: the gradients of the first batch, sorted.
    let model = try LanguageModel(directory: small.goldens.model)
    let sink = KeepingSink()
    let batch = PackedBatch(Array(try small.goldens.rows().prefix(4)))
    _ = try model.backward(
      try PackedSequences(tokens: batch.tokens, offsets: batch.offsets, vocabularySize: 96),
      labels: try Labels(rows: batch.labelRows, targets: batch.labelTargets), scale: 0.25, sink: sink)
    var ranked: [(magnitude: Float, tensor: Int, index: Int)] = []
    for (tensor, entry) in mask.entries.enumerated() {
      for (index, value) in try #require(sink.gradients[entry.name]).enumerated() {
        ranked.append((abs(value), tensor, index))
      }
    }
    ranked.sort { ($1.magnitude, $0.tensor, $0.index) < ($0.magnitude, $1.tensor, $1.index) }
    #expect(mask.keptCount == Int((Double(ranked.count) * 0.1).rounded()))
    let wrong = ranked.enumerated().filter { rank, weight in
      mask.entries[weight.tensor].bits[weight.index] != (rank < mask.keptCount)
    }
    #expect(wrong.isEmpty)
  }

  @Test func oneStepDoesNotDependOnMicroBatches() throws {
    let whole = try #require(try SmallRun.outcome { $0.calibration = .steps(1) }.mask)
    let split = try SmallRun.outcome { configuration in
      configuration.calibration = .steps(1)
      configuration.training.microBatchTokens = 20
    }
    #expect(try whole.overlap(with: try #require(split.mask)).total.jaccard > 0.998)
  }

  @Test func noStepsDrawATicketAtRandom() throws {
    func ticket(_ seed: UInt64) throws -> (mask: Mask, run: SmallRun) {
      let small = try SmallRun { configuration in
        configuration.calibration = .steps(0)
        configuration.training.seed = seed
      }
      return (try #require(try small.run.run().mask), small)
    }
    let (mask, small) = try ticket(3)
    #expect(small.notes.count == 1 && small.notes[0].contains("at random"))
    #expect(try small.metrics.allSatisfy { $0.phase == .adaptation })
    #expect(try ticket(3).mask == mask)
    #expect(try ticket(4).mask != mask)
    let shapes = Dictionary(uniqueKeysWithValues: mask.entries.map { ($0.name, $0.shape) })
    let expected = try TicketSelection.random(
      shapes: shapes, amount: .sparsity(0.9), seed: 3, baseFingerprint: mask.baseFingerprint)
    #expect(mask == expected && mask.keptCount == 1382)
  }

  @Test func maskFromAFile() throws {
    let first = try SmallRun()
    let mask = try #require(try first.run.run().mask)
    let second = try SmallRun { $0.mask = first.run.directory.maskPath }
    let outcome = try second.run.run()
    #expect(outcome.mask == mask)
    #expect(try second.metrics.allSatisfy { $0.phase == .adaptation })
    #expect(second.notes.isEmpty)
    #expect(try second.model.snapshot() == first.model.snapshot())
  }
}

/// Keeps every gradient.
final class KeepingSink: GradientSink {
  private(set) var gradients: [String: [Float]] = [:]

  func needsGradient(of parameter: Parameter) -> Bool { true }

  func consume(_ gradient: Tensor, of parameter: Parameter) throws {
    gradients[parameter.name] = try gradient.values()
  }
}
