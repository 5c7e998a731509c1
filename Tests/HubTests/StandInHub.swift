import Crypto
import Foundation
import Hub
import Synchronization
import TestSupport
import Testing
import Transport

/// A repository behind a stand-in server, as the hub shows it: a listing, and files by `resolve`, large ones by a redirect to
/// a second server.
final class StandInHub: Sendable {
  static let commit = String(repeating: "ab12", count: 10)

  struct Options: Sendable {
    var files: [String: Data] = [:]
    var listsBlobs = true
    var listsDigests = true
    var knowsRanges = true
    /// Given the file's name and how often it was asked for before; nil: as usual.
    var override: @Sendable (String, Int, StandInRequest) -> StandInAnswer? = { _, _, _ in nil }
  }

  let server: StandInServer
  let storage: StandInServer
  let directory: URL
  private let counts: Counter

  private final class Counter: Sendable {
    private let counts = Mutex<[String: Int]>([:])
    /// How often before.
    func next(_ name: String) -> Int {
      counts.withLock { counts in
        counts[name, default: 0] += 1
        return counts[name, default: 1] - 1
      }
    }
  }

  init(_ options: Options) throws {
    let counter = Counter()
    counts = counter
    let storage = try StandInServer { request in
      let name = String(request.path.dropFirst("/blob/".count))
      if let answer = options.override(name, counter.next(name), request) { return answer }
      return Self.file(name, options, request)
    }
    let storageURL = storage.url
    server = try StandInServer { request in
      if request.path.hasPrefix("/api/") {
        return options.override("listing", counter.next("listing"), request) ?? Self.listing(options)
      }
      let name = request.path.components(separatedBy: "/resolve/\(Self.commit)/").last ?? ""
      guard let content = options.files[name] else { return StandInAnswer(404) }
      guard Self.isLarge(name) else {
        return options.override(name, counter.next(name), request) ?? Self.file(name, options, request)
      }
      return StandInAnswer(
        302,
        headers: [
          "Location": storageURL + "/blob/" + name, "X-Linked-Etag": "\"\(Self.digest(name, content))\"",
          "X-Linked-Size": "\(content.count)",
        ])
    }
    self.storage = storage
    directory = FileManager.default.temporaryDirectory.appendingPathComponent("lota-hub-\(UUID().uuidString)")
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  private static func file(_ name: String, _ options: Options, _ request: StandInRequest) -> StandInAnswer {
    guard let content = options.files[name] else { return StandInAnswer(404) }
    let tag = ["ETag": "\"\(digest(name, content))\""]
    return options.knowsRanges
      ? StandInAnswer(content, for: request, headers: tag) : StandInAnswer(headers: tag, body: content)
  }

  private static func listing(_ options: Options) -> StandInAnswer {
    let siblings = options.files.sorted { $0.key < $1.key }.map { name, content -> [String: Any] in
      var entry: [String: Any] = ["rfilename": name]
      guard options.listsBlobs else { return entry }
      entry["size"] = content.count
      guard options.listsDigests else { return entry }
      entry["blobId"] = gitDigest(content)
      if isLarge(name) { entry["lfs"] = ["sha256": digest(name, content), "size": content.count, "pointerSize": 134] }
      return entry
    }
    let body = try? JSONSerialization.data(withJSONObject: ["sha": commit, "siblings": siblings])
    return StandInAnswer(body: body ?? Data())
  }

  static func isLarge(_ name: String) -> Bool { name.hasSuffix(".safetensors") || name.hasSuffix(".csv") }

  static func digest(_ name: String, _ content: Data) -> String {
    isLarge(name) ? hexadecimal(SHA256.hash(data: content)) : gitDigest(content)
  }

  static func gitDigest(_ content: Data) -> String {
    hexadecimal(Insecure.SHA1.hash(data: Data("blob \(content.count)\0".utf8) + content))
  }

  private static func hexadecimal(_ digest: some Sequence<UInt8>) -> String {
    digest.map { String(format: "%02x", $0) }.joined()
  }

  // MARK: The client's side

  var cache: HubCache { HubCache(directory: directory.path) }

  func fetcher(
    token: String? = nil, retries: Int = 3, piece: Int = 1000, timeout: Double = 1, slept: Slept = Slept()
  ) throws -> HubFetcher {
    try HubFetcher(
      cache: cache, endpoint: server.url, token: token, timeoutSeconds: timeout,
      retry: RetryPolicy(retries: retries, baseSeconds: 0.01, longestRetryAfterSeconds: 100) { slept.add($0) },
      pieceByteCount: piece)
  }

  func fetch(_ text: String = "hf:owner/name", kind: HubReference.Kind = .model) throws -> HubFetcher.Result {
    try fetcher().fetch(try HubReference(text, kind: kind))
  }

  func content(_ name: String, commit: String = StandInHub.commit) throws -> Data {
    try Data(contentsOf: directory.appendingPathComponent("models--owner--name/snapshots/\(commit)/\(name)"))
  }

  var blobs: [String] {
    let path = directory.appendingPathComponent("models--owner--name/blobs").path
    return (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? []
  }
}

/// Pauses that were asked for, none of them made.
final class Slept: Sendable {
  private let list = Mutex<[Double]>([])
  func add(_ seconds: Double) { list.withLock { $0.append(seconds) } }
  var seconds: [Double] { list.withLock { $0 } }
}

enum Samples {
  static func bytes(_ count: Int, seed: UInt8 = 1) -> Data {
    Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(seed) &* ($0 >> 8 &+ 1)) })
  }

  static let model: [String: Data] = [
    "config.json": Data("{\"a\": 1}\n".utf8), "tokenizer.json": bytes(2500), "model.safetensors": bytes(12345),
    "pytorch_model.bin": bytes(77), "README.md": bytes(50), "added_tokens.json": Data(),
  ]
  static let wanted = ["added_tokens.json", "config.json", "model.safetensors", "tokenizer.json"]
}
