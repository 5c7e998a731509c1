/// A repository on the hub: `hf:OWNER/NAME`, `hf:OWNER/NAME@REVISION`.
public struct HubReference: Equatable, Sendable, CustomStringConvertible {
  public enum Kind: String, Sendable {
    case model
    case dataset
  }

  public static let prefix = "hf:"
  static let defaultRevision = "main"

  /// `OWNER/NAME`, or `NAME` alone.
  public let name: String
  /// A branch, a tag or a commit.
  public let revision: String
  public let kind: Kind

  /// - Throws: ``HubError/badReference(_:)``
  public init(_ text: String, kind: Kind = .model) throws {
    guard text.hasPrefix(Self.prefix) else { throw HubError.badReference(text) }
    let parts = text.dropFirst(Self.prefix.count).split(
      separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    let names = parts[0].split(separator: "/", omittingEmptySubsequences: false)
    let revision = parts.count == 2 ? String(parts[1]) : Self.defaultRevision
    guard (1...2).contains(names.count), names.allSatisfy(Self.isName), Self.isRevision(revision) else {
      throw HubError.badReference(text)
    }
    name = String(parts[0])
    self.revision = revision
    self.kind = kind
  }

  public static func isReference(_ text: String) -> Bool { text.hasPrefix(prefix) }

  public var description: String {
    Self.prefix + name + (revision == Self.defaultRevision ? "" : "@" + revision)
  }

  /// The folder's name in a cache.
  var folder: String { "\(kind.rawValue)s--" + name.split(separator: "/").joined(separator: "--") }

  /// Forty hexadecimal digits name a commit, which never changes.
  var commit: String? { Self.isCommit(revision) ? revision : nil }

  static func isCommit(_ text: String) -> Bool { isHexadecimal(text, count: 40) }

  static func isHexadecimal(_ text: String, count: Int) -> Bool {
    text.utf8.count == count && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }

  private static func isName(_ text: Substring) -> Bool {
    !text.isEmpty && text.utf8.count <= 96 && !text.hasPrefix(".") && !text.hasPrefix("-") && !text.hasSuffix(".")
      && !text.contains("--") && !text.contains("..") && text.allSatisfy(isNameCharacter)
  }

  /// Branches may hold slashes: `refs/pr/1`.
  private static func isRevision(_ text: String) -> Bool {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    return text.utf8.count <= 200
      && parts.allSatisfy { !$0.isEmpty && !$0.hasPrefix(".") && $0.allSatisfy(isNameCharacter) }
  }

  private static func isNameCharacter(_ character: Character) -> Bool {
    character.isASCII && (character.isLetter || character.isNumber || "-_.".contains(character))
  }
}
