internal import Checkpoints
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

extension ReportError {
  /// Turns whatever `body` throws into ``unwritable(path:reason:)`` with the system's own words.
  static func wrapping<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch CheckpointError.system(_, _, let code) {
      throw unwritable(path: path, reason: String(cString: strerror(code)))
    } catch {
      throw unwritable(path: path, reason: reason(error as NSError))
    }
  }

  /// Foundation's text for a failed write often says only that it failed; the code beneath says why.
  private static func reason(_ error: NSError) -> String {
    if error.domain == NSPOSIXErrorDomain { return String(cString: strerror(Int32(error.code))) }
    guard let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError else { return error.localizedDescription }
    return reason(cause)
  }
}
