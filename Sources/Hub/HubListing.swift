import Foundation
import Primitives

/// A file of a repository.
struct HubFile: Equatable, Sendable {
  /// Relative, with `/` between folders.
  let name: String
  /// nil when the listing does not say.
  let byteCount: Int?
  let digest: HubDigest?
}

/// The files of a repository at one commit.
struct HubListing: Equatable, Sendable {
  let commit: String
  let files: [HubFile]

  /// - Parameter json: what `/api/models/NAME/revision/REVISION?blobs=true` answers.
  /// - Throws: ``HubError/malformedListing(host:reason:)``, ``HubError/unsafeFileName(_:file:)``
  init(json: Data, reference: HubReference, host: String) throws {
    func malformed(_ reason: String) -> HubError { .malformedListing(host: host, reason: reason) }
    let value: JSONValue
    do {
      value = try json.withUnsafeBytes { try JSONParser.parse($0, rules: .init(allowsDuplicateKeys: true)) }
    } catch let error as JSONParser.Failure {
      throw malformed("malformed JSON: \(error.reason)")
    }
    guard let commit = value["sha"]?.stringValue, HubReference.isCommit(commit) else {
      throw malformed("'sha' is no commit")
    }
    guard let siblings = value["siblings"]?.arrayValue else { throw malformed("'siblings' is missing") }
    self.commit = commit
    files = try siblings.map { entry in
      guard let name = entry["rfilename"]?.stringValue else { throw malformed("a file has no 'rfilename'") }
      guard Self.isSafe(name) else { throw HubError.unsafeFileName(reference, file: String(name.prefix(80))) }
      let large = entry["lfs"]
      let size = large?["size"]?.integerValue ?? entry["size"]?.integerValue
      if let size, size < 0 { throw malformed("the size of \(name) is negative") }
      let digest = (large?["sha256"] ?? large?["oid"] ?? entry["blobId"])?.stringValue.flatMap(HubDigest.init)
      return HubFile(name: name, byteCount: size, digest: digest)
    }
  }

  /// Whether a file's name stays in its directory.
  static func isSafe(_ name: String) -> Bool {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    return name.utf8.count <= 1000
      && parts.allSatisfy { part in
        !part.isEmpty && part != "." && part != ".."
          && part.unicodeScalars.allSatisfy { $0 != "\\" && $0.value >= 0x20 && $0.value != 0x7F }
      }
  }
}
