internal import Checkpoints
internal import Foundation
internal import Tickets

/// Digests of everything that a run reads: one that goes on must find the same.
struct RunInputs {
  /// SHA-256 of the file of rows, lower-case hex.
  let data: String
  /// All but the weights, by what each is for and how it was named.
  private(set) var digests: [String: String]

  /// - Throws: `CheckpointError`
  init(_ configuration: RunConfiguration) throws {
    data = try Self.digest(configuration.data)
    digests = ["data \(configuration.data)": data]
    func add(_ kind: String, _ path: String) throws {
      for file in try Self.files(path) { digests["\(kind) \(file)"] = try Self.digest(file) }
    }
    for path in configuration.replay.files { try add("replay", path) }
    for path in configuration.validation.files { try add("validation", path) }
    for path in configuration.exclude { try add("exclude", path) }
    for path in configuration.adapters { try add("adapter", path) }
    if let mask = configuration.mask { try add("mask", mask) }
    for name in FileSystem.auxiliaryModelFiles {
      let path = FileSystem.join(configuration.model, name)
      if FileSystem.exists(path) { try add("model", path) }
    }
  }

  private static func digest(_ file: String) throws -> String {
    try FileSystem.read(file).withUnsafeBytes(ModelFingerprint.digest(of:))
  }

  /// Names of those that are not the same.
  static func differences(_ first: [String: String], _ second: [String: String]) -> [String] {
    Set(first.keys).union(second.keys).filter { first[$0] != second[$0] }.sorted()
  }

  /// A file, or what is in an adapter's directory.
  private static func files(_ path: String) throws -> [String] {
    guard FileSystem.isDirectory(path) else { return [path] }
    return try FileSystem.contents(of: path).map { FileSystem.join(path, $0) }.filter { !FileSystem.isDirectory($0) }
  }
}
