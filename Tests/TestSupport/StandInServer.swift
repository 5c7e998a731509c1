package import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// What a client asked for.
package struct StandInRequest: Sendable {
  package let method: String
  /// With the query.
  package let target: String
  /// Names in lower case.
  package let headers: [String: String]
  package let body: Data

  package var path: String { String(target.prefix { $0 != "?" }) }

  /// First and last byte of `Range: bytes=first-last`.
  package var range: ClosedRange<Int>? {
    let ends = (headers["range"] ?? "").dropFirst("bytes=".count).split(separator: "-").compactMap { Int($0) }
    return ends.count == 2 && ends[0] <= ends[1] ? ends[0]...ends[1] : nil
  }
}

/// What is answered, and what goes wrong meanwhile.
package struct StandInAnswer: Sendable {
  package enum Fault: Sendable {
    /// The connection is closed after so many bytes of the body, whatever length was announced.
    case cut(after: Int)
    /// The connection is reset without an answer.
    case reset
    /// No answer comes for a while.
    case silence(seconds: Double)
    /// So many bytes of the body come, then none for a while.
    case stall(after: Int, seconds: Double)
  }

  package var status: Int
  package var headers: [String: String]
  package var body: Data
  package var fault: Fault?

  package init(_ status: Int = 200, headers: [String: String] = [:], body: Data = Data(), fault: Fault? = nil) {
    self.status = status
    self.headers = headers
    self.body = body
    self.fault = fault
  }

  package init(_ status: Int = 200, headers: [String: String] = [:], text: String, fault: Fault? = nil) {
    self.init(status, headers: headers, body: Data(text.utf8), fault: fault)
  }

  /// The bytes asked for, as a server that knows ranges gives them; all without a range.
  package init(_ bytes: Data, for request: StandInRequest, headers: [String: String] = [:]) {
    guard let range = request.range else {
      self.init(headers: headers, body: bytes)
      return
    }
    guard range.lowerBound < bytes.count else {
      self.init(416, headers: ["Content-Range": "bytes */\(bytes.count)"])
      return
    }
    let last = min(range.upperBound, bytes.count - 1)
    let place = ["Content-Range": "bytes \(range.lowerBound)-\(last)/\(bytes.count)"]
    self.init(
      206, headers: headers.merging(place) { $1 }, body: Data(bytes[range.lowerBound...last]))
  }
}

/// An HTTP server on this machine for tests of clients: one answer a connection, given by a closure, with faults.
package final class StandInServer: Sendable {
  private let descriptor: Int32
  package let port: Int
  private let log = Mutex<[StandInRequest]>([])
  private let answer: @Sendable (StandInRequest) -> StandInAnswer

  package var url: String { "http://127.0.0.1:\(port)" }
  /// What has been asked, in order.
  package var requests: [StandInRequest] { log.withLock { $0 } }

  package init(_ answer: @escaping @Sendable (StandInRequest) -> StandInAnswer) throws {
    self.answer = answer
    #if canImport(Glibc)
    let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #else
    let listening = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listening, $0, length) == 0 && listen(listening, 64) == 0 && getsockname(listening, $0, &length) == 0
      }
    }
    guard listening >= 0, status else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    port = Int(UInt16(bigEndian: address.sin_port))
    descriptor = listening
    let serve = Self.serve
    Thread.detachNewThread { [weak self] in
      while true {
        let connection = accept(listening, nil, nil)
        guard connection >= 0 else {
          // Closed by the thread that waits on it: else its number may be another socket's by the next wait.
          #if canImport(Glibc)
          close(listening)
          #endif
          return
        }
        Self.ignoreBrokenPipe(connection)
        Thread.detachNewThread { [weak self] in
          serve(connection, self)
          close(connection)
        }
      }
    }
  }

  deinit {
    shutdown(descriptor, Int32(SHUT_RDWR))
    #if !canImport(Glibc)
    // There a wait ends with the socket alone.
    close(descriptor)
    #endif
  }

  /// For this socket alone: the signal's handling would be inherited by programs that tests start.
  private static func ignoreBrokenPipe(_ connection: Int32) {
    #if !canImport(Glibc)
    var on: Int32 = 1
    setsockopt(connection, SOL_SOCKET, SO_NOSIGPIPE, &on, socklen_t(MemoryLayout.size(ofValue: on)))
    #endif
  }

  #if canImport(Glibc)
  private static let sendFlags = Int32(MSG_NOSIGNAL)
  #else
  private static let sendFlags: Int32 = 0
  #endif

  private static let serve: @Sendable (Int32, StandInServer?) -> Void = { connection, server in
    guard let request = read(connection), let server else { return }
    server.log.withLock { $0.append(request) }
    send(server.answer(request), for: request, on: connection)
  }

  private static func send(_ answer: StandInAnswer, for request: StandInRequest, on connection: Int32) {
    var head = "HTTP/1.1 \(answer.status) Stand-In\r\nConnection: close\r\n"
    var headers = answer.headers
    if headers["Content-Length"] == nil { headers["Content-Length"] = "\(answer.body.count)" }
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    let body = request.method == "HEAD" ? Data() : answer.body
    switch answer.fault {
    case .reset:
      var linger = linger(l_onoff: 1, l_linger: 0)
      setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
    case .silence(let seconds): Thread.sleep(forTimeInterval: seconds)
    case .cut(let count): write(Data((head + "\r\n").utf8) + body.prefix(count), to: connection)
    case .stall(let count, let seconds):
      write(Data((head + "\r\n").utf8) + body.prefix(count), to: connection)
      Thread.sleep(forTimeInterval: seconds)
    case nil:
      write(Data((head + "\r\n").utf8) + body, to: connection)
      shutdown(connection, Int32(SHUT_WR))
      // Until the client has closed too: else what it has not read yet may be reset.
      var rest: UInt8 = 0
      while recv(connection, &rest, 1, 0) > 0 {}
    }
  }

  private static func write(_ data: Data, to connection: Int32) {
    data.withUnsafeBytes { bytes in
      var done = 0
      while done < bytes.count {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
        let count = Foundation.send(connection, rest.baseAddress, rest.count, sendFlags)
        guard count > 0 else { return }
        done += count
      }
    }
  }

  private static func read(_ connection: Int32) -> StandInRequest? {
    var received = Data()
    let end = Data("\r\n\r\n".utf8)
    var buffer = [UInt8](repeating: 0, count: 65536)
    func more() -> Bool {
      let count = recv(connection, &buffer, buffer.count, 0)
      guard count > 0 else { return false }
      received.append(contentsOf: buffer[..<count])
      return true
    }
    while received.range(of: end) == nil {
      guard more() else { return nil }
    }
    guard let split = received.range(of: end) else { return nil }
    let lines = String(decoding: received[..<split.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    let words = (lines.first ?? "").split(separator: " ").map(String.init)
    guard words.count == 3 else { return nil }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
    }
    let length = Int(headers["content-length"] ?? "0") ?? 0
    while received.count - split.upperBound < length {
      guard more() else { return nil }
    }
    let body = Data(received[split.upperBound...].prefix(length))
    return StandInRequest(method: words[0], target: words[1], headers: headers, body: body)
  }
}
