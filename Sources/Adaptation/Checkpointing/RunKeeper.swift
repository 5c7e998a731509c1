internal import Checkpoints
internal import Torch

/// Keeps a run so that it can be gone on with: knows where it goes on, and writes its checkpoints.
///
/// While it lives, no other process works in the run directory.
final class RunKeeper {
  /// Whether the directory held a run before.
  let resumes: Bool
  /// Where the run goes on; nil at its beginning.
  private(set) var start: RunCheckpoint?
  var settling: SettlingReport?
  var best = BestResult()
  var skipped: [SkippedStep] = []

  private let directory: RunDirectory
  private let store: CheckpointStore
  private let schedule: CheckpointSchedule
  private var lock: FileLock?
  private var inputs: [String: String]
  private let fingerprint: () throws -> String
  private let clock = ContinuousClock()
  private var lastSave: ContinuousClock.Instant

  /// - Parameters:
  ///   - lock: of the directory.
  ///   - resumes: whether to go on from the newest checkpoint, if there is one.
  ///   - inputs: digests of what the run reads, but for the weights.
  ///   - fingerprint: of the weights, asked for when it is first needed.
  /// - Throws: ``RunCheckpointError``: other files than the run began with, or no checkpoint that can be read.
  init(
    _ directory: RunDirectory, lock: FileLock, schedule: CheckpointSchedule, resumes: Bool, inputs: [String: String],
    fingerprint: @escaping () throws -> String, note: (String) -> Void
  ) throws {
    self.directory = directory
    self.lock = lock
    self.schedule = schedule
    self.resumes = resumes
    self.inputs = inputs
    self.fingerprint = fingerprint
    store = CheckpointStore(directory: directory.checkpointsPath)
    lastSave = clock.now
    guard resumes, let newest = try store.newest(note) else { return }
    let differences = RunInputs.differences(try allInputs(), newest.state.inputs)
    guard differences.isEmpty else {
      throw RunCheckpointError.otherInputs(path: directory.path, names: differences)
    }
    let state = newest.state
    if state.threads != Engine.threadCount {
      note(
        "begun with \(state.threads) threads, going on with \(Engine.threadCount): sums may differ in their last bits")
    }
    (start, settling, best, skipped) = (newest, state.settling, state.best, state.skipped)
    note("going on after step \(state.step) of \(MetricsRecord.name(of: state.part))")
  }

  /// The checkpoint that a part begins with, where the run stands in it.
  func start(of part: RunPart) -> RunCheckpoint? {
    start.flatMap { $0.state.part == part ? $0 : nil }
  }

  /// Whether a record of a step still counts: those after the checkpoint are about to be repeated.
  func keeps(_ part: RunPart, step: Int) -> Bool {
    guard let state = start?.state else { return false }
    return part < state.part || (part == state.part && step <= state.step)
  }

  /// The most that the processes of this run held at once.
  var peakMemoryBytes: Int { max(Engine.peakMemoryInBytes, start?.state.peakMemoryBytes ?? 0) }

  func isDue(step: Int) -> Bool { schedule.isDue(step: step, sinceLast: clock.now - lastSave) }

  func save(
    _ part: RunPart, step: Int, seconds: [(part: String, seconds: Double)], _ tensors: [SavedTensor]
  ) throws {
    var state = RunState(inputs: try allInputs(), threads: Engine.threadCount, part: part, step: step)
    state.peakMemoryBytes = peakMemoryBytes
    state.seconds = seconds.map { RunState.PartSeconds(part: $0.part, seconds: $0.seconds) }
    (state.settling, state.best, state.skipped) = (settling, best, skipped)
    try store.write(state, tensors)
    lastSave = clock.now
  }

  /// The run is complete: nothing is needed to go on any more.
  func finish() throws {
    try directory.removeCheckpoints()
    lock = nil
  }

  private func allInputs() throws -> [String: String] {
    if inputs[Self.weightsName] == nil { inputs[Self.weightsName] = try fingerprint() }
    return inputs
  }

  private static let weightsName = "model weights"
}
