internal import Checkpoints
internal import Foundation

/// SHA-256 of files, each read once.
struct FileDigests {
  private var known: [String: String] = [:]

  /// A directory's digest is that of its files, by name.
  mutating func digest(of path: String) throws -> String {
    if let digest = known[path] { return digest }
    let digest: String
    if FileSystem.isDirectory(path) {
      let parts = try FileSystem.contents(of: path).sorted().map { name in
        "\(name) \(try self.digest(of: FileSystem.join(path, name)))"
      }
      digest = Self.digest(lines: parts)
    } else {
      digest = try FileSystem.read(path).withUnsafeBytes(ModelFingerprint.digest(of:))
    }
    known[path] = digest
    return digest
  }

  /// The base model: its weights, and the small files that decide what they mean.
  mutating func base(_ directory: String) throws -> String {
    var lines = [try ModelFingerprint(Checkpoint(directory: directory)).value]
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
      let path = FileSystem.join(directory, name)
      if FileSystem.exists(path) { lines.append(try digest(of: path)) }
    }
    return Self.digest(lines: ["base"] + lines)
  }

  static func digest(lines: [String]) -> String {
    Data(lines.map { $0 + "\n" }.joined().utf8).withUnsafeBytes(ModelFingerprint.digest(of:))
  }
}
