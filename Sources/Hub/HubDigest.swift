import Crypto
import Foundation

/// The checksum that names a file on the hub: SHA-256 for what lies in large-file storage, git's SHA-1 of a blob for
/// the rest.
enum HubDigest: Equatable, Hashable, Sendable {
  case sha256(String)
  case gitSHA1(String)

  /// By the number of hexadecimal digits; nil for anything else, also with the quotes and the mark of a weak `ETag`.
  init?(_ text: String) {
    var text = text
    if text.hasPrefix("W/") { text.removeFirst(2) }
    text = text.trimmingCharacters(in: CharacterSet(charactersIn: "\"")).lowercased()
    if HubReference.isHexadecimal(text, count: 64) {
      self = .sha256(text)
    } else if HubReference.isHexadecimal(text, count: 40) {
      self = .gitSHA1(text)
    } else {
      return nil
    }
  }

  var text: String {
    switch self {
    case .sha256(let text), .gitSHA1(let text): text
    }
  }
}

/// A checksum under way.
enum HubHasher {
  case sha256(SHA256)
  case gitSHA1(Insecure.SHA1)

  /// - Parameter byteCount: of the whole file; git hashes it first.
  init(_ digest: HubDigest, byteCount: Int) {
    switch digest {
    case .sha256: self = .sha256(SHA256())
    case .gitSHA1:
      var hash = Insecure.SHA1()
      hash.update(data: Data("blob \(byteCount)\0".utf8))
      self = .gitSHA1(hash)
    }
  }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    switch self {
    case .sha256(var hash):
      hash.update(bufferPointer: bytes)
      self = .sha256(hash)
    case .gitSHA1(var hash):
      hash.update(bufferPointer: bytes)
      self = .gitSHA1(hash)
    }
  }

  func finish() -> String {
    switch self {
    case .sha256(let hash): Self.text(hash.finalize())
    case .gitSHA1(let hash): Self.text(hash.finalize())
    }
  }

  private static func text(_ digest: some Sequence<UInt8>) -> String {
    digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
