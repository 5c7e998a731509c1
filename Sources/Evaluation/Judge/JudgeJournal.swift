internal import Foundation
internal import Primitives

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Darwin)
internal import Darwin
#endif

/// One question: a pair in one order.
struct JudgeQuestion: Hashable {
  /// From one.
  let item: Int
  let first: JudgePair.Side
}

/// One reply, or that there was none, as a line of the journal.
struct JudgeRecord: Equatable {
  enum Status: String {
    case ok, malformed, empty, unanswered
  }

  let question: JudgeQuestion
  let status: Status
  /// The side that the judge prefers, where it is `ok`.
  let winner: JudgePair.Side?

  static func == (left: JudgeRecord, right: JudgeRecord) -> Bool {
    left.question == right.question && left.status == right.status && left.winner == right.winner
  }
}

/// The file of everything the judge said: a line of settings, then one object a reply, each on disk before the next
/// question is asked.
final class JudgeJournal {
  let path: String
  private(set) var records: [JudgeRecord] = []
  private let descriptor: Int32

  /// Opens a file to go on with, or a new one; a last line that a killed process left incomplete is removed.
  ///
  /// - Throws: ``JudgeError``
  init(path: String, settings: [JSONValue.Member]) throws {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw JudgeError.system(operation: "open", path: path, code: errno) }
    do {
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw JudgeError.journalInUse(path: path) }
      try readBack(settings)
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit { close(descriptor) }

  private func readBack(_ settings: [JSONValue.Member]) throws {
    guard let content = FileManager.default.contents(atPath: path) else {
      throw JudgeError.system(operation: "read", path: path, code: EIO)
    }
    let complete = content.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    if complete < content.count, ftruncate(descriptor, off_t(complete)) != 0 {
      throw JudgeError.system(operation: "shorten", path: path, code: errno)
    }
    guard complete > 0 else { return try append(settings) }
    for (index, line) in content[..<complete].split(separator: UInt8(ascii: "\n")).enumerated() {
      let value: JSONValue
      do {
        value = try line.withUnsafeBytes { try JSONParser.parse($0) }
      } catch let error as JSONParser.Failure {
        throw JudgeError.malformedJournal(path: path, line: index + 1, reason: "malformed JSON: \(error.reason)")
      }
      if index == 0 {
        try check(value, settings)
      } else {
        guard let record = Self.record(value) else {
          throw JudgeError.malformedJournal(path: path, line: index + 1, reason: "not a judge's reply")
        }
        records.append(record)
      }
    }
  }

  private func check(_ value: JSONValue, _ settings: [JSONValue.Member]) throws {
    for (field, expected) in settings where value[field] != expected {
      throw JudgeError.otherJudgement(
        path: path, field: field, found: value[field]?.summary ?? "(none)", expected: expected.summary)
    }
  }

  private static func record(_ value: JSONValue) -> JudgeRecord? {
    guard let item = value["item"]?.integerValue, item > 0,
      let first = value["first"]?.stringValue.flatMap(JudgePair.Side.init),
      let status = value["status"]?.stringValue.flatMap(JudgeRecord.Status.init)
    else { return nil }
    let winner = value["winner"]?.stringValue.flatMap(JudgePair.Side.init)
    guard (winner != nil) == (status == .ok) else { return nil }
    return JudgeRecord(question: JudgeQuestion(item: item, first: first), status: status, winner: winner)
  }

  /// Writes the record and makes it durable.
  func append(_ record: JudgeRecord, details: [JSONValue.Member]) throws {
    var members: [JSONValue.Member] = [
      ("item", .integer(record.question.item)), ("first", .string(record.question.first.rawValue)),
      ("status", .string(record.status.rawValue)),
    ]
    if let winner = record.winner { members.append(("winner", .string(winner.rawValue))) }
    try append(members + details)
    records.append(record)
  }

  private func append(_ members: [JSONValue.Member]) throws {
    let bytes = JSONLine.encoded(members)
    try bytes.withUnsafeBytes { bytes in
      var done = 0
      while done < bytes.count {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
        let count = write(descriptor, rest.baseAddress, rest.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw JudgeError.system(operation: "write", path: path, code: errno) }
        done += count
      }
    }
    // A pipe or a device cannot be flushed.
    guard fsync(descriptor) == 0 || errno == EINVAL else {
      throw JudgeError.system(operation: "flush", path: path, code: errno)
    }
  }
}
