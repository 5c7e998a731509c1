internal import Foundation
internal import Primitives
internal import Transport

/// Lets a model compare answers with references, one question at a time.
public struct JudgeRun {
  public struct Options: Equatable, Sendable {
    public var seed: UInt64 = 0
    /// Ask each pair in both orders, not in one drawn by the seed.
    public var asksBothOrders = false
    /// Unusable replies to one question before it is given up.
    public var tries = 3
    /// Requests after one that got no answer.
    public var retries = 5
    /// Before the first of them; doubles with every further one.
    public var retrySeconds = 1.0

    public init() {}
  }

  public enum Event: Sendable {
    case asked(done: Int, total: Int)
    case waiting(seconds: Double, reason: String)
  }

  /// Questions without any answer, one after another, after which the endpoint counts as down.
  static let mostUnanswered = 3

  private let pairs: [JudgePair]
  private let endpoint: ChatEndpoint
  private let options: Options
  private let policy: RetryPolicy

  public init(pairs: [JudgePair], endpoint: ChatEndpoint, options: Options = Options()) {
    self.pairs = pairs
    self.endpoint = endpoint
    self.options = options
    policy = RetryPolicy(retries: options.retries, baseSeconds: options.retrySeconds)
  }

  /// Asks what the journal does not answer yet, and writes every reply to it before the next question.
  ///
  /// - Throws: ``JudgeError``; the journal then holds all replies that came.
  public func run(journal path: String, report: (Event) -> Void = { _ in }) throws -> JudgeResult {
    let journal = try JudgeJournal(path: path, settings: settings)
    let questions = questions
    var pending = Pending(journal.records, tries: options.tries)
    var unanswered = 0
    var asked = 0
    for (index, question) in questions.enumerated() {
      while !pending.isSettled(question) {
        let record = try ask(question, journal: journal, report: report)
        asked += 1
        pending.add(record)
        unanswered = record.status == .unanswered ? unanswered + 1 : 0
        guard unanswered < Self.mostUnanswered else {
          throw JudgeError.endpointDown(host: endpoint.host, reason: "\(unanswered) questions in a row got none")
        }
        if record.status == .unanswered { break }
      }
      report(.asked(done: index + 1, total: questions.count))
    }
    return JudgeResult(
      pairs: pairs, questions: questions, records: journal.records, judge: endpoint.model, seed: options.seed,
      asked: asked)
  }

  /// Which answer stands first is drawn for each item by its number, whatever else is asked.
  var questions: [JudgeQuestion] {
    (1...max(1, pairs.count)).prefix(pairs.count).flatMap { item -> [JudgeQuestion] in
      if options.asksBothOrders {
        return [JudgeQuestion(item: item, first: .answer), JudgeQuestion(item: item, first: .reference)]
      }
      var random = RandomStream(seed: options.seed, purpose: "judge", index: UInt64(item))
      return [JudgeQuestion(item: item, first: random.below(2) == 0 ? .answer : .reference)]
    }
  }

  private var settings: [JSONValue.Member] {
    [
      ("judge", .string(endpoint.model)), ("items", .integer(pairs.count)), ("digest", .string(digest)),
      ("seed", .string("\(options.seed)")), ("orders", .integer(options.asksBothOrders ? 2 : 1)),
    ]
  }

  /// Of all texts, and of what the judge is told (64-bit FNV-1a).
  private var digest: String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    let frame =
      JudgePrompt.system + JudgePrompt.question(JudgePair(instruction: "", answer: "", reference: ""), first: .answer)
    for text in [frame] + pairs.flatMap({ [$0.instruction, $0.answer, $0.reference] }) {
      for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
      hash = (hash ^ 0xFF) &* 0x100_0000_01b3
    }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// One reply, or what is recorded in place of one, written to the journal.
  private func ask(
    _ question: JudgeQuestion, journal: JudgeJournal, report: (Event) -> Void
  ) throws -> JudgeRecord {
    let text = JudgePrompt.question(pairs[question.item - 1], first: question.first)
    var failures = 0
    while true {
      let started = Date()
      let reply = try endpoint.ask(system: JudgePrompt.system, user: text)
      let seconds = (-started.timeIntervalSinceNow * 1000).rounded() / 1000
      let record: JudgeRecord
      var details: [JSONValue.Member] = []
      switch reply {
      case .text(let text, let usage):
        record = Self.record(question, reply: text)
        details.append(("reply", .string(String(text.prefix(4000)))))
        if let usage, !usage.isNull { details.append(("usage", usage)) }
      case .malformed(let body, let reason):
        record = JudgeRecord(question: question, status: .malformed, winner: nil)
        details += [("reason", .string(reason)), ("reply", .string(body))]
      case .nothing(let reason, let wait):
        failures += 1
        if let delay = policy.delay(afterFailures: failures, asked: wait) {
          report(.waiting(seconds: delay, reason: reason))
          policy.wait(delay)
          continue
        }
        record = JudgeRecord(question: question, status: .unanswered, winner: nil)
        details.append(("reason", .string(reason)))
      }
      try journal.append(record, details: details + [("seconds", .number(seconds))])
      return record
    }
  }

  private static func record(_ question: JudgeQuestion, reply: String) -> JudgeRecord {
    guard !reply.allSatisfy(\.isWhitespace) else {
      return JudgeRecord(question: question, status: .empty, winner: nil)
    }
    guard let namesFirst = JudgePrompt.namesFirst(reply) else {
      return JudgeRecord(question: question, status: .malformed, winner: nil)
    }
    return JudgeRecord(question: question, status: .ok, winner: namesFirst ? question.first : question.first.other)
  }

  /// Which questions need no more asking.
  private struct Pending {
    private var unusable: [JudgeQuestion: Int] = [:]
    private var judged: Set<JudgeQuestion> = []
    private let tries: Int

    init(_ records: [JudgeRecord], tries: Int) {
      self.tries = tries
      for record in records { add(record) }
    }

    mutating func add(_ record: JudgeRecord) {
      switch record.status {
      case .ok: judged.insert(record.question)
      case .malformed, .empty: unusable[record.question, default: 0] += 1
      case .unanswered: break
      }
    }

    func isSettled(_ question: JudgeQuestion) -> Bool {
      judged.contains(question) || unusable[question, default: 0] >= tries
    }
  }
}
