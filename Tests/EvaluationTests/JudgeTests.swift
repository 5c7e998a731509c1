import Evaluation
import Foundation
import Synchronization
import TestSupport
import Testing

/// The judge's client against a stand-in server.
struct JudgeTests {
  private let folder: URL
  private var journal: String { folder.appendingPathComponent("judged.jsonl").path }

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("lota-judge-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  private static let pairs = (1...6).map { number in
    JudgePair(instruction: "task \(number)", answer: "ours \(number)!", reference: "theirs \(number)")
  }

  /// A reply of the agreed form.
  private static func reply(_ text: String) -> StandInAnswer {
    let message: [String: Any] = [
      "choices": [["message": ["role": "assistant", "content": text]]], "usage": ["total_tokens": 9],
    ]
    return StandInAnswer(body: (try? JSONSerialization.data(withJSONObject: message)) ?? Data())
  }

  /// Prefers our answer, wherever it stands.
  private static func preferOurs(_ request: StandInRequest) -> StandInAnswer {
    let text = String(decoding: request.body, as: UTF8.self)
    guard let ours = text.range(of: "ours"), let theirs = text.range(of: "theirs") else { return StandInAnswer(400) }
    return reply(ours.lowerBound < theirs.lowerBound ? "A" : " **B**.\n")
  }

  /// Counts requests for the server's closure.
  private final class Counter: Sendable {
    private let value = Mutex(0)
    func next() -> Int {
      value.withLock { value in
        value += 1
        return value - 1
      }
    }
  }

  private func run(
    _ server: StandInServer, pairs: [JudgePair] = Self.pairs, key: String? = nil, timeout: Double = 1,
    _ change: (inout JudgeRun.Options) -> Void = { _ in }
  ) throws -> JudgeResult {
    let endpoint = try ChatEndpoint(address: server.url + "/v1", model: "judge", key: key, timeoutSeconds: timeout)
    var options = JudgeRun.Options()
    options.retrySeconds = 0.01
    change(&options)
    return try JudgeRun(pairs: pairs, endpoint: endpoint, options: options).run(journal: journal)
  }

  private func lines() throws -> [String] {
    try String(contentsOfFile: journal, encoding: .utf8).split(separator: "\n").map(String.init)
  }

  @Test("a verdict for every pair, the order drawn by the seed, everything written down")
  func verdicts() throws {
    let server = try StandInServer(Self.preferOurs)
    let result = try run(server, key: "secret")
    #expect(
      result.judged == 6 && result.asked == 6 && result.winRate?.value == 1 && result.winRate?.interval == "wilson")
    #expect(result.malformed == 0 && result.empty == 0 && result.unanswered == 0)
    #expect(
      server.requests.allSatisfy { $0.path == "/v1/chat/completions" && $0.headers["authorization"] == "Bearer secret" }
    )
    let lines = try lines()
    #expect(lines.count == 7 && lines[1].contains("\"usage\": {\"total_tokens\": 9}"))
    #expect(!lines.joined().contains("secret"))
    #expect(
      lines.contains { $0.contains("\"first\": \"answer\"") }
        && lines.contains { $0.contains("\"first\": \"reference\"") })
    // All differences of length are the same, and so explain nothing.
    #expect((result.lengthControlledWinRate?.value ?? 0) > 0.98 && result.lengthEffect == 0)
    // Asked again, nothing is left to ask.
    let again = try run(server)
    #expect(again.asked == 0 && again.winRate == result.winRate && server.requests.count == 6)
  }

  @Test("both orders: a judge that always names what stands first is at one half")
  func bothOrders() throws {
    let server = try StandInServer { _ in Self.reply("Answer A") }
    let result = try run(server) { $0.asksBothOrders = true }
    #expect(result.judged == 6 && result.asked == 12 && result.winRate?.value == 0.5 && result.firstPreferred == 1)
    #expect(result.winRate?.interval == "bootstrap" && result.winRate?.low == 0.5)
  }

  static let faults: [(name: String, answer: StandInAnswer)] = [
    ("time-out", StandInAnswer(fault: .silence(seconds: 2))),
    ("rate limit", StandInAnswer(429, headers: ["Retry-After": "0"])),
    ("overloaded", StandInAnswer(503)), ("reset", StandInAnswer(fault: .reset)),
    ("cut", StandInAnswer(body: Data(count: 100), fault: .cut(after: 10))),
  ]

  @Test("what gives no answer is asked again", arguments: faults)
  func transient(name: String, answer: StandInAnswer) throws {
    let counter = Counter()
    let server = try StandInServer { counter.next() % 3 == 0 ? answer : Self.preferOurs($0) }
    let result = try run(server, pairs: Array(Self.pairs.prefix(4)), timeout: 0.4)
    #expect(result.judged == 4 && result.asked == 4 && result.winRate?.value == 1)
    #expect(server.requests.count == 6)
  }

  @Test("Retry-After is obeyed")
  func retryAfter() throws {
    let counter = Counter()
    let server = try StandInServer {
      counter.next() == 0 ? StandInAnswer(429, headers: ["Retry-After": "1"]) : Self.preferOurs($0)
    }
    let started = Date()
    #expect(try run(server, pairs: [Self.pairs[0]]).judged == 1)
    #expect(-started.timeIntervalSinceNow >= 1)
  }

  @Test("malformed and empty replies are paid: each is written, asked again, and recorded as such in the end")
  func unusable() throws {
    let server = try StandInServer { request in
      let text = String(decoding: request.body, as: UTF8.self)
      if text.contains("task 1\\n") { return Self.reply("  \n") }
      if text.contains("task 2\\n") { return Self.reply("Both are good; A better one is hard to find") }
      if text.contains("task 3\\n") { return StandInAnswer(text: "<html>") }
      if text.contains("task 4\\n") { return StandInAnswer(text: "{\"choices\": []}") }
      return Self.preferOurs(request)
    }
    let result = try run(server) { $0.tries = 2 }
    #expect(result.judged == 2 && result.empty == 1 && result.malformed == 3 && result.asked == 10)
    #expect(try lines().count == 11)
    #expect(try run(server) { $0.tries = 2 }.asked == 0)
  }

  @Test("an endpoint that is down stops the run, which goes on later without asking twice")
  func down() throws {
    let counter = Counter()
    let server = try StandInServer { request in
      let count = counter.next()
      return (2..<8).contains(count) ? StandInAnswer(500) : Self.preferOurs(request)
    }
    let error = try #require(throws: JudgeError.self) { try run(server) { $0.retries = 1 } }
    #expect("\(error)".contains("goes on where this one ended"))
    let result = try run(server) { $0.retries = 1 }
    #expect(result.judged == 6 && result.asked == 4 && result.unanswered == 0)
  }

  @Test("a refusal stops at once, in the server's words but for the key", arguments: [400, 401, 403, 404])
  func refused(status: Int) throws {
    let body = #"{"error": {"message": "Incorrect key secret-key\n given"}}"#
    let server = try StandInServer { _ in StandInAnswer(status, text: body) }
    let error = try #require(throws: JudgeError.self) { try run(server, key: "secret-key") }
    #expect(
      "\(error)".contains("status \(status): Incorrect key (key) given") && server.requests.count == 1, "\(error)")
    #expect("\(error)".contains("--key-variable") == (status == 401 || status == 403))
    let elsewhere = try StandInServer { _ in StandInAnswer(307, headers: ["Location": server.url]) }
    try FileManager.default.removeItem(atPath: journal)
    #expect(throws: JudgeError.self) { try run(elsewhere, key: "secret-key") }
    #expect(server.requests.count == 1)
  }

  @Test("a line that was cut off is asked again; what else is damaged, or of another judgement, is refused")
  func journals() throws {
    let server = try StandInServer(Self.preferOurs)
    _ = try run(server)
    let whole = try String(contentsOfFile: journal, encoding: .utf8)
    try String(whole.dropLast(7)).write(toFile: journal, atomically: true, encoding: .utf8)
    #expect(try run(server).asked == 1)
    #expect(try lines().count == 7)
    #expect(throws: JudgeError.self) { try run(server) { $0.seed = 5 } }
    #expect(throws: JudgeError.self) { try run(server, pairs: Array(Self.pairs.reversed())) }
    #expect(throws: JudgeError.self) { try run(server) { $0.asksBothOrders = true } }
    let damages = ["{\"item\": 0}\n", "nonsense\n", "{\"item\":1,\"first\":\"answer\",\"status\":\"ok\"}\n"]
    for damage in damages {
      try (whole + damage).write(toFile: journal, atomically: true, encoding: .utf8)
      let error = try #require(throws: JudgeError.self) { try run(server) }
      #expect("\(error)".contains("line 8"), "\(error)")
    }
  }

  @Test("pairs are matched by instruction, or by place where one occurs twice")
  func reading() throws {
    func write(_ rows: [[String: String]], _ name: String) throws -> String {
      let path = folder.appendingPathComponent(name)
      try JSONSerialization.data(withJSONObject: rows).write(to: path)
      return path.path
    }
    let answers = try write([["instruction": "x", "output": "1"], ["instruction": "y", "output": "2"]], "a.json")
    let swapped = try write([["instruction": "y", "output": "3"], ["instruction": "x", "output": "4"]], "b.json")
    #expect(try JudgePair.read(answers: answers, reference: swapped).map(\.reference) == ["4", "3"])
    #expect(try JudgePair.read(answers: answers, reference: swapped, limit: 1).count == 1)
    let twice = try write([["instruction": "x", "output": "5"], ["instruction": "x", "output": "6"]], "c.json")
    #expect(try JudgePair.read(answers: twice, reference: twice).map(\.reference) == ["5", "6"])
    #expect(throws: JudgeError.self) { try JudgePair.read(answers: answers, reference: twice) }
    #expect(throws: JudgeError.self) { try JudgePair.read(answers: answers, reference: nil) }
    let own = try write([["instruction": "x", "output": "1", "reference": "7"]], "d.json")
    #expect(
      try JudgePair.read(answers: own, reference: nil) == [JudgePair(instruction: "x", answer: "1", reference: "7")])
  }

  @Test("the length-controlled rate takes out what length alone explains")
  func lengthControl() throws {
    // Our answer is preferred exactly where it is the longer one: all of it is length.
    let pairs = (0..<40).map { number in
      let isLonger = number % 4 != 0
      return JudgePair(
        instruction: "task \(number)", answer: "ours" + String(repeating: "x", count: isLonger ? 100 : 10),
        reference: "theirs" + String(repeating: "y", count: isLonger ? 10 : 100))
    }
    let server = try StandInServer { request in
      let text = String(decoding: request.body, as: UTF8.self)
      guard let long = text.range(of: "xxxxxxxxxxxxxxxxxxxx") ?? text.range(of: "yyyyyyyyyyyyyyyyyyyy"),
        let middle = text.range(of: "</answer_a>")
      else { return StandInAnswer(400) }
      return Self.reply(long.lowerBound < middle.lowerBound ? "A" : "B")
    }
    let result = try run(server, pairs: pairs)
    #expect(result.winRate?.value == 0.75)
    let controlled = try #require(result.lengthControlledWinRate)
    #expect(controlled.value < 0.7 && (result.lengthEffect ?? 0) > 1, "\(controlled)")
  }
}
