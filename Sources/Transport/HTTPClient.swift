package import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Requests over HTTP, one at a time and waiting: no cookies, no cache, no redirect followed unasked.
package final class HTTPClient: Sendable {
  /// How much may have arrived without having been taken.
  static let backlogLimit = 256 << 20

  /// Longest silence of a server.
  package let timeoutSeconds: Double
  private let session: URLSession
  private let delegate: ExchangeDelegate

  package init(timeoutSeconds: Double = 60) {
    precondition(timeoutSeconds > 0, "a time-out of \(timeoutSeconds) s")
    self.timeoutSeconds = timeoutSeconds
    let configuration = URLSessionConfiguration.ephemeral
    configuration.urlCache = nil
    configuration.httpCookieStorage = nil
    configuration.httpShouldSetCookies = false
    configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
    // Silence is measured where events are awaited; this only ends what nobody waits for any more.
    configuration.timeoutIntervalForRequest = timeoutSeconds * 2 + 1
    delegate = ExchangeDelegate()
    session = URLSession(configuration: configuration, delegate: delegate, delegateQueue: nil)
  }

  deinit { session.invalidateAndCancel() }

  /// Sends the request and gives the answer's body piece by piece, as it comes.
  ///
  /// - Parameters:
  ///   - accept: looks at the response; false: its body is of no interest.
  ///   - take: a piece of the body. What either throws ends the exchange.
  /// - Throws: ``TransportError``
  @discardableResult
  package func stream(
    _ request: HTTPRequest, accept: (HTTPResponse) throws -> Bool, take: (Data) throws -> Void
  ) throws -> HTTPResponse {
    let host = Self.name(of: request.url)
    let exchange = Exchange()
    let task = session.dataTask(with: Self.urlRequest(request))
    delegate.register(exchange, for: task)
    defer {
      exchange.abandon()
      task.cancel()
    }
    task.resume()
    var response: HTTPResponse?
    while let event = exchange.next(timeoutSeconds: timeoutSeconds) {
      switch event {
      case .response(let found):
        response = found
        if try !accept(found) { return found }
      case .data(let data):
        guard response != nil else { continue }
        guard exchange.waitingByteCount <= Self.backlogLimit else {
          throw TransportError.fasterThanTaken(host: host, limit: Self.backlogLimit)
        }
        try take(data)
      case .end(let error):
        if let error { throw Self.error(error, host: host, hasBegun: response != nil) }
        guard let response else { throw TransportError.connectionLost(host: host, reason: "no answer") }
        return response
      }
    }
    throw TransportError.timedOut(host: host, seconds: timeoutSeconds)
  }

  /// Sends the request and keeps the whole answer.
  ///
  /// - Parameter limit: most bytes of the body.
  package func send(_ request: HTTPRequest, limit: Int) throws -> (response: HTTPResponse, body: Data) {
    var body = Data()
    let response = try stream(request) { _ in
      true
    } take: { data in
      guard data.count <= limit - body.count else {
        throw TransportError.bodyTooLong(host: Self.name(of: request.url), limit: limit)
      }
      body.append(data)
    }
    return (response, body)
  }

  /// Host and port, for messages: never a path or query, which may hold a signature.
  package static func name(of url: URL) -> String {
    (url.host ?? "?") + (url.port.map { ":\($0)" } ?? "")
  }

  private static func urlRequest(_ request: HTTPRequest) -> URLRequest {
    var result = URLRequest(url: request.url)
    result.httpMethod = request.method
    for (name, value) in request.headers { result.setValue(value, forHTTPHeaderField: name) }
    result.httpBody = request.body
    return result
  }

  private static func error(_ error: any Error, host: String, hasBegun: Bool) -> TransportError {
    let code = (error as NSError).code
    let reason = reasons[code] ?? "error \(code)"
    return hasBegun || code == NSURLErrorNetworkConnectionLost
      ? .connectionLost(host: host, reason: reason) : .unreachable(host: host, reason: reason)
  }

  private static let reasons = [
    NSURLErrorTimedOut: "timed out", NSURLErrorCannotFindHost: "the name is not known",
    NSURLErrorCannotConnectToHost: "no connection", NSURLErrorNetworkConnectionLost: "it was closed",
    NSURLErrorDNSLookupFailed: "the name is not known", NSURLErrorNotConnectedToInternet: "there is no network",
    NSURLErrorBadServerResponse: "not an HTTP answer", NSURLErrorSecureConnectionFailed: "TLS failed",
    NSURLErrorServerCertificateUntrusted: "its certificate is not trusted",
    NSURLErrorServerCertificateHasBadDate: "its certificate has expired",
    NSURLErrorUnsupportedURL: "not an http or https address", NSURLErrorBadURL: "not an http or https address",
    NSURLErrorUnknown: "it was closed early", NSURLErrorCancelled: "cancelled",
  ]
}
