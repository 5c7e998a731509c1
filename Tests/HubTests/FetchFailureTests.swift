import Foundation
import Hub
import TestSupport
import Testing

@Suite struct FetchFailureTests {
  private func hub(
    files: [String: Data] = Samples.model, knowsRanges: Bool = true,
    _ override: @escaping @Sendable (String, Int, StandInRequest) -> StandInAnswer?
  ) throws -> StandInHub {
    try StandInHub(.init(files: files, knowsRanges: knowsRanges, override: override))
  }

  private func expectComplete(_ hub: StandInHub, sourceLocation: SourceLocation = #_sourceLocation) throws {
    for name in Samples.wanted {
      #expect(try hub.content(name) == Samples.model[name], sourceLocation: sourceLocation)
    }
    #expect(!hub.blobs.contains { $0.hasSuffix(".incomplete") }, sourceLocation: sourceLocation)
  }

  @Test("cut off, reset and stalled transfers go on where they ended")
  func interrupted() throws {
    let content = try #require(Samples.model["model.safetensors"])
    let hub = try hub { name, count, request in
      guard name == "model.safetensors" else { return nil }
      var answer = StandInAnswer(content, for: request)
      switch count % 4 {
      case 0: answer.fault = .cut(after: 600)
      case 1: answer.fault = .reset
      case 2: answer.fault = .stall(after: 100, seconds: 3)
      default: break
      }
      return answer
    }
    let slept = Slept()
    let result = try hub.fetcher(retries: 2, piece: 6000, timeout: 0.3, slept: slept)
      .fetch(try HubReference("hf:owner/name"))
    try expectComplete(hub)
    #expect(result.fetchedBytes == result.bytes && slept.seconds.count >= 3)
    // No byte was asked for that had come.
    let starts = hub.storage.requests.compactMap { $0.range?.lowerBound }
    #expect(starts == starts.sorted() && starts.contains(600) && starts.contains(700))
  }

  @Test("a fetch that gave up is taken up by the next one")
  func resumed() throws {
    let content = try #require(Samples.model["model.safetensors"])
    let hub = try hub { name, count, request in
      guard name == "model.safetensors", count < 4 else { return nil }
      return count == 0 ? StandInAnswer(content, for: request) : StandInAnswer(503)
    }
    let error = try #require(throws: HubError.self) {
      try hub.fetcher(retries: 2).fetch(try HubReference("hf:owner/name"))
    }
    #expect("\(error)".contains("gave up after 3 tries") && "\(error)".contains("503"), "\(error)")
    #expect(hub.blobs.contains { $0.hasSuffix(".incomplete") })
    // A name must not stand for a snapshot that is not complete.
    #expect(throws: HubError.self) { try hub.cache.resolve("hf:owner/name") }
    #expect(try hub.fetch().fetchedBytes == 11345)
    try expectComplete(hub)
  }

  @Test("what another program left is checked: a wrong beginning is fetched anew")
  func wrongBeginning() throws {
    let hub = try hub { _, _, _ in nil }
    let content = try #require(Samples.model["model.safetensors"])
    let blobs = hub.directory.appendingPathComponent("models--owner--name/blobs")
    try FileManager.default.createDirectory(at: blobs, withIntermediateDirectories: true)
    let partial = blobs.appendingPathComponent(StandInHub.digest("model.safetensors", content) + ".incomplete")
    try Samples.bytes(5000, seed: 9).write(to: partial)
    _ = try hub.fetch()
    try expectComplete(hub)
    try FileManager.default.removeItem(at: hub.directory)
    try FileManager.default.createDirectory(at: blobs, withIntermediateDirectories: true)
    try (content + Data(count: 5)).write(to: partial)
    _ = try hub.fetch()
    try expectComplete(hub)
  }

  @Test(
    "a corrupted file is refused and removed, large ones by SHA-256 and small ones by git's SHA-1",
    arguments: [
      "model.safetensors", "tokenizer.json",
    ])
  func corrupted(file: String) throws {
    var content = try #require(Samples.model[file])
    content[1234] ^= 1
    let wrong = content
    let hub = try hub { name, _, request in name == file ? StandInAnswer(wrong, for: request) : nil }
    let error = try #require(throws: HubError.self) { try hub.fetch() }
    #expect("\(error)".contains("hf:owner/name: \(file)") && "\(error)".contains("its checksum is"), "\(error)")
    let digest = StandInHub.digest(file, try #require(Samples.model[file]))
    #expect(!hub.blobs.contains { $0.hasPrefix(digest) })
  }

  @Test("a server without ranges: the whole, from its beginning", arguments: [nil, 700])
  func noRanges(cut: Int?) throws {
    let content = try #require(Samples.model["model.safetensors"])
    let hub = try hub(knowsRanges: false) { name, count, _ in
      guard name == "model.safetensors", count == 0, let cut else { return nil }
      return StandInAnswer(body: content, fault: .cut(after: cut))
    }
    _ = try hub.fetch()
    try expectComplete(hub)
    #expect(hub.storage.requests.count == (cut == nil ? 1 : 2))
  }

  @Test("other lengths than listed, and ranges that were not asked for")
  func lengths() throws {
    let content = try #require(Samples.model["model.safetensors"])
    let answers: [@Sendable (StandInRequest) -> StandInAnswer] = [
      { StandInAnswer(content + Data(count: 1), for: $0) },
      { StandInAnswer(content.dropLast(), for: $0) },
      { _ in StandInAnswer(body: content + Data(count: 1)) },
      { _ in StandInAnswer(206, headers: ["Content-Range": "bytes 5-9/12345"], body: Data(count: 5)) },
      { _ in StandInAnswer(206, body: Data(count: 5)) },
      { _ in StandInAnswer(206, headers: ["Content-Range": "bytes 0-999999/12345"], body: Data(count: 2000)) },
      { _ in StandInAnswer(206, headers: ["Content-Range": "bytes 0-9/12345"], body: Data(count: 2000)) },
    ]
    for (index, answer) in answers.enumerated() {
      let hub = try hub { name, _, request in name == "model.safetensors" ? answer(request) : nil }
      #expect(throws: (any Error).self, "case \(index)") { try hub.fetch() }
      #expect(throws: HubError.self) { try hub.cache.resolve("hf:owner/name") }
    }
  }

  static let refusals: [(status: Int, headers: [String: String], token: String?, mention: String)] = [
    (401, [:], nil, "check the name, or set HF_TOKEN"), (401, [:], "t", "does not accept the token in HF_TOKEN"),
    (403, [:], nil, "set HF_TOKEN"), (403, [:], "t", "accept the repository's conditions"),
    (404, [:], nil, "has no such model (404); check the name; use --data for a data set"),
    (404, ["X-Error-Code": "RevisionNotFound"], nil, "has no revision 'main'"),
    (418, [:], nil, "answers with status 418"), (500, [:], nil, "gave up after 2 tries"),
    (429, [:], nil, "too many requests"), (429, ["Retry-After": "1000"], nil, "try again in 1000 s"),
  ]

  @Test("refusals of the listing", arguments: refusals)
  func refused(status: Int, headers: [String: String], token: String?, mention: String) throws {
    let hub = try hub { name, _, _ in StandInAnswer(status, headers: headers, text: "no") }
    let error = try #require(throws: HubError.self) {
      try hub.fetcher(token: token, retries: 1).fetch(try HubReference("hf:owner/name"))
    }
    #expect("\(error)".contains(mention) && !"\(error)".contains("\n"), "\(error)")
    #expect(hub.server.requests.count == ([500].contains(status) || status == 429 && headers.isEmpty ? 2 : 1))
  }

  @Test("too many requests: waits as long as the server asks, and goes on")
  func rateLimit() throws {
    let hub = try hub { name, count, _ in
      ["listing", "model.safetensors"].contains(name) && count == 0
        ? StandInAnswer(429, headers: ["Retry-After": "7"]) : nil
    }
    let slept = Slept()
    _ = try hub.fetcher(retries: 1, slept: slept).fetch(try HubReference("hf:owner/name"))
    #expect(slept.seconds == [7, 7])
    try expectComplete(hub)
  }

  @Test("a signed address that has expired is asked for again")
  func expired() throws {
    let hub = try hub { name, count, _ in name == "model.safetensors" && count == 1 ? StandInAnswer(403) : nil }
    _ = try hub.fetch()
    try expectComplete(hub)
  }

  static let listings: [(text: String, mention: String)] = [
    ("", "malformed JSON"), ("[]", "'sha' is no commit"), ("{\"sha\": \"main\"}", "'sha' is no commit"),
    ("{\"sha\": \"\(StandInHub.commit)\"}", "'siblings' is missing"),
    ("{\"sha\": \"\(StandInHub.commit)\", \"siblings\": [{}]}", "no 'rfilename'"),
    ("{\"sha\": \"\(StandInHub.commit)\", \"siblings\": [{\"rfilename\": \"../x\"}]}", "refuses the file name '../x'"),
    ("{\"sha\": \"\(StandInHub.commit)\", \"siblings\": [{\"rfilename\": \"/x\"}]}", "refuses the file name"),
    ("{\"sha\": \"\(StandInHub.commit)\", \"siblings\": [{\"rfilename\": \"a/./b\"}]}", "refuses the file name"),
    ("{\"sha\": \"\(StandInHub.commit)\", \"siblings\": [{\"rfilename\": \"a\\\\b\"}]}", "refuses the file name"),
    ("{\"sha\": \"\(StandInHub.commit)\", \"siblings\": [{\"rfilename\": \"a\", \"size\": -1}]}", "negative"),
    ("{\"sha\": \"\(StandInHub.commit)\", \"siblings\": [{\"rfilename\": \"m.bin\"}]}", "pickled (m.bin)"),
    ("{\"sha\": \"\(StandInHub.commit)\", \"siblings\": [{\"rfilename\": \"a.md\"}]}", "only a.md"),
  ]

  @Test("listings that cannot be used", arguments: listings)
  func malformed(text: String, mention: String) throws {
    let hub = try hub { name, _, _ in name == "listing" ? StandInAnswer(text: text) : nil }
    let error = try #require(throws: HubError.self) { try hub.fetch() }
    #expect("\(error)".contains(mention), "\(error)")
    #expect(hub.blobs.isEmpty)
  }

  @Test("a file that is more than the disk holds is refused before")
  func space() throws {
    let text = """
      {"sha": "\(StandInHub.commit)", "siblings": [{"rfilename": "model.safetensors", "size": 4611686018427387904, \
      "blobId": "\(String(repeating: "0", count: 40))"}]}
      """
    let hub = try hub { name, _, _ in name == "listing" ? StandInAnswer(text: text) : nil }
    let error = try #require(throws: HubError.self) { try hub.fetch() }
    #expect("\(error)".contains("are needed") && "\(error)".contains("make room"), "\(error)")
    #expect(hub.storage.requests.isEmpty)
  }

  @Test(arguments: ["", "ftp://a", "nonsense", "http://", "http://user@host/"])
  func badEndpoints(text: String) {
    #expect(throws: HubError.badEndpoint(text)) { try HubFetcher(cache: HubCache(directory: "/x"), endpoint: text) }
  }
}
