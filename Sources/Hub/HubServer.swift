import Foundation
import Transport

/// Requests to the hub: addresses, who is asking, what a refusal means, and trying again.
struct HubServer {
  let endpoint: URL
  let token: String?
  let client: HTTPClient
  let retry: RetryPolicy
  let reference: HubReference
  let report: (HubFetcher.Event) -> Void

  var host: String { HTTPClient.name(of: endpoint) }

  /// `ENDPOINT/api/models/NAME/revision/REVISION?blobs=true`
  var listing: URL? {
    url("api/\(reference.kind.rawValue)s/\(reference.name)/revision/\(Self.component(reference.revision))?blobs=true")
  }

  func address(of file: String, commit: String) -> URL? {
    let folder = reference.kind == .dataset ? "datasets/" : ""
    let path = file.split(separator: "/").map { Self.component(String($0)) }.joined(separator: "/")
    return url("\(folder)\(reference.name)/resolve/\(commit)/\(path)")
  }

  /// A request with the token, where that travels encrypted or stays on this machine.
  func request(_ url: URL, method: String = "GET") -> HTTPRequest {
    var request = HTTPRequest(url, headers: ["Accept-Encoding": "identity", "User-Agent": "lota"])
    request.method = method
    if let token, sendsToken { request.headers["Authorization"] = "Bearer \(token)" }
    return request
  }

  private var sendsToken: Bool {
    token != nil && (endpoint.scheme == "https" || ["localhost", "127.0.0.1", "::1", "[::1]"].contains(endpoint.host))
  }

  private func url(_ path: String) -> URL? {
    let base = endpoint.absoluteString
    return URL(string: (base.hasSuffix("/") ? base : base + "/") + path)
  }

  private static func component(_ text: String) -> String {
    let allowed = CharacterSet(charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
    return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? text
  }

  // MARK: Answers

  /// A refusal that may be over in a moment.
  struct Transient: Error {
    let status: Int
    let host: String
    let retryAfterSeconds: Double?
  }

  /// - Parameter file: nil for the listing.
  /// - Throws: ``HubError``; `Transient`
  func check(_ response: HTTPResponse, file: String? = nil) throws {
    guard !response.isSuccess else { return }
    let answering = HTTPClient.name(of: response.url)
    let isOwn = answering == host
    switch response.status {
    case 401 where isOwn: throw HubError.unauthorized(reference, host: host, sentToken: sendsToken)
    case 403 where isOwn: throw HubError.forbidden(reference, host: host, sentToken: sendsToken)
    case 404:
      if let file { throw HubError.fileNotFound(reference, file: file) }
      throw response.header("X-Error-Code") == "RevisionNotFound"
        ? HubError.revisionNotFound(reference, host: host) : HubError.repositoryNotFound(reference, host: host)
    case let status where RetryPolicy.isTransient(status: status) || status == 401 || status == 403:
      // Of another host, 401 and 403 mean that a signed address has expired; the hub gives a new one.
      throw Transient(status: status, host: answering, retryAfterSeconds: response.retryAfterSeconds())
    default: throw HubError.failed(host: answering, what: what(file), status: response.status)
    }
  }

  func what(_ file: String?) -> String { file.map { "\(reference): \($0)" } ?? "\(reference)" }

  /// Tries until it succeeds, fails for good, or has failed too often without getting on.
  ///
  /// - Parameter progress: grows while anything arrives, which makes earlier failures count no more.
  func retrying<R>(file: String? = nil, progress: () -> Int = { 0 }, _ body: () throws -> R) throws -> R {
    var failures = 0
    var reached = progress()
    while true {
      let (reason, transient): (String, Transient?)
      do {
        return try body()
      } catch let error as TransportError where error.isTransient {
        (reason, transient) = ("\(error)", nil)
      } catch let error as Transient {
        (reason, transient) = ("\(error.host) answers with status \(error.status)", error)
      }
      if progress() > reached { failures = 0 }
      reached = progress()
      failures += 1
      guard let delay = retry.delay(afterFailures: failures, asked: transient?.retryAfterSeconds) else {
        if let transient, transient.status == 429 {
          throw HubError.tooManyRequests(host: transient.host, retryAfterSeconds: transient.retryAfterSeconds)
        }
        throw HubError.gaveUp(what: what(file), attempts: failures, reason: reason)
      }
      report(.waiting(seconds: delay, reason: reason))
      retry.wait(delay)
    }
  }
}
