public import Foundation

/// What can go wrong with a run's records.
public enum ReportError: Error, Equatable, Sendable {
  case unreadable(path: String)
  case unwritable(path: String, reason: String)
  case malformedMetrics(path: String, line: Int)
}

extension ReportError: CustomStringConvertible, LocalizedError {
  public var errorDescription: String? { description }

  public var description: String {
    switch self {
    case .unreadable(let path): "\(path): cannot be read"
    case .unwritable(let path, let reason): "\(path): cannot be written: \(reason)"
    case .malformedMetrics(let path, let line):
      "\(path): line \(line) is no metrics record; remove it or start a new run"
    }
  }
}
