import Checkpoints
import Foundation
package import Transport

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Fetches what is of use of a repository into the cache: resumed where it was cut off, checked, never half there.
public final class HubFetcher {
  /// The one place that is asked unless another is named.
  public static let defaultEndpoint = "https://huggingface.co"

  public enum Event: Sendable {
    case listed(files: Int, byteCount: Int, missingByteCount: Int)
    case progress(file: String, done: Int, total: Int)
    case waiting(seconds: Double, reason: String)
    case waitingForLock(file: String)
  }

  /// What lies in the cache now.
  public struct Result: Equatable, Sendable, Encodable {
    public let directory: String
    public let commit: String
    public let files: [String]
    public let bytes: Int
    /// Of those, what came over the network this time.
    public let fetchedBytes: Int
  }

  private let cache: HubCache
  private let endpoint: URL
  private let token: String?
  private let client: HTTPClient
  private let retry: RetryPolicy
  private let pieceByteCount: Int

  /// - Parameters:
  ///   - endpoint: nil: `HF_ENDPOINT`, else the default.
  ///   - token: sent to the endpoint alone.
  ///   - pieceByteCount: asked for at a time, which bounds the memory that a fast server can fill.
  /// - Throws: ``HubError/badEndpoint(_:)``
  package init(
    cache: HubCache, endpoint: String? = nil, token: String? = nil, timeoutSeconds: Double = 60,
    retry: RetryPolicy = RetryPolicy(), pieceByteCount: Int = 64 << 20
  ) throws {
    precondition(pieceByteCount > 0, "pieces of \(pieceByteCount) bytes")
    let environment = ProcessInfo.processInfo.environment
    let text = endpoint ?? environment["HF_ENDPOINT"].flatMap { $0.isEmpty ? nil : $0 } ?? Self.defaultEndpoint
    guard let url = URL(string: text), let scheme = url.scheme, ["http", "https"].contains(scheme),
      url.host?.isEmpty == false, url.user == nil, url.query == nil
    else { throw HubError.badEndpoint(text) }
    self.cache = cache
    self.endpoint = url
    self.token = token.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }.flatMap { $0.isEmpty ? nil : $0 }
    client = HTTPClient(timeoutSeconds: timeoutSeconds)
    self.retry = retry
    self.pieceByteCount = pieceByteCount
  }

  /// For the command line: the token of `HF_TOKEN`, the usual patience.
  public convenience init(cache: HubCache, endpoint: String?, retries: Int) throws {
    var retry = RetryPolicy()
    retry.retries = retries
    try self.init(
      cache: cache, endpoint: endpoint, token: ProcessInfo.processInfo.environment["HF_TOKEN"], retry: retry)
  }

  /// - Throws: ``HubError``, `TransportError`, ``CheckpointError``
  public func fetch(_ reference: HubReference, report: @escaping (Event) -> Void = { _ in }) throws -> Result {
    let server = HubServer(
      endpoint: endpoint, token: token, client: client, retry: retry, reference: reference, report: report)
    let listing = try list(server)
    let download = HubDownload(server: server, cache: cache, commit: listing.commit, pieceByteCount: pieceByteCount)
    let chosen = try HubChoice.files(of: listing, reference: reference)
    var files = chosen.others
    var fetched = 0
    if let index = chosen.index {
      fetched += try download.fetch(try download.described(index))
      files.insert(index, at: 0)
      files += try shards(of: index, in: listing, reference)
    }
    let described = try files.map(download.described)
    let missing = described.reduce(0) { $0 + download.missingByteCount($1) }
    let total = described.reduce(0) { $0 + $1.byteCount }
    report(.listed(files: described.count, byteCount: total, missingByteCount: missing))
    try checkSpace(for: missing)
    for file in described { fetched += try download.fetch(file) }
    // Last, so that a name never stands for a snapshot that is not complete.
    try cache.setReference(reference, commit: listing.commit)
    return Result(
      directory: cache.snapshotPath(reference, commit: listing.commit), commit: listing.commit,
      files: described.map(\.name), bytes: total, fetchedBytes: fetched)
  }

  private func list(_ server: HubServer) throws -> HubListing {
    guard let url = server.listing else { throw HubError.badEndpoint(endpoint.absoluteString) }
    let limit = 64 << 20
    let json = try server.retrying {
      var body = Data()
      let response = try client.followingRedirects(server.request(url)) {
        try server.check($0)
        return true
      } take: { data in
        guard data.count <= limit - body.count else {
          throw TransportError.bodyTooLong(host: server.host, limit: limit)
        }
        body.append(data)
      }
      try server.check(response)
      return body
    }
    return try HubListing(json: json, reference: server.reference, host: server.host)
  }

  private func shards(of index: HubFile, in listing: HubListing, _ reference: HubReference) throws -> [HubFile] {
    let path = cache.snapshotPath(reference, commit: listing.commit) + "/" + index.name
    return try ShardIndex(path: path).shardNames.map { name in
      guard let file = listing.files.first(where: { $0.name == name }) else {
        throw HubError.fileNotFound(reference, file: name)
      }
      return file
    }
  }

  private func checkSpace(for missing: Int) throws {
    guard missing > 0 else { return }
    try FileSystem.createDirectory(cache.directory)
    var status = statvfs()
    guard statvfs(cache.directory, &status) == 0 else { return }
    let (available, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    // What a file system needs for itself, and others for a moment.
    let needed = missing.addingReportingOverflow(16 << 20).partialValue
    guard overflow || available >= UInt64(needed) else {
      throw HubError.diskTooFull(path: cache.directory, needed: needed, available: Int(clamping: available))
    }
  }
}
