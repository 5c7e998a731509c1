import Checkpoints
public import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The cache that Hugging Face's own libraries keep, and so share with this program: for each repository `blobs`, named by
/// checksum; `refs`, the commit that a branch or tag stood at; `snapshots`, a folder a commit, of relative links to blobs.
public struct HubCache: Equatable, Sendable {
  public let directory: String

  public init(directory: String) { self.directory = directory }

  /// Where those libraries look: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else `huggingface/hub` in `XDG_CACHE_HOME` or
  /// `~/.cache`.
  public init(environment: [String: String] = ProcessInfo.processInfo.environment) {
    func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    let home = value("HOME") ?? NSHomeDirectory()
    let caches = value("XDG_CACHE_HOME") ?? FileSystem.join(home, ".cache")
    let path =
      value("HF_HUB_CACHE") ?? value("HUGGINGFACE_HUB_CACHE")
      ?? FileSystem.join(value("HF_HOME") ?? FileSystem.join(caches, "huggingface"), "hub")
    directory = path.hasPrefix("~/") ? FileSystem.join(home, String(path.dropFirst(2))) : path
  }

  /// The directory of a repository's files as they were fetched, without looking at any server.
  ///
  /// - Throws: ``HubError/notCached(_:cache:)``
  public func snapshot(of reference: HubReference) throws -> String {
    guard let commit = reference.commit ?? commit(of: reference) else {
      throw HubError.notCached(reference, cache: directory)
    }
    let path = snapshotPath(reference, commit: commit)
    guard let names = try? FileSystem.contents(of: path), !names.isEmpty else {
      throw HubError.notCached(reference, cache: directory)
    }
    return path
  }

  /// A path stays as it is; what begins with `hf:` becomes its snapshot's directory.
  ///
  /// - Throws: ``HubError``
  public func resolve(_ path: String) throws -> String {
    HubReference.isReference(path) ? try snapshot(of: try HubReference(path)) : path
  }

  // MARK: Places

  func repository(_ reference: HubReference) -> String { FileSystem.join(directory, reference.folder) }

  func snapshotPath(_ reference: HubReference, commit: String) -> String {
    repository(reference) + "/snapshots/" + commit
  }

  func blob(_ reference: HubReference, _ digest: HubDigest) -> String {
    repository(reference) + "/blobs/" + digest.text
  }

  func lock(_ reference: HubReference, _ digest: HubDigest) -> String {
    directory + "/.locks/" + reference.folder + "/" + digest.text + ".lock"
  }

  func reference(_ reference: HubReference) -> String { repository(reference) + "/refs/" + reference.revision }

  private func commit(of reference: HubReference) -> String? {
    guard let data = try? FileSystem.read(self.reference(reference)) else { return nil }
    let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    return HubReference.isCommit(text) ? text : nil
  }

  // MARK: Entries

  /// Makes `snapshots/COMMIT/FILE` a relative link to the blob, replacing what is there.
  func link(_ reference: HubReference, commit: String, file: String, to digest: HubDigest) throws {
    let path = snapshotPath(reference, commit: commit) + "/" + file
    try FileSystem.createDirectory(FileSystem.parent(of: path))
    let ups = String(repeating: "../", count: 2 + file.split(separator: "/").count - 1)
    let temporary = FileSystem.temporaryPath(beside: path)
    unlink(temporary)
    guard symlink(ups + "blobs/" + digest.text, temporary) == 0 else {
      throw HubError.system(operation: "link", path: path, code: errno)
    }
    guard rename(temporary, path) == 0 else {
      let code = errno
      unlink(temporary)
      throw HubError.system(operation: "link", path: path, code: code)
    }
  }

  /// Remembers which commit a branch or tag stood at.
  func setReference(_ reference: HubReference, commit: String) throws {
    guard reference.commit == nil else { return }
    let path = self.reference(reference)
    try FileSystem.createDirectory(FileSystem.parent(of: path))
    try FileSystem.writeAtomically(commit, to: path)
  }
}
