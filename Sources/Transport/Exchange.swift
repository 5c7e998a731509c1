import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// One request under way: what arrives on the session's threads, for the one thread that waits for it.
final class Exchange: @unchecked Sendable {
  enum Event {
    case response(HTTPResponse)
    case data(Data)
    case end((any Error)?)
  }

  private let condition = NSCondition()
  private var events: [Event] = []
  private var backlogByteCount = 0
  private var isAbandoned = false

  func add(_ event: Event) {
    condition.lock()
    defer { condition.unlock() }
    guard !isAbandoned else { return }
    if case .data(let data) = event { backlogByteCount += data.count }
    events.append(event)
    condition.signal()
  }

  /// The next event, or nil when none came in time. Blocks.
  func next(timeoutSeconds: Double) -> Event? {
    condition.lock()
    defer { condition.unlock() }
    let deadline = Date(timeIntervalSinceNow: timeoutSeconds)
    while events.isEmpty {
      guard condition.wait(until: deadline) else { break }
    }
    guard !events.isEmpty else { return nil }
    let event = events.removeFirst()
    if case .data(let data) = event { backlogByteCount -= data.count }
    return event
  }

  /// Bytes that have arrived and wait to be taken.
  var waitingByteCount: Int {
    condition.lock()
    defer { condition.unlock() }
    return backlogByteCount
  }

  /// Drops what has come and what still comes.
  func abandon() {
    condition.lock()
    defer { condition.unlock() }
    isAbandoned = true
    events = []
    backlogByteCount = 0
  }
}

/// Hands a session's events to the exchange that each belongs to. Redirects are not followed here.
final class ExchangeDelegate: NSObject, URLSessionDataDelegate, @unchecked Sendable {
  private let lock = NSLock()
  private var exchanges: [Int: Exchange] = [:]

  func register(_ exchange: Exchange, for task: URLSessionTask) {
    lock.lock()
    defer { lock.unlock() }
    exchanges[task.taskIdentifier] = exchange
  }

  private func exchange(_ task: URLSessionTask, isLast: Bool = false) -> Exchange? {
    lock.lock()
    defer { lock.unlock() }
    return isLast ? exchanges.removeValue(forKey: task.taskIdentifier) : exchanges[task.taskIdentifier]
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
    newRequest request: URLRequest, completionHandler: @escaping (URLRequest?) -> Void
  ) {
    completionHandler(nil)
  }

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
  ) {
    if let response = response as? HTTPURLResponse, let url = response.url {
      var headers: [String: String] = [:]
      for (name, value) in response.allHeaderFields { headers["\(name)"] = "\(value)" }
      exchange(dataTask)?.add(.response(HTTPResponse(status: response.statusCode, url: url, headers: headers)))
    }
    completionHandler(.allow)
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    exchange(dataTask)?.add(.data(data))
  }

  func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
    exchange(task, isLast: true)?.add(.end(error))
  }
}
