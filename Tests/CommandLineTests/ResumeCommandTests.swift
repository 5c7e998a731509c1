import Foundation
import TestSupport
import Testing

/// `train` that is interrupted, and gone on with.
struct ResumeCommandTests {
  private let workspace: Workspace
  private var directory: TemporaryDirectory { workspace.directory }

  init() throws { workspace = try Workspace() }

  private func arguments(_ run: String, steps: Int = 400, _ more: String...) -> [String] {
    ["train", "--model", "model", "--data", "rows.jsonl", "--out", run] + Workspace.schedule
      + ["--steps", "\(steps)", "--calibration-steps", "2"] + more
  }

  private func adapter(_ run: String) throws -> [String: Data] {
    let folder = directory.file("\(run)/adapter")
    return try Dictionary(
      uniqueKeysWithValues: FileManager.default.contentsOfDirectory(atPath: folder).map {
        ($0, try Data(contentsOf: URL(fileURLWithPath: folder + "/" + $0)))
      })
  }

  /// Starts a run and waits until some of its steps are done.
  private func begun(_ run: String) throws -> LotaProcess {
    let process = try Lota.start(arguments(run), in: directory)
    let metrics = directory.file("\(run)/metrics.jsonl")
    while process.isRunning, (try? String(contentsOfFile: metrics, encoding: .utf8))?.contains("adaptation") != true {
      usleep(2000)
    }
    return process
  }

  @Test(
    "a signal ends the step, what is needed is kept, --resume goes on to the same bytes", arguments: [SIGINT, SIGTERM])
  func interrupted(_ signal: Int32) throws {
    _ = try Lota.run(arguments("whole"), in: directory)
    let process = try begun("run")
    process.signal(signal)
    let result = try process.finish()
    #expect(result.code == 1 && !result.wasSignalled && result.output.isEmpty, "\(result.errors)")
    #expect(result.errors.contains("finishing the step, then saving; once more to stop at once"))
    #expect(result.errors.contains("Error: stopped in adaptation after step "))
    #expect(result.errors.contains("and saved: the same command with --resume goes on\n"))
    #expect(!FileManager.default.fileExists(atPath: directory.file("run/adapter")))

    try expectRefusal(arguments("run"), in: directory, mentions: ["run holds a run that has not ended", "--resume"])
    try expectRefusal(
      arguments("run", steps: 300, "--resume"), in: directory,
      mentions: ["run was begun with other options (training.length", "another directory"], leavesFiles: true)

    let resumed = try Lota.run(arguments("run") + ["--resume", "--json"], in: directory)
    #expect(resumed.code == 0, "\(resumed.errors)")
    #expect(resumed.errors.contains("note: going on after step "))
    #expect(try adapter("run") == adapter("whole"))
    let again = try Lota.run(arguments("run") + ["--resume", "--json"], in: directory)
    #expect(again.code == 0 && again.errors.contains("the run in run has ended already"))
    #expect(try again.json()["trained"] as? Int == resumed.json()["trained"] as? Int)
    #expect(try again.json()["adapter"] as? String == "run/adapter")
  }

  @Test("a second signal ends it at once") func twice() throws {
    let process = try begun("run")
    // Stopped, it gets both before it comes to the end of its step.
    process.signal(SIGSTOP)
    process.signal(SIGTERM)
    process.signal(SIGINT)
    process.signal(SIGCONT)
    let result = try process.finish()
    #expect(
      [128 + SIGTERM, 128 + SIGINT].contains(result.code) && !result.wasSignalled, "\(result.code) \(result.errors)")
    #expect(!result.errors.contains("Error: "))
  }

  @Test("two processes in one run directory") func twoAtOnce() throws {
    let process = try begun("run")
    process.signal(SIGSTOP)
    try expectRefusal(
      arguments("run", steps: 400, "--resume"), in: directory,
      mentions: ["run is in use by another process", "another directory"])
    process.signal(SIGCONT)
    #expect(try process.finish().code == 0)
  }

  @Test("calibration alone goes on too") func calibration() throws {
    let command = [
      "calibrate", "--model", "model", "--data", "rows.jsonl", "--steps", "3", "--save-every", "1", "--out", "c",
    ]
    #expect(try Lota.run(command + ["--resume"], in: directory).code == 0)
    let again = try Lota.run(command + ["--resume"], in: directory)
    #expect(again.code == 0 && again.output == "c/model\n" && again.errors.contains("has ended already"))
  }

  @Test("options that make no sense") func usage() throws {
    for (options, mentions) in [
      (["--save-every", "0"], "--save-every is 0"), (["--save-minutes", "-1"], "--save-minutes"),
      (["--early-stopping", "2"], "--early-stopping needs --validation"),
      (["--no-keep-best"], "--no-keep-best needs --validation"),
      (["--validation", "rows.jsonl", "--early-stopping", "0"], "--early-stopping is 0"),
    ] {
      try expectUsageError(arguments("run") + options, in: directory, mentions: [mentions])
    }
  }
}
