import Foundation
import TestSupport
import Testing

/// `lota fetch`, and models named by their repository, against a stand-in server.
struct FetchCommandTests {
  private let directory: TemporaryDirectory
  private let server: StandInServer
  private static let commit = String(repeating: "0123456789", count: 4)

  init() throws {
    let directory = try TemporaryDirectory()
    try TinyModel().write(to: directory.file("model"))
    let names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    let files = try Dictionary(uniqueKeysWithValues: names.map { ($0, try directory.contents("model/" + $0)) })
    try directory.remove("model")
    self.directory = directory
    let listing = try JSONSerialization.data(withJSONObject: [
      "sha": Self.commit, "siblings": (names + ["pytorch_model.bin"]).map { ["rfilename": $0] },
    ])
    server = try StandInServer { request in
      if request.path.contains("/private/") { return StandInAnswer(401) }
      if request.path.hasPrefix("/api/models/o/m/") { return StandInAnswer(body: listing) }
      guard request.path.hasPrefix("/o/m/resolve/"),
        let content = files[request.path.components(separatedBy: "/").last ?? ""]
      else { return StandInAnswer(404) }
      // A checksum of the right form for a file of that length; the test of checksums is elsewhere.
      return StandInAnswer(content, for: request, headers: ["ETag": "\"\(Self.digest(content))\""])
    }
  }

  private static func digest(_ content: Data) -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["git", "hash-object", "--stdin"]
    let (input, output) = (Pipe(), Pipe())
    (process.standardInput, process.standardOutput) = (input, output)
    guard (try? process.run()) != nil else { return "" }
    // Through a second thread, so that neither side waits for the other.
    Thread.detachNewThread {
      input.fileHandleForWriting.write(content)
      try? input.fileHandleForWriting.close()
    }
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private var variables: [String: String] { ["HF_HUB_CACHE": directory.file("cache"), "HF_TOKEN": "secret-token"] }

  @Test("a model is fetched once, and then used by its name without a server")
  func fetch() throws {
    let model = ["--model", "hf:o/m"]
    let prompt = ["generate"] + model + ["--prompt", "SELECT", "--max-tokens", "3"]
    let before = try Lota.run(prompt, in: directory, variables: variables)
    #expect(before.code == 1 && before.errors.contains("fetch it first: lota fetch hf:o/m"), "\(before.errors)")
    let arguments = ["fetch", "hf:o/m", "--endpoint", server.url, "--retries", "0"]
    let result = try Lota.run(arguments + ["--json"], in: directory, variables: variables)
    #expect(result.code == 0, "\(result.errors)")
    let figures = try result.json()
    #expect((figures["files"] as? [String])?.count == 4 && figures["commit"] as? String == Self.commit)
    #expect(server.requests.allSatisfy { $0.headers["authorization"] == "Bearer secret-token" })
    #expect(!result.output.contains("secret-token") && !result.errors.contains("secret-token"))
    #expect(!directory.everything().contains { $0.hasSuffix(".bin") })
    let after = try Lota.run(prompt, in: directory, variables: variables)
    #expect(after.code == 0, "\(after.errors)")
    try directory.write(Workspace.rows[0], to: "d.jsonl")
    let check = try Lota.run(
      ["data", "check", "--data", "d.jsonl", "--model=hf:o/m@" + Self.commit], in: directory, variables: variables)
    #expect(check.code == 0, "\(check.errors)")
    let again = try Lota.run(arguments, in: directory, variables: variables)
    #expect(again.output.contains("4 files") && again.output.contains("0 B fetched now"), "\(again.output)")
  }

  @Test("refusals are one line")
  func refusals() throws {
    let endpoint = ["--endpoint", server.url, "--cache", directory.file("cache"), "--retries", "0"]
    try expectRefusal(
      ["fetch", "hf:private/m"] + endpoint, in: directory, mentions: ["hf:private/m", "HF_TOKEN", "401"])
    try expectRefusal(
      ["fetch", "hf:o/none"] + endpoint, in: directory, mentions: ["has no such model (404)", "--data"])
    try expectRefusal(["fetch", "o/m"] + endpoint, in: directory, mentions: ["'o/m'", "hf:OWNER/NAME"])
    try expectRefusal(["fetch", "hf:o/m", "--endpoint", "ftp://x"], in: directory, mentions: ["ftp://x", "http"])
    try expectRefusal(
      ["fetch", "hf:o/m", "--endpoint", "http://127.0.0.1:9", "--retries", "0"], in: directory,
      mentions: ["127.0.0.1:9", "gave up after 1 try"])
  }
}
