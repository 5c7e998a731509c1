import Checkpoints
import Foundation
import Transport

/// A file whose length and checksum are known.
struct DescribedFile: Equatable {
  let name: String
  let byteCount: Int
  let digest: HubDigest
}

/// Brings single files of one commit into the cache.
struct HubDownload {
  let server: HubServer
  let cache: HubCache
  let commit: String
  let pieceByteCount: Int

  private var reference: HubReference { server.reference }

  /// Asks the server for what the listing left out.
  func described(_ file: HubFile) throws -> DescribedFile {
    if let byteCount = file.byteCount, let digest = file.digest {
      return DescribedFile(name: file.name, byteCount: byteCount, digest: digest)
    }
    let url = try address(of: file.name)
    let response = try server.retrying(file: file.name) {
      // A redirect to where large files lie names their checksum; another's target does.
      let first = try server.client.stream(server.request(url, method: "HEAD")) { _ in
        true
      } take: { _ in
      }
      if first.header("X-Linked-Etag") != nil { return first }
      let last = try server.client.followingRedirects(server.request(url, method: "HEAD")) { _ in
        true
      } take: { _ in
      }
      try server.check(last, file: file.name)
      return last
    }
    let size = (response.header("X-Linked-Size") ?? response.header("Content-Length")).flatMap { Int($0) }
    guard let digest = (response.header("X-Linked-Etag") ?? response.header("ETag")).flatMap(HubDigest.init),
      let byteCount = size, byteCount >= 0
    else { throw HubError.noChecksum(reference, file: file.name) }
    return DescribedFile(name: file.name, byteCount: byteCount, digest: digest)
  }

  func missingByteCount(_ file: DescribedFile) -> Int {
    let blob = cache.blob(reference, file.digest)
    if Self.size(of: blob) == file.byteCount { return 0 }
    return max(0, file.byteCount - (Self.size(of: blob + ".incomplete") ?? 0))
  }

  /// Returns the bytes that came over the network: none for what is there already.
  func fetch(_ file: DescribedFile) throws -> Int {
    let blob = cache.blob(reference, file.digest)
    var fetched = 0
    if Self.size(of: blob) != file.byteCount {
      let lock = try FileLock(path: cache.lock(reference, file.digest)) {
        server.report(.waitingForLock(file: file.name))
      }
      try withExtendedLifetime(lock) {
        // Whoever held the lock may have fetched it.
        if Self.size(of: blob) != file.byteCount { fetched = try fetch(file, to: blob) }
      }
    }
    try cache.link(reference, commit: commit, file: file.name, to: file.digest)
    return fetched
  }

  private func fetch(_ file: DescribedFile, to blob: String) throws -> Int {
    try FileSystem.createDirectory(FileSystem.parent(of: blob))
    let url = try address(of: file.name)
    var fetched = 0
    for isLastChance in [false, true] {
      let partial = try PartialFile(target: blob, digest: file.digest, byteCount: file.byteCount)
      while partial.missing > 0 {
        try server.retrying(file: file.name, progress: { fetched }) {
          try piece(of: file, from: url, into: partial) { fetched += $0 }
        }
      }
      do {
        try partial.publish()
        return fetched
      } catch let error as HubError {
        // What was there from an earlier time may have been wrong; what comes anew is not doubted twice.
        guard case .corrupted(_, let expected, let found) = error else { throw error }
        if isLastChance {
          throw HubError.corrupted(file: "\(reference): \(file.name)", expected: expected, found: found)
        }
      }
    }
    return fetched
  }

  /// The next bytes, as many as are asked for at a time, or all when the server knows no ranges.
  private func piece(
    of file: DescribedFile, from url: URL, into partial: PartialFile, count: (Int) -> Void
  ) throws {
    let start = partial.position
    var end = start + min(pieceByteCount, partial.missing)
    var request = server.request(url)
    request.headers["Range"] = "bytes=\(start)-\(end - 1)"
    let response = try server.client.followingRedirects(request) { response in
      try server.check(response, file: file.name)
      if response.status == 206 {
        end = try Self.end(of: response, start: start, end: end, file: file)
      } else {
        if let length = response.header("Content-Length").flatMap({ Int($0) }), length != file.byteCount {
          throw HubError.wrongLength(file: file.name, expected: file.byteCount, found: length)
        }
        if partial.position > 0 { try partial.restart() }
        end = file.byteCount
      }
      return true
    } take: { data in
      guard data.count <= end - partial.position else {
        throw HubError.wrongLength(file: file.name, expected: end, found: partial.position + data.count)
      }
      try partial.append(data)
      count(data.count)
      server.report(.progress(file: file.name, done: partial.position, total: file.byteCount))
    }
    guard partial.position == end else {
      throw TransportError.connectionLost(
        host: HTTPClient.name(of: response.url), reason: "\(end - partial.position) bytes short")
    }
  }

  /// Where the piece ends that a `Content-Range` names, which may be shorter than asked for.
  private static func end(of response: HTTPResponse, start: Int, end: Int, file: DescribedFile) throws -> Int {
    let text = response.header("Content-Range") ?? ""
    let parts = text.split(whereSeparator: { " -/".contains($0) })
    guard parts.count == 4, parts[0] == "bytes", Int(parts[1]) == start, let last = Int(parts[2]), last >= start,
      last < end
    else {
      throw HubError.failed(
        host: HTTPClient.name(of: response.url), what: "\(file.name): range '\(text.prefix(60))' was not asked for",
        status: response.status)
    }
    if let total = Int(parts[3]), total != file.byteCount {
      throw HubError.wrongLength(file: file.name, expected: file.byteCount, found: total)
    }
    return last + 1
  }

  private func address(of file: String) throws -> URL {
    guard let url = server.address(of: file, commit: commit) else {
      throw HubError.unsafeFileName(reference, file: file)
    }
    return url
  }

  private static func size(of path: String) -> Int? {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return (attributes?[.size] as? NSNumber)?.intValue
  }
}
