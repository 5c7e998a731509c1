public import Foundation

/// Why a run cannot be gone on with.
public enum RunCheckpointError: Error, Equatable, Sendable {
  case notACheckpoint(path: String, reason: String)
  /// Of a newer version of the program.
  case unknownVersion(path: String, version: Int)
  case tensorMissing(path: String, tensor: String)
  case tensorDoesNotFit(path: String, tensor: String, expected: [Int], found: [Int])
  /// A value that is to be kept is NaN or infinite: going on from it would lead nowhere.
  case valueNotFinite(path: String, tensor: String)
  /// Another process works in the run directory.
  case inUse(path: String)
  /// The run directory holds a run that has not ended.
  case unfinished(path: String)
  /// There is something in the directory, but no run.
  case notARun(path: String)
  /// Options that are not those the run began with.
  case otherOptions(path: String, names: [String])
  /// Files that are not those the run began with.
  case otherInputs(path: String, names: [String])
  case noUsableCheckpoint(directory: String, reasons: [String])
}

extension RunCheckpointError: CustomStringConvertible, LocalizedError {
  public var description: String {
    switch self {
    case .notACheckpoint(let path, let reason): "\(path) is no checkpoint of a run: \(reason)"
    case .unknownVersion(let path, let version):
      "\(path) has version \(version), which this program does not know: use the one that wrote it"
    case .tensorMissing(let path, let tensor): "\(path) lacks \(tensor)"
    case .tensorDoesNotFit(let path, let tensor, let expected, let found):
      "\(path): \(tensor) has shape \(found), but must have \(expected)"
    case .valueNotFinite(let path, let tensor):
      "\(path) was not written: \(tensor) holds NaN or infinity; lower --learning-rate, and go on from the checkpoint before"
    case .inUse(let path): "\(path) is in use by another process: wait for it, or choose another directory"
    case .unfinished(let path):
      "\(path) holds a run that has not ended: add --resume to go on with it, or choose another directory"
    case .notARun(let path): "\(path) holds no run to go on with: choose another directory"
    case .otherOptions(let path, let names):
      "\(path) was begun with other options (\(names.joined(separator: ", "))): give the same ones to go on, or choose another directory"
    case .otherInputs(let path, let names):
      "\(path) was begun with other files (\(names.joined(separator: ", "))): restore them to go on, or choose another directory"
    case .noUsableCheckpoint(let directory, let reasons):
      "\(directory) has no checkpoint that can be read (\(reasons.joined(separator: "; "))): remove the folder to begin again"
    }
  }

  public var errorDescription: String? { description }
}
