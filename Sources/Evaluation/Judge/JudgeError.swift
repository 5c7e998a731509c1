public import Foundation

/// Why judging cannot begin or go on.
public enum JudgeError: Error, Equatable, Sendable {
  case badEndpoint(String)
  case badModelName
  case noReference(RowPlace)
  case ambiguousReference(RowPlace, path: String)
  /// The judge refuses every request of this kind.
  case refused(host: String, status: Int, message: String)
  case redirected(host: String, status: Int)
  /// Several questions after another got no answer.
  case endpointDown(host: String, reason: String)
  case otherJudgement(path: String, field: String, found: String, expected: String)
  case malformedJournal(path: String, line: Int, reason: String)
  case journalInUse(path: String)
  case system(operation: String, path: String, code: Int32)
}

extension JudgeError: CustomStringConvertible, LocalizedError {
  public var errorDescription: String? { description }

  public var description: String {
    switch self {
    case .badEndpoint(let text): "endpoint '\(text)' is no http or https address"
    case .badModelName: "--model is empty: name the judge as its endpoint does"
    case .noReference(let place):
      "\(place): has nothing to compare with: no row of --reference has its instruction, and it holds no 'reference'"
    case .ambiguousReference(let place, let path):
      "\(place): \(path) holds its instruction more than once; put both files in the same order"
    case .refused(let host, let status, let message):
      "\(host): answers with status \(status)\(message.isEmpty ? "" : ": \(message)")"
        + ([401, 403].contains(status) ? "; check the key in the variable of --key-variable" : "")
    case .redirected(let host, let status):
      "\(host): redirects (\(status)), which is not followed with a key; name the final address"
    case .endpointDown(let host, let reason):
      "\(host): gives no answers: \(reason); the same command goes on where this one ended"
    case .otherJudgement(let path, let field, let found, let expected):
      "\(path): holds a judgement with \(field) \(found), not \(expected); choose another --out"
    case .malformedJournal(let path, let line, let reason): "\(path): line \(line): \(reason); choose another --out"
    case .journalInUse(let path): "\(path): another process is writing to it"
    case .system(let operation, let path, let code): "\(path): cannot \(operation): \(String(cString: strerror(code)))"
    }
  }
}
