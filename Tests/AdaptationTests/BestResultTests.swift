import Adaptation
import Checkpoints
import Foundation
import TestSupport
import Testing
import Tickets

/// What is trained at its best held-out score, and training that ends when no better one comes.
@Suite(.engine) struct BestResultTests {
  private static let stepCount = 12
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    let rows = [
      #"{"prompt": "2w%1", "completion": "\\.d={12~"}"#, #"{"prompt": "cT:k", "completion": "+/1=d"}"#,
    ]
    try FileSystem.writeAtomically(rows.joined(separator: "\n") + "\n", to: directory("held.jsonl"))
  }

  /// Held-out rows unlike the others, scored after every step: their loss falls, and rises again.
  private func overshoots(_ configuration: inout RunConfiguration) {
    configuration.training.learningRate = configuration.method == .lora ? 3e-2 : 1e-2
    configuration.training.length = .steps(Self.stepCount)
    configuration.validation.files = [directory("held.jsonl")]
    configuration.validation.every = 1
  }

  private static func files(_ directory: String) throws -> [String: [UInt8]] {
    try Dictionary(
      uniqueKeysWithValues: FileSystem.contents(of: directory).map {
        ($0, Array(try FileSystem.read(FileSystem.join(directory, $0))))
      })
  }

  @Test("the best is what a run of so many steps gives, and the last is kept too", arguments: TrainingMethod.allCases)
  func best(_ method: TrainingMethod) throws {
    let small = try SmallRun {
      $0.method = method
      overshoots(&$0)
    }
    let outcome = try small.run.run()
    let best = try #require(outcome.best)
    let losses = outcome.validations.map(\.tokenLoss)
    let least = try #require(losses.min())
    #expect(best.result.tokenLoss == least && best.result.step == losses.firstIndex(of: least).map { $0 + 1 })
    #expect(best.result.scoresSince == losses.count - (best.result.step ?? 0))
    let shorter = try SmallRun {
      $0.method = method
      overshoots(&$0)
      $0.training.length = .steps(best.result.step ?? 0)
    }
    let expected = try shorter.run.run()
    let name = method == .fft ? "model" : "adapter"
    #expect(try Self.files(small.path("run/\(name)-best")) == Self.files(shorter.path("run/\(name)")))
    #expect(expected.records.count == outcome.records.count - Self.stepCount + (best.result.step ?? 0))
    // The case is worth nothing unless best and last differ.
    #expect(best.result.step ?? Self.stepCount < Self.stepCount)
    #expect(try Self.files(small.path("run/\(name)-best")) != Self.files(small.path("run/\(name)")))
  }

  @Test("training ends once scores are no better") func earlyStopping() throws {
    let all = try SmallRun.outcome(overshoots).validations.map(\.tokenLoss)
    // By hand: after how many steps two scores in turn were no better than the best before them.
    var (least, since, expected) = (Double.infinity, 0, all.count)
    for (index, loss) in all.enumerated() {
      (least, since) = loss < least ? (loss, 0) : (least, since + 1)
      if since == 2 {
        expected = index + 1
        break
      }
    }
    #expect(expected < all.count, "\(all)")
    let small = try SmallRun {
      overshoots(&$0)
      $0.validation.patience = 2
    }
    let outcome = try small.run.run()
    #expect(outcome.validations.map(\.tokenLoss) == Array(all.prefix(expected)))
    #expect(small.notes.contains("adaptation ended early: 2 scores in turn were no better"))
    #expect(outcome.records.count { $0.phase == .adaptation } == expected)
  }

  @Test("not kept where that is not wanted") func notKept() throws {
    let small = try SmallRun {
      overshoots(&$0)
      $0.validation.keepsBest = false
    }
    #expect(try small.run.run().best == nil)
    #expect(!FileSystem.exists(small.path("run/adapter-best")))
  }
}
