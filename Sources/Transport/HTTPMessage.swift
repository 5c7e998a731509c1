package import Foundation

/// What is asked of a server.
package struct HTTPRequest: Sendable {
  package var url: URL
  package var method = "GET"
  /// One value a name.
  package var headers: [String: String] = [:]
  package var body: Data?

  package init(_ url: URL, headers: [String: String] = [:]) {
    self.url = url
    self.headers = headers
  }
}

/// What a server says before the body.
package struct HTTPResponse: Sendable {
  package let status: Int
  /// The address that answered, after redirects.
  package let url: URL
  private let headers: [String: String]

  package init(status: Int, url: URL, headers: [String: String]) {
    self.status = status
    self.url = url
    self.headers = Dictionary(headers.map { ($0.key.lowercased(), $0.value) }, uniquingKeysWith: { $1 })
  }

  package func header(_ name: String) -> String? { headers[name.lowercased()] }

  package var isSuccess: Bool { (200..<300).contains(status) }

  /// How long `Retry-After` asks to wait, in seconds: a number, or an HTTP date.
  package func retryAfterSeconds(now: Date = Date()) -> Double? {
    guard let text = header("Retry-After")?.trimmingCharacters(in: .whitespaces) else { return nil }
    if let seconds = Double(text) { return seconds.isFinite && seconds >= 0 ? seconds : nil }
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "GMT")
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
    return formatter.date(from: text).map { max(0, $0.timeIntervalSince(now)) }
  }
}

/// Why no answer came, or not all of it.
package enum TransportError: Error, Equatable, Sendable {
  case unreachable(host: String, reason: String)
  case timedOut(host: String, seconds: Double)
  /// The connection ended before the body did.
  case connectionLost(host: String, reason: String)
  case bodyTooLong(host: String, limit: Int)
  case tooManyRedirects(host: String)
  case badRedirect(host: String, location: String)
  /// Data come faster than they are taken, and the server cannot be asked for less at a time.
  case fasterThanTaken(host: String, limit: Int)

  /// Whether the same request may succeed a moment later.
  package var isTransient: Bool {
    switch self {
    case .unreachable, .timedOut, .connectionLost: true
    case .bodyTooLong, .tooManyRedirects, .badRedirect, .fasterThanTaken: false
    }
  }
}

extension TransportError: CustomStringConvertible, LocalizedError {
  package var errorDescription: String? { description }

  package var description: String {
    switch self {
    case .unreachable(let host, let reason): "\(host): cannot be reached: \(reason)"
    case .timedOut(let host, let seconds): "\(host): nothing came for \(Int(seconds.rounded(.up))) s"
    case .connectionLost(let host, let reason): "\(host): the connection was lost: \(reason)"
    case .bodyTooLong(let host, let limit):
      "\(host): answered with more than \(limit) bytes; is this the right address?"
    case .tooManyRedirects(let host): "\(host): redirects too often"
    case .badRedirect(let host, let location):
      "\(host): redirects to '\(location)', which is no address that may be followed"
    case .fasterThanTaken(let host, let limit):
      "\(host): ignores the range asked for, and sends faster than \(limit) bytes of memory can take"
    }
  }
}
