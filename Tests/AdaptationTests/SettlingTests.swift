import Adaptation
import Decoder
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Calibration that ends by itself.
@Suite(.engine) struct SettlingTests {
  private static func stopping(_ overlap: Double, every interval: Int) -> CalibrationStopping {
    var stopping = CalibrationStopping()
    stopping.overlap = overlap
    stopping.interval = interval
    return stopping
  }

  /// The ticket after so many steps of the same calibration.
  private static func ticket(_ steps: Int, _ ranking: Ranking) throws -> Mask {
    try #require(
      try SmallRun.outcome {
        $0.calibration = .steps(steps)
        $0.rankBy = ranking
        $0.training.length = .steps(1)
      }.mask)
  }

  @Test(arguments: [Ranking.update, .snip, .squaredGradient])
  func overlapsAreThoseOfTheTicketsAlone(_ ranking: Ranking) throws {
    let tickets = try [2, 4, 6].map { try Self.ticket($0, ranking) }
    let overlaps = zip(tickets, tickets.dropFirst()).map { Double($0.sharedCount(with: $1)) / 1382 }
    func run(_ overlap: Double) throws -> (SmallRun, RunOutcome) {
      let small = try SmallRun {
        $0.calibration = .steps(9)
        $0.rankBy = ranking
        $0.stopping = Self.stopping(overlap, every: 2)
      }
      return (small, try small.run.run())
    }
    // Never settles: looks after 2, 4, 6 and 8 steps, and goes on to the end.
    let (_, whole) = try run(1)
    let report = try #require(whole.settling)
    #expect(report.checks.map(\.step) == [2, 4, 6, 8] && report.steps == 9 && !report.isSettled)
    #expect(report.checks[0].overlap == nil && report.savedShare == 0)
    #expect(Array(report.checks.compactMap(\.overlap).prefix(2)) == overlaps)
    // Settles at the second overlap, where that is the higher one; else at the first.
    let threshold = overlaps[1]
    let (small, stopped) = try run(threshold)
    let end = overlaps[0] >= threshold ? 4 : 6
    let ended = try #require(stopped.settling)
    #expect(ended.isSettled && ended.steps == end && ended.plannedSteps == 9)
    #expect(abs(ended.savedShare - Double(9 - end) / 9) < 1e-12)
    #expect(stopped.mask == tickets[end / 2 - 1])
    let records = stopped.records.filter { $0.phase == .calibration }
    #expect(records.map(\.step) == Array(1...end))
    let seen: [Double?] = end == 4 ? [nil, nil, nil, overlaps[0]] : [nil, nil, nil, overlaps[0], nil, overlaps[1]]
    #expect(records.map(\.ticketOverlap) == seen)
    #expect(try small.metrics == stopped.records)
    #expect(small.notes.contains { $0.contains("settled after \(end) of 9 steps") })
    let html = RunReport(stopped, configuration: small.run.configuration, title: "run").html
    #expect(html.contains("Calibration&#39;s end") || html.contains("Calibration's end"))
    #expect(html.contains("settled after \(end) of 9 steps"))
  }

  @Test func tooFewChangesAreNoEnd() throws {
    // Without a gradient for a whole tensor's share there is no ticket yet.
    let monitor = SettlingMonitor(Self.stopping(0.5, every: 1), plannedSteps: 3) {
      throw TicketsError.fewerChangedThanRequested(changed: 1, requested: 2, total: 4)
    }
    #expect(try monitor.check(after: 1) == nil)
    #expect(try monitor.check(after: 2) == nil)
    #expect(!monitor.report.isSettled && monitor.report.checks.map(\.step) == [1, 2])
    let other = SettlingMonitor(Self.stopping(0.5, every: 1), plannedSteps: 3) {
      throw TicketsError.sparsityOutOfRange(2)
    }
    #expect(throws: TicketsError.sparsityOutOfRange(2)) { try other.check(after: 1) }
  }

  @Test(
    arguments: [
      ("mask", "rank-by"), ("mask", "stop-overlap"), ("mask", "scope"), ("mask", "quota"), ("mask", "iterate"),
      ("no steps", "rank-by"), ("no steps", "stop-overlap"), ("one step", "stop-overlap"), ("one step", "rank-by"),
      ("descending", "iterate"), ("overlap", "stop-overlap"), ("interval", "stop-every"),
    ])
  func combinationsThatAreRefused(_ setting: String, _ option: String) throws {
    let error = #expect(throws: TrainingError.self) {
      try SmallRun {
        switch option {
        case "rank-by": $0.rankBy = setting == "one step" ? .update : .snip
        case "stop-overlap": $0.stopping = Self.stopping(setting == "overlap" ? 1.1 : 0.5, every: 2)
        case "stop-every": $0.stopping = Self.stopping(0.5, every: 0)
        case "scope": $0.scope = ScopeParts([.norms])
        case "quota": $0.quota = .perTensor
        default: $0.iterations = [setting == "descending" ? 0.95 : 0.5]
        }
        switch setting {
        case "mask": $0.mask = "any.safetensors"
        case "no steps": $0.calibration = .steps(0)
        case "one step": $0.calibration = .steps(1)
        default: break
        }
      }
    }
    guard case .invalidOption(let name, _, _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(name == option)
  }

  @Test func scopeThatTheModelLacks() throws {
    #expect(throws: TicketsError.scopePartMissing(.head)) { try SmallRun { $0.scope = ScopeParts([.head]) } }
    #expect(TicketsError.scopePartMissing(.head).description.contains("embeddings instead"))
  }

  /// With plain descent a single step does rank weights.
  @Test func updateAfterOneStepOfDescent() throws {
    func mask(_ ranking: Ranking?) throws -> Mask {
      try #require(
        try SmallRun.outcome {
          $0.calibration = .steps(1)
          $0.rankBy = ranking
          $0.training.optimizer = .sgd
          $0.training.maximumGradientNorm = nil
          $0.training.learningRate = 0.01
        }.mask)
    }
    #expect(try mask(.update).overlap(with: mask(nil)).total.jaccard > 0.99)
  }
}
