import Foundation
import TestSupport
import Testing

/// `lota eval judge` against a stand-in server.
struct JudgeCommandTests {
  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    for (name, word) in [("ours", "ours"), ("theirs", "theirs")] {
      let rows = (1...4).map { ["instruction": "task \($0)", "output": "\(word) \($0)", "generator": name] }
      try directory.write(
        String(decoding: try JSONSerialization.data(withJSONObject: rows), as: UTF8.self), to: "\(name).json")
    }
  }

  private func judge(_ server: StandInServer, _ more: String...) throws -> LotaResult {
    try Lota.run(
      [
        "eval", "judge", "--answers", "ours.json", "--reference", "theirs.json", "--endpoint", server.url, "--model",
        "j",
      ]
        + more, in: directory, variables: ["JUDGE_KEY": "secret-key"])
  }

  private static let reply = StandInAnswer(text: #"{"choices": [{"message": {"content": "A"}}]}"#)

  @Test("figures, the replies on disk, and nothing asked twice")
  func judged() throws {
    let server = try StandInServer { _ in Self.reply }
    let result = try judge(server, "--both-orders", "--json", "--key-variable", "JUDGE_KEY", "--out", "judged.jsonl")
    #expect(result.code == 0, "\(result.errors)")
    let figures = try result.json()
    #expect(
      figures["judged"] as? Int == 4 && figures["asked"] as? Int == 8 && figures["firstPreferred"] as? Double == 1)
    #expect((figures["winRate"] as? [String: Any])?["value"] as? Double == 0.5)
    #expect(server.requests.allSatisfy { $0.headers["authorization"] == "Bearer secret-key" })
    let journal = try directory.text("judged.jsonl")
    #expect(
      journal.split(separator: "\n").count == 9 && !(journal + result.output + result.errors).contains("secret-key"))
    let again = try judge(server, "--both-orders", "--out", "judged.jsonl")
    #expect(again.output.contains("win rate         50.0 %") && server.requests.count == 8, "\(again.output)")
  }

  @Test("killed while it waits for an answer, it keeps what was paid for")
  func killed() throws {
    let server = try StandInServer { request in
      String(decoding: request.body, as: UTF8.self).contains("task 3\\n")
        ? StandInAnswer(fault: .silence(seconds: 30)) : Self.reply
    }
    let process = Process()
    process.executableURL = LotaExecutable.url
    process.arguments = [
      "eval", "judge", "--answers", "ours.json", "--reference", "theirs.json", "--endpoint", server.url, "--model", "j",
    ]
    process.currentDirectoryURL = URL(fileURLWithPath: directory.path)
    process.standardError = FileHandle.nullDevice
    try process.run()
    let deadline = Date(timeIntervalSinceNow: 20)
    while server.requests.count < 3, Date() < deadline { Thread.sleep(forTimeInterval: 0.02) }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    #expect(try directory.text("ours.json.judged.jsonl").split(separator: "\n").count == 3)
    let sound = try StandInServer { _ in Self.reply }
    let result = try judge(sound, "--json").json()
    #expect(result["judged"] as? Int == 4 && result["asked"] as? Int == 2 && sound.requests.count == 2)
  }

  @Test("refusals are one line, and hold no key")
  func refusals() throws {
    let server = try StandInServer { _ in StandInAnswer(401, text: #"{"error": {"message": "bad key secret-key"}}"#) }
    let result = try judge(server, "--key-variable", "JUDGE_KEY")
    #expect(result.code == 1 && result.errors.contains("status 401: bad key (key); check the key"), "\(result.errors)")
    try expectRefusal(
      ["eval", "judge", "--answers", "ours.json", "--endpoint", server.url, "--model", "j"], in: directory,
      mentions: ["ours.json: row 1", "nothing to compare with"])
    try expectRefusal(
      ["eval", "judge", "--answers", "none.json", "--endpoint", server.url, "--model", "j"], in: directory,
      mentions: ["none.json", "no such file"])
    try expectRefusal(
      ["eval", "judge", "--answers", "ours.json", "--endpoint", "nowhere", "--model", "j"], in: directory,
      mentions: ["'nowhere'", "http"])
  }
}
