internal import Checkpoints
internal import Foundation

/// A candidate of a search, merged and scored.
public struct SearchRecord: Codable, Equatable, Sendable {
  /// Values by the names of their axes.
  public let settings: [String: Double]
  /// By label; those that are not finite are left out.
  public let scores: [String: Double]
  /// The mean of the scores; nil where one is not finite.
  public let objective: Double?
  public let mergeSeconds: Double
  public let scoreSeconds: Double

  public init(settings: [String: Double], scores: [String: Double], mergeSeconds: Double, scoreSeconds: Double) {
    self.settings = settings
    self.scores = scores.filter(\.value.isFinite)
    objective =
      self.scores.count == scores.count && !scores.isEmpty
      ? scores.sorted { $0.key < $1.key }.reduce(0) { $0 + $1.value } / Double(scores.count) : nil
    self.mergeSeconds = mergeSeconds
    self.scoreSeconds = scoreSeconds
  }
}

/// `search.jsonl`: what the search is of, then a line a candidate. After every candidate the file is whole.
public final class SearchLog {
  private struct Header: Codable {
    let format: String
    let version: Int
    let digest: String
  }

  public let path: String
  private let digest: String
  private let lock: FileLock
  public private(set) var records: [SearchRecord] = []

  public static let fileName = "search.jsonl"

  /// Opens a directory's log, or begins one. While it is open no other process searches there.
  ///
  /// - Parameter digest: of everything that decides a candidate's scores, but for the numbers searched.
  /// - Throws: ``MergeError/otherSearch(path:)``, ``MergeError/unreadableSearch(path:line:reason:)``,
  ///   ``MergeError/searchInUse(path:)``, `CheckpointError`.
  public init(directory: String, digest: String) throws {
    path = FileSystem.join(directory, Self.fileName)
    self.digest = digest
    guard let lock = try FileLock(trying: FileSystem.join(directory, ".lock")) else {
      throw MergeError.searchInUse(path: directory)
    }
    self.lock = lock
    guard FileSystem.exists(path) else { return }
    let lines = String(decoding: try FileSystem.read(path), as: UTF8.self).split(whereSeparator: \.isNewline)
    guard let first = lines.first else { return }
    let header = try Self.decode(Header.self, first, path, line: 1)
    guard header.format == Self.format, header.version == Self.version, header.digest == digest else {
      throw MergeError.otherSearch(path: path)
    }
    records = try lines.dropFirst().enumerated().map {
      try Self.decode(SearchRecord.self, $1, path, line: $0 + 2)
    }
  }

  deinit { lock.removeFile() }

  private static let format = "lota-merge-search"
  private static let version = 1

  public func record(_ settings: [String: Double]) -> SearchRecord? { records.first { $0.settings == settings } }

  func append(_ record: SearchRecord) throws {
    records.append(record)
    let header = try Self.encode(Header(format: Self.format, version: Self.version, digest: digest))
    let lines = try [header] + records.map { try Self.encode($0) }
    try FileSystem.writeAtomically(lines.map { $0 + "\n" }.joined(), to: path)
  }

  private static func encode(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  private static func decode<Value: Decodable>(
    _ type: Value.Type, _ text: Substring, _ path: String, line: Int
  ) throws -> Value {
    do {
      return try JSONDecoder().decode(type, from: Data(text.utf8))
    } catch {
      throw MergeError.unreadableSearch(path: path, line: line, reason: "\(error)")
    }
  }
}

extension MergeSearch {
  /// Digest of everything that decides a candidate's scores, but for the numbers searched.
  ///
  /// - Parameter objective: what the candidates are scored by: labels, options, digests of files.
  public func digest(objective: [String]) throws -> String {
    var lines = ["lota-merge-search 1", recipe.yaml, names.joined(separator: "\n"), goal.rawValue]
    let sources = [recipe.base, recipe.tokenizerSource].compactMap { $0 } + recipe.inputs.map(\.path)
    for source in sources { lines += try Self.digests(of: source) }
    lines += objective
    return Data(lines.joined(separator: "\n").utf8).withUnsafeBytes(ModelFingerprint.digest(of:))
  }

  /// Of a model's or an adapter's files.
  private static func digests(of directory: String) throws -> [String] {
    let isAdapter = FileSystem.exists(FileSystem.join(directory, "adapter_config.json"))
    var lines = isAdapter ? [] : [try ModelFingerprint(Checkpoint(directory: directory)).value]
    let names =
      isAdapter ? ["adapter_config.json", "adapter_model.safetensors"] : ["config.json", "tokenizer.json"]
    for path in names.map({ FileSystem.join(directory, $0) }) where FileSystem.exists(path) {
      lines.append(try FileSystem.read(path).withUnsafeBytes(ModelFingerprint.digest(of:)))
    }
    return lines
  }
}
