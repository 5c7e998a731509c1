import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Runs that end early and are gone on with: the same result, to the bit, as without the interruption.
@Suite(.engine) struct ResumeTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let stops: [(phase: Phase, step: Int)]
    let change: @Sendable (inout RunConfiguration) -> Void
    var testDescription: String { name }
  }

  static let cases = [
    Case(name: "LoTA", stops: [(.calibration, 2), (.calibration, 5), (.adaptation, 1), (.adaptation, 5)]) { _ in },
    Case(name: "LoTA, shuffled, AdamW, micro-batches", stops: [(.calibration, 3), (.adaptation, 4)]) {
      $0.training.shuffles = true
      $0.training.optimizer = .adamW(weightDecay: 0.1)
      $0.training.microBatchTokens = 60
      $0.training.warmupSteps = 3
    },
    Case(name: "tickets in turn", stops: [(.calibration, 4), (.iteration, 2), (.iteration, 5), (.adaptation, 3)]) {
      $0.iterations = [0.5, 0.8]
    },
    Case(name: "ranked by gradients", stops: [(.calibration, 2), (.adaptation, 2)]) {
      $0.rankBy = .squaredGradient
      $0.training.microBatchTokens = 60
    },
    Case(name: "a calibration that ends by itself", stops: [(.calibration, 2), (.calibration, 3), (.adaptation, 1)]) {
      $0.calibration = .steps(12)
      $0.stopping = CalibrationStopping()
      $0.stopping?.interval = 2
      $0.stopping?.overlap = 0.5
    },
    Case(name: "full fine-tuning", stops: [(.training, 1), (.training, 4)]) {
      $0.method = .fft
      $0.training.optimizer = .adamW()
    },
    Case(name: "LoRA with dropout, all clipped together", stops: [(.training, 2)]) {
      $0.method = .lora
      $0.lora.dropout = 0.3
      $0.training.clipping = .global
      $0.training.microBatchTokens = 60
    },
    Case(name: "LoTA in bfloat16", stops: [(.adaptation, 3)]) {
      $0.dtype = "bfloat16"
      $0.calibration = .steps(2)
    },
    Case(name: "SGD, steps that may be left out", stops: [(.adaptation, 2)]) {
      $0.training.optimizer = .sgd
      $0.training.maximumSkippedSteps = 2
    },
  ]

  /// Everything that a run leaves and that does not tell the time.
  private static func artefacts(_ small: SmallRun) throws -> [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    func collect(_ folder: String) throws {
      for name in try FileSystem.contents(of: small.path(folder)) {
        let path = "\(folder)/\(name)"
        if FileSystem.isDirectory(small.path(path)) {
          try collect(path)
        } else if name != "metrics.jsonl" {
          found[path] = Array(try FileSystem.read(small.path(path)))
        }
      }
    }
    try collect("run")
    return found
  }

  private static func timeless(_ records: [MetricsRecord]) -> [MetricsRecord] {
    records.map {
      var record = $0
      record.seconds = 0
      return record
    }
  }

  @Test("stopped after any of several steps, and gone on with", arguments: cases)
  func exact(_ example: Case) throws {
    func changed(_ configuration: inout RunConfiguration) {
      example.change(&configuration)
      configuration.validation.files = [configuration.data]
      configuration.validation.every = 2
    }
    let whole = try SmallRun(changed)
    let expected = try whole.run.run()
    let artefacts = try Self.artefacts(whole)
    #expect(artefacts.keys.contains { $0.hasPrefix("run/adapter/") || $0.hasPrefix("run/model/") })
    for stop in example.stops {
      var home: TemporaryDirectory?
      do {
        let first = try SmallRun(stop: { $0.record.phase == stop.phase && $0.record.step == stop.step }, changed)
        home = first.home
        #expect(throws: TrainingError.stopped(phase: stop.phase, step: stop.step)) { try first.run.run() }
      }
      let second = try SmallRun(stop: { _ in false }, goingOnFrom: home, changed)
      let outcome = try second.run.run()
      #expect(try Self.artefacts(second) == artefacts, "\(stop)")
      #expect(Self.timeless(try second.metrics) == Self.timeless(try whole.metrics), "\(stop)")
      let metrics = try second.metrics
      #expect(outcome.validations == expected.validations && outcome.records == metrics)
      #expect(outcome.settling?.steps == expected.settling?.steps)
    }
  }

  /// After every step anew, and each time from a checkpoint of two steps at least.
  @Test("killed again and again") func manyInterruptions() throws {
    let whole = try SmallRun()
    _ = try whole.run.run()
    var home: TemporaryDirectory?
    for _ in 0..<10 {
      var steps = 0
      let part = try SmallRun(
        stop: { _ in
          steps += 1
          return steps == 1
        }, goingOnFrom: home)
      home = part.home
      #expect(throws: TrainingError.self) { try part.run.run() }
    }
    let last = try SmallRun(stop: { _ in false }, goingOnFrom: home)
    _ = try last.run.run()
    #expect(try Self.artefacts(last) == Self.artefacts(whole))
  }

  // MARK: - Checkpoints

  /// Stops after a step of adaptation, a checkpoint every two steps, and returns where.
  private func interrupted(
    after step: Int = 5, _ change: (inout RunConfiguration) -> Void = { _ in }
  ) throws -> TemporaryDirectory {
    let small = try SmallRun(
      stop: { $0.record.phase == .adaptation && $0.record.step == step }, saveEvery: 2, change)
    #expect(throws: TrainingError.stopped(phase: .adaptation, step: step)) { try small.run.run() }
    return small.home
  }

  private func checkpoints(_ home: TemporaryDirectory) throws -> [String] {
    try FileSystem.contents(of: home("run/checkpoints")).filter { $0.hasSuffix("safetensors") }
  }

  @Test("the last two are kept, those of a ticket without the rest of the model")
  func kept() throws {
    let home = try interrupted()
    #expect(
      try checkpoints(home) == ["2-adaptation-000000004.safetensors", "2-adaptation-000000005.safetensors"])
    let file = try SafetensorsFile(path: home("run/checkpoints/2-adaptation-000000005.safetensors"))
    // 1,382 weights of a ticket: value and moment, float32.
    let bytes = file.tensors.filter { $0.name != "steps" }.reduce(0) { $0 + $1.byteCount }
    #expect(bytes == 1382 * 8)
  }

  @Test("one that cannot be read is passed over, with a word")
  func damaged() throws {
    let whole = try SmallRun()
    _ = try whole.run.run()
    let home = try interrupted()
    let newest = home("run/checkpoints/2-adaptation-000000005.safetensors")
    try FileSystem.writeAtomically(try FileSystem.read(newest).dropLast(3), to: newest)
    let small = try SmallRun(stop: { _ in false }, goingOnFrom: home)
    #expect(small.notes.contains { $0.contains("going on from the checkpoint before, 2-adaptation-000000004") })
    _ = try small.run.run()
    #expect(try Self.artefacts(small) == Self.artefacts(whole))
  }

  @Test("none that can be read") func allDamaged() throws {
    let home = try interrupted()
    for name in try checkpoints(home) {
      try FileSystem.writeAtomically("not a checkpoint", to: home("run/checkpoints/" + name))
    }
    let error = #expect(throws: RunCheckpointError.self) { try SmallRun(stop: { _ in false }, goingOnFrom: home) }
    guard case .noUsableCheckpoint(_, let reasons)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(reasons.count == 2)
  }

  @Test("a value that is no number is not kept") func notFinite() throws {
    final class Holder { var small: SmallRun? }
    let holder = Holder()
    let small = try SmallRun(
      stop: { report in
        guard report.record.phase == .adaptation, report.record.step == 3 else { return false }
        try? holder.small?.model.parameter(named: "model.layers.0.self_attn.q_proj.weight")?.value.fill(.infinity)
        return true
      }, saveEvery: 1)
    holder.small = small
    defer { holder.small = nil }
    let error = #expect(throws: RunCheckpointError.self) { try small.run.run() }
    guard case .valueNotFinite(_, "value/model.layers.0.self_attn.q_proj.weight")? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(
      try checkpoints(small.home) == ["2-adaptation-000000001.safetensors", "2-adaptation-000000002.safetensors"])
  }

  // MARK: - After numbers that went wrong

  @Test("a weight that is spoiled on the way: the last checkpoint is good") func afterDamage() throws {
    final class Holder { weak var small: SmallRun? }
    let whole = try SmallRun()
    _ = try whole.run.run()
    let home: TemporaryDirectory
    do {
      let holder = Holder()
      let small = try SmallRun(
        stop: { report in
          if report.record.phase == .adaptation, report.record.step == 3 {
            try? holder.small?.model.parameter(named: "model.norm.weight")?.value.fill(.nan)
          }
          return false
        }, saveEvery: 1)
      holder.small = small
      home = small.home
      #expect(throws: TrainingError.weightNotFinite(phase: .adaptation, step: 4, tensor: "model.norm.weight")) {
        try small.run.run()
      }
    }
    let resumed = try SmallRun(stop: { _ in false }, goingOnFrom: home)
    #expect(resumed.notes.contains("going on after step 3 of adaptation"))
    _ = try resumed.run.run()
    #expect(try Self.artefacts(resumed) == Self.artefacts(whole))
  }

  @Test("a rate that overflows: the last checkpoint is good") func afterOverflow() throws {
    let whole = try SmallRun()
    _ = try whole.run.run()
    let home = try interrupted(after: 2)
    do {
      let small = try SmallRun(stop: { _ in false }, goingOnFrom: home, saveEvery: 1) {
        $0.training.learningRate = 1e38
      }
      let error = #expect(throws: TrainingError.self) { try small.run.run() }
      guard case .updateNotFinite(.adaptation, 3, _, 1e38)? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }
    let resumed = try SmallRun(stop: { _ in false }, goingOnFrom: home)
    _ = try resumed.run.run()
    #expect(try Self.artefacts(resumed) == Self.artefacts(whole))
  }

  @Test("an infinite rate is refused", arguments: [Double.infinity, .nan]) func infiniteRate(_ rate: Double) throws {
    let error = #expect(throws: TrainingError.self) { try SmallRun { $0.training.learningRate = rate } }
    #expect(error == .invalidOption(name: "learning-rate", value: "\(rate)", expected: "a positive number"))
  }

  // MARK: - What must be the same

  @Test("other options, and the one that may change") func otherOptions() throws {
    let home = try interrupted()
    #expect(
      throws: RunCheckpointError.otherOptions(
        path: home("run"), names: ["sparsity", "training.batchSize"])
    ) {
      try SmallRun(stop: { _ in false }, goingOnFrom: home) {
        $0.training.batchSize = 3
        $0.sparsity = 0.8
      }
    }
    let small = try SmallRun(stop: { _ in false }, goingOnFrom: home) { $0.training.learningRate = 1e-4 }
    #expect(small.notes.contains("the learning rate was 0.001 and is now 0.0001"))
    let outcome = try small.run.run()
    #expect(outcome.records.count == 10)
  }

  @Test("other rows") func otherData() throws {
    let directory = try TemporaryDirectory()
    let rows = directory("rows.jsonl")
    let text = try String(contentsOfFile: TrainingGoldens().data, encoding: .utf8)
    try FileSystem.writeAtomically(text, to: rows)
    let home = try interrupted { $0.data = rows }
    try FileSystem.writeAtomically(text + #"{"prompt": "1", "completion": "2"}"# + "\n", to: rows)
    #expect(throws: RunCheckpointError.otherInputs(path: home("run"), names: ["data \(rows)"])) {
      try SmallRun(stop: { _ in false }, goingOnFrom: home) { $0.data = rows }
    }
    try FileSystem.writeAtomically(text, to: rows)
    _ = try SmallRun(stop: { _ in false }, goingOnFrom: home) { $0.data = rows }.run.run()
  }

  // MARK: - The directory

  @Test("two at once, and one that has not ended") func inUse() throws {
    let small = try SmallRun(stop: { $0.record.step == 2 })
    #expect(throws: RunCheckpointError.inUse(path: small.path("run"))) {
      try SmallRun(stop: { _ in false }, goingOnFrom: small.home)
    }
    #expect(throws: RunCheckpointError.unfinished(path: small.path("run"))) {
      try TrainingRun(small.goldens.configuration(), output: small.path("run"))
    }
    withExtendedLifetime(small) {}
  }

  @Test("an ended run is read back") func ended() throws {
    var home: TemporaryDirectory?
    let expected: RunOutcome
    do {
      let small = try SmallRun { $0.validation.files = [$0.data] }
      home = small.home
      expected = try small.run.run()
      #expect(!FileSystem.exists(small.run.directory.checkpointsPath))
    }
    let directory = try #require(home)
    let path = directory("run")
    let configuration = try TrainingGoldens().configuration { $0.validation.files = [$0.data] }
    let finished = try #require(try FinishedRun(configuration, directory: path)).outcome
    #expect(finished.records == expected.records && finished.mask == expected.mask)
    #expect(finished.adapter?.path == expected.adapter?.path && finished.validations == expected.validations)
    #expect(finished.best?.result == expected.best?.result && finished.best?.path == path + "/adapter-best")
    #expect(try finished.loaded.model.snapshot() == expected.loaded.model.snapshot())
    #expect(throws: RunCheckpointError.otherOptions(path: path, names: ["sparsity"])) {
      try FinishedRun(
        try TrainingGoldens().configuration {
          $0.validation.files = [$0.data]
          $0.sparsity = 0.5
        }, directory: path)
    }
  }

  @Test("nothing there yet, and something that is no run") func elsewhere() throws {
    let home = try TemporaryDirectory()
    #expect(try FinishedRun(try TrainingGoldens().configuration(), directory: home("run")) == nil)
    _ = try SmallRun(stop: { _ in false }, goingOnFrom: home).run.run()
    let other = try TemporaryDirectory()
    try FileSystem.createDirectory(other("run"))
    try FileSystem.writeAtomically("mine", to: other("run/notes.txt"))
    #expect(throws: RunCheckpointError.notARun(path: other("run"))) {
      try SmallRun(stop: { _ in false }, goingOnFrom: other)
    }
    #expect(try FileSystem.contents(of: other("run")) == ["notes.txt"])
  }
}
