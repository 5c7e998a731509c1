import Adaptation
import ArgumentParser

/// How a run is kept, and gone on with.
struct CheckpointOptions: ParsableArguments {
  @Option(help: "Keep what is needed to go on every N steps, beside --save-minutes; the last two are kept.")
  var saveEvery: Int?

  @Option(help: "Keep it every N minutes; 0: not by time. Default: 30. Ctrl-C and SIGTERM keep it in any case.")
  var saveMinutes: Double?

  @Flag(help: "Go on with the run in --out, if there is one; give the options that it began with.")
  var resume = false

  func validate() throws {
    if let saveEvery, saveEvery < 1 { throw ValidationError("--save-every is \(saveEvery): use at least 1") }
    if let saveMinutes, !(saveMinutes >= 0 && saveMinutes.isFinite) {
      throw ValidationError("--save-minutes is \(saveMinutes): use 0 or more")
    }
  }

  var schedule: CheckpointSchedule {
    var schedule = CheckpointSchedule()
    schedule.everySteps = saveEvery
    if let saveMinutes { schedule.everyMinutes = saveMinutes == 0 ? nil : saveMinutes }
    return schedule
  }
}
