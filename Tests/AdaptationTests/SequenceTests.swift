import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Tasks one after another, each with a ticket that no earlier one has a weight of (LoTTO).
@Suite(.engine) struct SequenceTests {
  private struct Task {
    let small: SmallRun
    let outcome: RunOutcome
    let mask: Mask
    let adapter: Adapter
  }

  private let goldens: TrainingGoldens
  private let directory: TemporaryDirectory

  init() throws {
    goldens = try TrainingGoldens()
    directory = try TemporaryDirectory()
  }

  private static func task(_ change: (inout RunConfiguration) -> Void) throws -> Task {
    let small = try SmallRun(change)
    let outcome = try small.run.run()
    return Task(
      small: small, outcome: outcome, mask: try #require(outcome.mask), adapter: try #require(outcome.adapter))
  }

  /// Each task begins with all earlier adapters applied.
  private static func chain(_ count: Int, _ calibration: Calibration) throws -> [Task] {
    var tasks: [Task] = []
    for number in 1...count {
      tasks.append(
        try task {
          $0.adapters = tasks.map(\.adapter.path)
          $0.calibration = calibration
          $0.training.shuffles = true
          $0.training.seed = UInt64(number)
        })
    }
    return tasks
  }

  @Test(arguments: [Calibration.steps(3), .steps(1), .steps(0)])
  func fiveTasks(_ calibration: Calibration) throws {
    let tasks = try Self.chain(5, calibration)
    for (number, task) in tasks.enumerated() {
      #expect(task.mask.keptCount == 1382 && task.adapter.configuration.trainedCount == 1382)
      for earlier in tasks[..<number] { #expect(task.mask.sharedCount(with: earlier.mask) == 0) }
      // Written against the original base, which is what they are opened with.
      try task.adapter.verify(base: task.outcome.loaded.base)
      #expect(task.adapter.configuration.baseFingerprint == tasks[0].adapter.configuration.baseFingerprint)
      let names = task.adapter.configuration.training["prerequisites"]?.split(separator: ", ") ?? []
      #expect(
        Set(names.map { $0.suffix(64) }) == Set(tasks[..<number].map { $0.adapter.configuration.recordsDigest[...] }))
      // The model at the end of the task is base and adapters, in whatever order.
      let paths = tasks[...number].reversed().map(\.adapter.path)
      let opened = try LoadedModel(directory: goldens.model, adapters: paths)
      #expect(try opened.model.snapshot() == task.outcome.loaded.model.snapshot())
    }
    #expect(tasks.reduce(0) { $0 + $1.mask.keptCount } == 5 * 1382)
    try withExtendedLifetime(tasks) { try removeThird(tasks) }
  }

  /// Base values return on the third task's entries; the others' stay, and the rest was never touched.
  private func removeThird(_ tasks: [Task]) throws {
    let base = try Checkpoint(directory: goldens.model)
    try Adapter.apply(tasks.map(\.adapter), to: base, output: directory("all"))
    try Adapter.remove(
      [tasks[2].adapter], from: try Checkpoint(directory: directory("all")), output: directory("without"))
    let all = try LanguageModel(directory: directory("all"))
    let without = try LanguageModel(directory: directory("without"))
    let original = try LanguageModel(directory: goldens.model)
    var changed = 0
    for parameter in original.parameters {
      let (old, full, left) = (
        try original.values(parameter.name), try all.values(parameter.name), try without.values(parameter.name)
      )
      let removed = tasks[2].mask[parameter.name]?.bits
      for index in old.indices {
        let isRemoved = removed?[index] == true
        #expect(left[index].bitPattern == (isRemoved ? old : full)[index].bitPattern)
        if isRemoved, old[index] != full[index] { changed += 1 }
      }
    }
    #expect(changed > 1000, "the third ticket hardly changed anything")
    let others = [0, 1, 3, 4].map { tasks[$0].adapter.path }
    let opened = try LoadedModel(directory: goldens.model, adapters: others)
    #expect(try opened.model.snapshot() == without.snapshot())
  }

  @Test func orderOfAdaptersDoesNotMatter() throws {
    let tasks = try Self.chain(2, .steps(2))
    let paths = tasks.map(\.adapter.path)
    let third = try withExtendedLifetime(tasks) {
      try [paths, paths.reversed()].map { order in
        try Self.task {
          $0.adapters = order
          $0.training.seed = 3
        }
      }
    }
    #expect(third[0].adapter.configuration == third[1].adapter.configuration)
    #expect(try third[0].outcome.loaded.model.snapshot() == third[1].outcome.loaded.model.snapshot())
    let note = try #require(third[0].small.notes.first { $0.contains("adapters") })
    #expect(note.contains("2 adapters are applied") && note.contains("excluded from calibration and ticket"))
  }

  @Test func exclusionWithoutApplication() throws {
    let first = try Self.task { _ in }
    defer { withExtendedLifetime(first) {} }
    for ticket in [first.adapter.path, first.small.run.directory.maskPath] {
      let second = try Self.task { $0.exclude = [ticket] }
      #expect(second.mask.sharedCount(with: first.mask) == 0)
      let base = try LanguageModel(directory: goldens.model)
      try second.outcome.loaded.model.expectUnchanged(outside: second.mask, base: base)
      #expect(second.adapter.configuration.training["prerequisites"] == nil)
    }
  }

  @Test func givenTicketThatOverlaps() throws {
    let first = try Self.task { _ in }
    defer { withExtendedLifetime(first) {} }
    let path = first.small.run.directory.maskPath
    #expect(throws: TicketsError.ticketsOverlap(shared: 1382, kept: 1382)) {
      try SmallRun {
        $0.mask = path
        $0.exclude = [first.adapter.path]
      }
    }
    #expect(throws: TicketsError.ticketsOverlap(shared: 1382, kept: 1382)) {
      try SmallRun {
        $0.mask = path
        $0.adapters = [first.adapter.path]
      }
    }
  }

  @Test(arguments: [Calibration.steps(3), .steps(0)]) func tooLittleIsLeft(_ calibration: Calibration) throws {
    let first = try Self.task { $0.sparsity = 0.4 }
    defer { withExtendedLifetime(first) {} }
    #expect(
      throws: TicketsError.capacityTooSmall(requested: 8294, available: 5530, excluded: 8294, total: 13824)
    ) {
      try SmallRun {
        $0.sparsity = 0.4
        $0.calibration = calibration
        $0.exclude = [first.adapter.path]
      }
    }
  }

  @Test func ticketsOnPEFTAdaptersAreRefused() throws {
    let low = try SmallRun { $0.method = .lora }
    defer { withExtendedLifetime(low) {} }
    let path = try #require(try low.run.run().lora).path
    #expect(throws: TrainingError.ticketOnDenseAdapter(path: path)) { try SmallRun { $0.adapters = [path] } }
    let dense = try SmallRun {
      $0.method = .fft
      $0.adapters = [path]
    }
    let start = try LoadedModel(directory: goldens.model, adapters: [path]).model.snapshot()
    #expect(try dense.model.snapshot() == start)
    _ = try dense.run.run()
    #expect(try dense.model.snapshot() != start)
  }

  /// The baseline: nothing is excluded unless it is named.
  @Test func fullFineTuningBeginsWithTheAdapters() throws {
    let first = try Self.task { _ in }
    defer { withExtendedLifetime(first) {} }
    let small = try SmallRun {
      $0.method = .fft
      $0.adapters = [first.adapter.path]
    }
    let start = first.outcome.loaded.model
    #expect(try small.model.snapshot() == start.snapshot())
    let outcome = try small.run.run()
    #expect(try small.model.values(of: first.mask) != start.values(of: first.mask))
    let written = try LanguageModel(directory: try #require(outcome.modelPath))
    #expect(try written.snapshot() == small.model.snapshot())
  }
}
