import Foundation
import TestSupport
import Testing
import Transport

@Suite struct HTTPClientTests {
  private let client = HTTPClient(timeoutSeconds: 1)

  private func address(_ server: StandInServer, _ path: String = "/") throws -> URL {
    try #require(URL(string: server.url + path))
  }

  private func get(_ server: StandInServer, _ path: String = "/") throws -> (HTTPResponse, Data) {
    try client.send(HTTPRequest(try address(server, path)), limit: 1 << 20)
  }

  @Test("status, headers and body arrive, whatever the status")
  func answers() throws {
    let server = try StandInServer { request in
      StandInAnswer(request.path == "/no" ? 404 : 200, headers: ["X-One": "1"], text: "\(request.method) body")
    }
    for (path, status) in [("/yes", 200), ("/no", 404)] {
      let (response, body) = try get(server, path)
      #expect(response.status == status && response.header("x-one") == "1")
      #expect(String(decoding: body, as: UTF8.self) == "GET body")
    }
  }

  @Test("a body is posted with its headers")
  func post() throws {
    let server = try StandInServer { StandInAnswer(body: $0.body) }
    var request = HTTPRequest(try address(server), headers: ["Content-Type": "application/json", "X-A": "b"])
    request.method = "POST"
    request.body = Data("{\"a\":1}".utf8)
    let (_, body) = try client.send(request, limit: 100)
    #expect(body == request.body)
    #expect(server.requests.first?.method == "POST" && server.requests.first?.headers["x-a"] == "b")
  }

  @Test("large bodies arrive whole, in pieces")
  func pieces() throws {
    let content = Data((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 * 31) })
    let server = try StandInServer { _ in StandInAnswer(body: content) }
    var received = Data()
    var count = 0
    try client.stream(HTTPRequest(try address(server))) { _ in
      true
    } take: {
      received.append($0)
      count += 1
    }
    #expect(received == content && count > 1)
  }

  static let faults: [(StandInAnswer.Fault, String)] = [
    (.cut(after: 10), "the connection was lost"), (.reset, "127.0.0.1"), (.silence(seconds: 2), "nothing came for 1 s"),
    (.stall(after: 10, seconds: 2), "nothing came for 1 s"),
  ]

  @Test("what goes wrong is a transient error", arguments: faults)
  func fails(fault: StandInAnswer.Fault, mention: String) throws {
    let server = try StandInServer { _ in StandInAnswer(body: Data(count: 1000), fault: fault) }
    let error = try #require(throws: TransportError.self) { try get(server) }
    #expect(error.isTransient && error.description.contains(mention), "\(error)")
  }

  @Test("nobody there")
  func unreachable() throws {
    let url = try address(try StandInServer { _ in StandInAnswer() })
    let error = try #require(throws: TransportError.self) { try client.send(HTTPRequest(url), limit: 1) }
    #expect(error.isTransient)
  }

  @Test("a body beyond the limit is refused")
  func limit() throws {
    let server = try StandInServer { _ in StandInAnswer(body: Data(count: 1001)) }
    #expect(throws: TransportError.bodyTooLong(host: "127.0.0.1:\(server.port)", limit: 1000)) {
      try client.send(HTTPRequest(try address(server)), limit: 1000)
    }
  }

  @Test("redirects are followed when asked, the credential only within its origin")
  func redirects() throws {
    let other = try StandInServer { request in
      request.path == "/back" ? StandInAnswer(text: "there") : StandInAnswer(307, headers: ["Location": "/back"])
    }
    let target = other.url + "/on"
    let server = try StandInServer { request in
      request.path == "/"
        ? StandInAnswer(302, headers: ["Location": "/next"], text: "moved")
        : StandInAnswer(302, headers: ["Location": target])
    }
    let (plain, _) = try get(server)
    #expect(plain.status == 302)
    var request = HTTPRequest(try address(server), headers: ["Authorization": "Bearer secret", "X-Kept": "1"])
    var body = Data()
    try client.followingRedirects(request) { _ in
      true
    } take: {
      body.append($0)
    }
    #expect(String(decoding: body, as: UTF8.self) == "there")
    #expect(server.requests.map { $0.headers["authorization"] } == [nil, "Bearer secret", "Bearer secret"])
    #expect(other.requests.map { $0.headers["authorization"] } == [nil, nil])
    #expect(other.requests.allSatisfy { $0.headers["x-kept"] == "1" })
    let loop = try StandInServer { _ in StandInAnswer(301, headers: ["Location": "/"]) }
    request.url = try address(loop)
    #expect(throws: TransportError.tooManyRedirects(host: "127.0.0.1:\(loop.port)")) {
      try client.followingRedirects(request) { _ in
        true
      } take: { _ in
      }
    }
  }

  @Test("addresses that may not be followed", arguments: ["file:///etc/passwd", "ftp://a/b", "http://"])
  func badRedirects(location: String) throws {
    let server = try StandInServer { _ in StandInAnswer(302, headers: ["Location": location]) }
    let request = HTTPRequest(try address(server))
    let error = try #require(throws: TransportError.self) {
      try client.followingRedirects(request) { _ in
        true
      } take: { _ in
      }
    }
    #expect("\(error)".contains("redirects to"))
  }

  @Test("Retry-After as seconds and as a date")
  func retryAfter() throws {
    let url = try #require(URL(string: "http://a/"))
    func seconds(_ text: String) -> Double? {
      HTTPResponse(status: 429, url: url, headers: ["retry-after": text])
        .retryAfterSeconds(now: Date(timeIntervalSince1970: 1_700_000_000))
    }
    #expect(seconds("3") == 3 && seconds("0") == 0 && seconds("-1") == nil && seconds("soon") == nil)
    #expect(seconds("Tue, 14 Nov 2023 22:13:30 GMT") == 10)
    #expect(seconds("Tue, 14 Nov 2023 22:13:00 GMT") == 0)
  }

  @Test("waiting grows, is bounded, and obeys the server within reason")
  func delays() throws {
    let policy = RetryPolicy(retries: 8, baseSeconds: 1, longestSeconds: 10)
    for failures in 1...8 {
      let bound = min(10, pow(2, Double(failures - 1)))
      let delay = try #require(policy.delay(afterFailures: failures))
      #expect((bound / 2...bound).contains(delay))
    }
    #expect(policy.delay(afterFailures: 9) == nil)
    #expect(policy.delay(afterFailures: 1, asked: 7) == 7 && policy.delay(afterFailures: 1, asked: 1e6) == nil)
  }
}
