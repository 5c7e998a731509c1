internal import Checkpoints
internal import Foundation

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The directory of an experiment: finished stages and scores, each under the digest of all that went into it.
///
/// A stage is built aside and shown under its name when it is complete, so what is there is whole. What an interrupted stage left
/// aside is for the next run to go on with.
final class ExperimentStore {
  let path: String
  private let lock: FileLock
  private var directories: [String: String] = [:]

  /// - Throws: ``ExperimentError/busy(path:)``, `CheckpointError`.
  init(_ path: String) throws {
    self.path = path
    for folder in ["", "stages", "scores"] { try FileSystem.createDirectory(FileSystem.join(path, folder)) }
    guard let lock = try FileLock(trying: FileSystem.join(path, ".lock")) else {
      throw ExperimentError.busy(path: path)
    }
    self.lock = lock
    for name in try FileSystem.contents(of: stages) {
      if !name.hasPrefix("."), let dot = name.lastIndex(of: ".") {
        directories[String(name[name.index(after: dot)...])] = name
      }
    }
  }

  /// Removes what interrupted stages have left. For when every stage of the plan is there.
  func removeUnfinished() throws {
    for name in try FileSystem.contents(of: stages) where name.hasPrefix(".") {
      try FileSystem.remove(FileSystem.join(stages, name))
    }
  }

  private var stages: String { FileSystem.join(path, "stages") }

  private static func short(_ key: String) -> String { String(key.prefix(12)) }

  /// nil where the stage has not been run.
  func record(_ key: String) throws -> StageRecord? {
    guard let directory = directory(key) else { return nil }
    let record: StageRecord = try Self.decode(FileSystem.join(directory, "record.json"))
    return record.key == key ? record : nil
  }

  func directory(_ key: String) -> String? {
    directories[Self.short(key)].map { FileSystem.join(stages, $0) }
  }

  /// Where a stage will stand.
  func directory(_ key: String, name: String) -> String {
    FileSystem.join(stages, "\(name).\(Self.short(key))")
  }

  /// - Parameters:
  ///   - resumes: whether the directory to work in may hold what an interrupted run left; else it is empty.
  ///   - body: given the directory to work in; what it leaves there stays, with its record.
  func run(
    _ key: String, name: String, resumes: Bool, _ body: (String) throws -> StageRecord
  ) throws -> StageRecord {
    let temporary = FileSystem.join(stages, ".\(name).\(Self.short(key))")
    let target = directory(key, name: name)
    if !resumes, FileSystem.exists(temporary) { try FileSystem.remove(temporary) }
    try FileSystem.createDirectory(temporary)
    let record = try body(temporary)
    try Self.encode(record, to: FileSystem.join(temporary, "record.json"))
    if FileSystem.exists(target) { try FileSystem.remove(target) }
    guard rename(temporary, target) == 0 else {
      throw CheckpointError.system(operation: "rename", path: target, code: errno)
    }
    directories[Self.short(key)] = "\(name).\(Self.short(key))"
    return record
  }

  func score<Score: Codable>(_ key: String, _ body: () throws -> Score) throws -> Score {
    if let score: Score = try cachedScore(key) { return score }
    let score = try body()
    try Self.encode(score, to: scorePath(key))
    return score
  }

  func cachedScore<Score: Codable>(_ key: String) throws -> Score? {
    let path = scorePath(key)
    return FileSystem.exists(path) ? try Self.decode(path) : nil
  }

  private func scorePath(_ key: String) -> String { FileSystem.join(path, "scores/\(key.prefix(16)).json") }

  private static func decode<Value: Decodable>(_ path: String) throws -> Value {
    do {
      return try JSONDecoder().decode(Value.self, from: try FileSystem.read(path))
    } catch let error as DecodingError {
      throw ExperimentError.unreadableResult(name: path, reason: "\(error); remove it and run the plan again")
    }
  }

  private static func encode(_ value: some Encodable, to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
    try FileSystem.writeAtomically(try encoder.encode(value), to: path)
  }
}
