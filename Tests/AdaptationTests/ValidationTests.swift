import Adaptation
import Checkpoints
import Foundation
import TestSupport
import Testing
import Tickets

/// Held-out rows scored on the way: the same figures as a scorer's, and no trace in the result.
@Suite(.engine) struct ValidationTests {
  private static func records(_ run: SmallRun) throws -> [ValidationRecord] {
    let data = try FileSystem.read(run.run.directory.validationPath)
    return try data.split(separator: UInt8(ascii: "\n")).map {
      try JSONDecoder().decode(ValidationRecord.self, from: Data($0))
    }
  }

  @Test("scored where due, calibration left out, the last step in any case", arguments: TrainingMethod.allCases)
  func schedule(method: TrainingMethod) throws {
    let small = try SmallRun { configuration in
      configuration.method = method
      configuration.validation.files = [configuration.data]
      configuration.validation.every = 2
    }
    let outcome = try small.run.run()
    #expect(outcome.validations.map(\.step) == [2, 4, 5])
    #expect(Set(outcome.validations.map(\.phase)) == [method == .lota ? .adaptation : .training])
    #expect(try Self.records(small) == outcome.validations)
    let last = try #require(outcome.validations.last)
    #expect(last.rows == 14)
  }

  @Test("the last score is a scorer's over the finished model")
  func figures() throws {
    let small = try SmallRun { configuration in
      configuration.method = .fft
      configuration.validation.files = [configuration.data]
    }
    let outcome = try small.run.run()
    let last = try #require(outcome.validations.last)
    let scores = try Scorer(small.model).score(small.goldens.rows())
    let total = -scores.reduce(0) { $0 + $1.logprob }
    expectClose(last.loss, total / Double(scores.count), relative: 1e-6)
    expectClose(last.tokenLoss, total / Double(scores.reduce(0) { $0 + $1.count }), relative: 1e-6)
  }

  @Test("the same weights as without, dropout included", arguments: TrainingMethod.allCases)
  func leavesNoTrace(method: TrainingMethod) throws {
    func weights(_ files: [String]) throws -> [String: [UInt8]] {
      let small = try SmallRun { configuration in
        configuration.method = method
        if method == .lora { configuration.lora.dropout = 0.3 }
        configuration.validation.files = files
        configuration.validation.every = 1
      }
      let outcome = try small.run.run()
      if let lora = outcome.lora {
        return ["lora": Array(try FileSystem.read(FileSystem.join(lora.path, "adapter_model.safetensors")))]
      }
      return try small.model.snapshot()
    }
    #expect(try weights([]) == weights([try TrainingGoldens().data]))
  }
}
