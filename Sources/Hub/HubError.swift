public import Foundation

/// Why a repository could not be fetched, or is not in the cache.
public enum HubError: Error, Equatable, Sendable {
  case badReference(String)
  case badEndpoint(String)
  case notCached(HubReference, cache: String)
  /// 401: nobody, or the wrong one, is asking.
  case unauthorized(HubReference, host: String, sentToken: Bool)
  /// 403
  case forbidden(HubReference, host: String, sentToken: Bool)
  case repositoryNotFound(HubReference, host: String)
  case revisionNotFound(HubReference, host: String)
  case fileNotFound(HubReference, file: String)
  /// 429, for longer than is waited for.
  case tooManyRequests(host: String, retryAfterSeconds: Double?)
  case failed(host: String, what: String, status: Int)
  case gaveUp(what: String, attempts: Int, reason: String)
  case malformedListing(host: String, reason: String)
  case unsafeFileName(HubReference, file: String)
  /// The server names no checksum for a file.
  case noChecksum(HubReference, file: String)
  case corrupted(file: String, expected: String, found: String)
  case wrongLength(file: String, expected: Int, found: Int)
  case nothingUsable(HubReference, files: [String])
  case onlyPickledWeights(HubReference, file: String)
  case diskTooFull(path: String, needed: Int, available: Int)
  case system(operation: String, path: String, code: Int32)
}

extension HubError: CustomStringConvertible, LocalizedError {
  public var errorDescription: String? { description }

  public var description: String {
    switch self {
    case .badReference(let text): "'\(text)' names no repository; write hf:OWNER/NAME or hf:OWNER/NAME@REVISION"
    case .badEndpoint(let text): "endpoint '\(text)' is no http or https address"
    case .notCached(let reference, let cache):
      "\(reference) is not in the cache \(cache); fetch it first: lota fetch \(reference)\(Self.flag(reference))"
    case .unauthorized(let reference, let host, let sentToken):
      sentToken
        ? "\(reference): \(host) does not accept the token in HF_TOKEN (401); renew it, or check the name"
        : "\(reference): not there, private or gated (\(host) answers 401); check the name, or set HF_TOKEN"
    case .forbidden(let reference, let host, let sentToken):
      "\(reference): \(host) refuses access (403); "
        + (sentToken ? "accept the repository's conditions with the account of HF_TOKEN" : "set HF_TOKEN")
    case .repositoryNotFound(let reference, let host):
      "\(reference): \(host) has no such \(reference.kind.rawValue) (404); check the name\(Self.hint(reference))"
    case .revisionNotFound(let reference, let host):
      "\(reference): \(host) has no revision '\(reference.revision)' of it (404)"
    case .fileNotFound(let reference, let file):
      "\(reference): \(file) is listed, but not there (404); the repository may have changed: fetch again"
    case .tooManyRequests(let host, let seconds):
      "\(host): too many requests (429); try again "
        + (seconds.map { "in \(Int($0.rounded(.up))) s" } ?? "later, or set HF_TOKEN")
    default: fileDescription
    }
  }

  private var fileDescription: String {
    switch self {
    case .failed(let host, let what, let status): "\(what): \(host) answers with status \(status)"
    case .gaveUp(let what, let attempts, let reason):
      "\(what): gave up after \(attempts) \(attempts == 1 ? "try" : "tries"): \(reason); the same command goes on where this one ended"
    case .malformedListing(let host, let reason): "\(host): its list of files cannot be used: \(reason)"
    case .unsafeFileName(let reference, let file): "\(reference): refuses the file name '\(file)'"
    case .noChecksum(let reference, let file): "\(reference): the server names no checksum for \(file)"
    case .corrupted(let file, let expected, let found):
      "\(file): its checksum is \(found), not \(expected); what arrived was removed: fetch again"
    case .wrongLength(let file, let expected, let found):
      "\(file): the server sends \(found) bytes where \(expected) are listed; fetch again"
    case .nothingUsable(let reference, let files):
      "\(reference): holds nothing that can be used here, only \(files.prefix(6).joined(separator: ", "))"
        + "\(files.count > 6 ? " and \(files.count - 6) more" : "")\(Self.hint(reference))"
    case .onlyPickledWeights(let reference, let file):
      "\(reference): its weights are pickled (\(file)), which can run code; look for a safetensors conversion"
    case .diskTooFull(let path, let needed, let available):
      "\(path): \(Self.size(needed)) are needed, \(Self.size(available)) are free; make room, or use --cache"
    case .system(let operation, let path, let code): "\(path): cannot \(operation): \(String(cString: strerror(code)))"
    default: "the hub's answer cannot be used"
    }
  }

  private static func flag(_ reference: HubReference) -> String { reference.kind == .dataset ? " --data" : "" }

  private static func hint(_ reference: HubReference) -> String {
    reference.kind == .dataset ? "; leave out --data for a model" : "; use --data for a data set"
  }

  private static func size(_ count: Int) -> String { String(format: "%.2f GB", Double(count) / 1e9) }
}
