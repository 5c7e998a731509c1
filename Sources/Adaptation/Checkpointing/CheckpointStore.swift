internal import Checkpoints

/// The checkpoints of a run directory, the last two of them.
struct CheckpointStore {
  let directory: String

  /// The newest that can be read; nil where there is none at all. One that cannot be read is passed over, with a word.
  ///
  /// - Throws: ``RunCheckpointError/noUsableCheckpoint(directory:reasons:)`` where there are some, and none can be read.
  func newest(_ note: (String) -> Void) throws -> RunCheckpoint? {
    var reasons: [String] = []
    for name in try names().reversed() {
      do {
        let checkpoint = try RunCheckpoint(path: FileSystem.join(directory, name))
        for reason in reasons { note("\(reason); going on from the checkpoint before, \(name)") }
        return checkpoint
      } catch let error as RunCheckpointError {
        reasons.append("\(error)")
      } catch let error as CheckpointError {
        reasons.append("\(error)")
      }
    }
    if reasons.isEmpty { return nil }
    throw RunCheckpointError.noUsableCheckpoint(directory: directory, reasons: reasons)
  }

  /// Writes a checkpoint, and removes all but the last.
  func write(_ state: RunState, _ tensors: [SavedTensor]) throws {
    try FileSystem.createDirectory(directory)
    let digits = String(state.step)
    let step = String(repeating: "0", count: max(0, 9 - digits.count)) + digits
    let name = "\(state.part.fileName)-\(step).safetensors"
    try RunCheckpoint.write(state, tensors, to: FileSystem.join(directory, name))
    // What a run repeats after going on from an earlier one replaces files of the same name.
    for old in try names().filter({ $0.precedesInBytes(name) }).dropLast(CheckpointSchedule.keptCount - 1) {
      try FileSystem.remove(FileSystem.join(directory, old))
    }
  }

  /// In the order of the run.
  private func names() throws -> [String] {
    guard FileSystem.isDirectory(directory) else { return [] }
    return try FileSystem.contents(of: directory).filter { $0.hasSuffix(".safetensors") }
  }
}
