public import Foundation

/// What can go wrong with a plan and its run.
public enum ExperimentError: Error, Equatable, Sendable {
  case invalidPlan(path: String, line: Int, reason: String)
  case missingFile(path: String, plan: String)
  /// A stage whose options the command does not take.
  case invalidStage(name: String, plan: String, line: Int, reason: String)
  case stageFailed(name: String, command: String, status: Int32, reason: String, log: String)
  case unreadableResult(name: String, reason: String)
  case notMergeable(name: String, reason: String)
  case busy(path: String)
  /// The user ended the run in the middle of a stage, or of its scores.
  case interrupted(name: String)
}

extension ExperimentError: CustomStringConvertible, LocalizedError {
  public var errorDescription: String? { description }

  public var description: String {
    switch self {
    case .invalidPlan(let path, let line, let reason): "\(path):\(line): \(reason)"
    case .missingFile(let path, let plan): "\(path): there is no such file, which \(plan) names"
    case .invalidStage(let name, let plan, let line, let reason): "\(plan):\(line): stage \(name): \(reason)"
    case .stageFailed(let name, let command, let status, let reason, let log):
      "stage \(name) failed with status \(status): \(reason) (command: \(command); log: \(log)); "
        + "mend it and run the plan again: finished stages stay"
    case .unreadableResult(let name, let reason): "stage \(name): its result cannot be read: \(reason)"
    case .notMergeable(let name, let reason): "stage \(name) cannot merge: \(reason)"
    case .interrupted(let name): "stopped in stage \(name): the same command goes on from here"
    case .busy(let path): "\(path): another run of a plan is at work here; wait for its end or use another --out"
    }
  }
}
