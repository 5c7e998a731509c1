import Foundation
import Hub
import TestSupport
import Testing

@Suite struct FetchTests {
  @Test("what a model needs lies in the standard layout, and a second fetch brings nothing")
  func layout() throws {
    let hub = try StandInHub(.init(files: Samples.model))
    let result = try hub.fetch()
    #expect(result.files.sorted() == Samples.wanted && result.commit == StandInHub.commit)
    #expect(result.fetchedBytes == 9 + 2500 + 12345 && result.bytes == result.fetchedBytes)
    for name in Samples.wanted { #expect(try hub.content(name) == Samples.model[name]) }
    let repository = hub.directory.appendingPathComponent("models--owner--name")
    #expect(
      try String(contentsOf: repository.appendingPathComponent("refs/main"), encoding: .utf8) == StandInHub.commit)
    let digest = StandInHub.digest("model.safetensors", try #require(Samples.model["model.safetensors"]))
    let link = repository.appendingPathComponent("snapshots/\(StandInHub.commit)/model.safetensors").path
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "../../blobs/\(digest)")
    #expect(Set(hub.blobs) == Set(Samples.wanted.map { StandInHub.digest($0, Samples.model[$0] ?? Data()) }))
    #expect(try hub.cache.resolve("hf:owner/name") == result.directory)
    #expect(try hub.cache.resolve("hf:owner/name@\(StandInHub.commit)") == result.directory)
    let before = hub.server.requests.count
    #expect(try hub.fetch().fetchedBytes == 0)
    #expect(hub.server.requests.count == before + 1)
  }

  @Test("large files come in pieces of bounded length")
  func pieces() throws {
    let hub = try StandInHub(.init(files: Samples.model))
    _ = try hub.fetch()
    let ranges = hub.storage.requests.compactMap(\.range)
    #expect(ranges.count == 13 && ranges.allSatisfy { $0.count <= 1000 } && ranges.last?.upperBound == 12344)
  }

  @Test("without sizes or checksums in the listing the files' own answers are asked", arguments: [true, false])
  func heads(listsBlobs: Bool) throws {
    let hub = try StandInHub(.init(files: Samples.model, listsBlobs: listsBlobs, listsDigests: false))
    #expect(try hub.fetch().fetchedBytes == 9 + 2500 + 12345)
    for name in Samples.wanted { #expect(try hub.content(name) == Samples.model[name]) }
    #expect(hub.server.requests.contains { $0.method == "HEAD" })
  }

  @Test("of a sharded model the shards that its index names")
  func shards() throws {
    var files = Samples.model
    files["model.safetensors"] = nil
    let index = #"{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}"#
    files["model.safetensors.index.json"] = Data(index.utf8)
    for name in ["model-1-of-2", "model-2-of-2", "consolidated"] { files[name + ".safetensors"] = Samples.bytes(300) }
    let hub = try StandInHub(.init(files: files))
    let names = try hub.fetch().files
    #expect(names.filter { $0.hasSuffix("safetensors") } == ["model-1-of-2.safetensors", "model-2-of-2.safetensors"])
    // The same bytes are one blob.
    #expect(hub.blobs.count == 5)
    files["model-2-of-2.safetensors"] = nil
    let broken = try StandInHub(.init(files: files))
    let error = try #require(throws: HubError.self) { try broken.fetch() }
    #expect("\(error)".contains("model-2-of-2.safetensors is listed, but not there"))
  }

  @Test("of a data set the rows, in their folders")
  func dataset() throws {
    let files = ["data/train.csv": Samples.bytes(900), "test.jsonl": Samples.bytes(90), "x.parquet": Samples.bytes(9)]
    let hub = try StandInHub(.init(files: files))
    let result = try hub.fetch(kind: .dataset)
    #expect(result.files == ["data/train.csv", "test.jsonl"] && result.directory.contains("/datasets--owner--name/"))
    let path = result.directory + "/data/train.csv"
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path).hasPrefix("../../../blobs/"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == files["data/train.csv"])
    #expect(hub.server.requests[0].target.hasPrefix("/api/datasets/owner/name/revision/main"))
    #expect(hub.server.requests[1].target.hasPrefix("/datasets/owner/name/resolve/"))
  }

  @Test("the token goes to the endpoint, and to no other host")
  func token() throws {
    let hub = try StandInHub(.init(files: Samples.model))
    _ = try hub.fetcher(token: " secret\n").fetch(try HubReference("hf:owner/name"))
    #expect(hub.server.requests.allSatisfy { $0.headers["authorization"] == "Bearer secret" })
    #expect(!hub.storage.requests.isEmpty && hub.storage.requests.allSatisfy { $0.headers["authorization"] == nil })
  }

  @Test("branches and tags are asked for by their whole name")
  func revisions() throws {
    let hub = try StandInHub(.init(files: Samples.model))
    _ = try hub.fetch("hf:owner/name@refs/pr/1")
    #expect(hub.server.requests[0].target == "/api/models/owner/name/revision/refs%2Fpr%2F1?blobs=true")
    #expect(try hub.cache.resolve("hf:owner/name@refs/pr/1").hasSuffix(StandInHub.commit))
    #expect(throws: HubError.self) { try hub.cache.resolve("hf:owner/name") }
  }

  @Test("two at once: one fetches, the other finds it there")
  func together() async throws {
    let hub = try StandInHub(
      .init(files: Samples.model) { name, count, request in
        if name == "model.safetensors", count == 0 { Thread.sleep(forTimeInterval: 0.3) }
        return nil
      })
    async let first = Task.detached { try hub.fetch() }.value
    async let second = Task.detached { try hub.fetch() }.value
    let results = try await [first, second]
    let fetched = results.reduce(0) { $0 + $1.fetchedBytes }
    #expect(fetched == 14854)
    #expect(try hub.content("model.safetensors") == Samples.model["model.safetensors"])
  }

  @Test(arguments: [
    "gpt2", "hf:", "hf:/a", "hf:a/", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a/b@", "hf:a/b@../x", "hf:a/b@x//y",
    "hf:.a/b",
    "hf:a--b/c", "hf:a/b c", "hf:a/b@.git", "hf:a/b?x", "hf:é/b",
  ])
  func badReferences(text: String) { #expect(throws: HubError.badReference(text)) { try HubReference(text) } }

  @Test("references, and where the cache lies")
  func references() throws {
    #expect(try HubReference("hf:a/b@v1.0").revision == "v1.0")
    #expect(try HubReference("hf:gpt2").description == "hf:gpt2")
    #expect(HubCache(environment: ["HOME": "/h"]).directory == "/h/.cache/huggingface/hub")
    #expect(HubCache(environment: ["HOME": "/h", "HF_HOME": "/x", "XDG_CACHE_HOME": "/c"]).directory == "/x/hub")
    #expect(HubCache(environment: ["HOME": "/h", "XDG_CACHE_HOME": "/c"]).directory == "/c/huggingface/hub")
    #expect(HubCache(environment: ["HOME": "/h", "HF_HUB_CACHE": "~/y"]).directory == "/h/y")
    #expect(try HubCache(directory: "/nowhere").resolve("models/a") == "models/a")
    let error = try #require(throws: HubError.self) { try HubCache(directory: "/nowhere").resolve("hf:a/b") }
    #expect("\(error)" == "hf:a/b is not in the cache /nowhere; fetch it first: lota fetch hf:a/b")
  }
}
