internal import Checkpoints
internal import Foundation
internal import Yams

/// Where a run keeps what it makes.
public struct RunDirectory: Sendable {
  public let path: String

  public var configurationPath: String { FileSystem.join(path, "config.yaml") }
  public var metricsPath: String { FileSystem.join(path, "metrics.jsonl") }
  public var validationPath: String { FileSystem.join(path, "validation.jsonl") }
  public var maskPath: String { FileSystem.join(path, "mask.safetensors") }
  /// Of an iteration, counted from one.
  public func maskPath(iteration: Int) -> String { FileSystem.join(path, "mask-\(iteration).safetensors") }
  /// Of a calibration alone that leaves the weights where they are.
  public var scoresPath: String { FileSystem.join(path, "scores.safetensors") }
  public var adapterPath: String { FileSystem.join(path, "adapter") }
  public var modelPath: String { FileSystem.join(path, "model") }
  /// What was trained, at its best held-out loss.
  func bestPath(_ method: TrainingMethod) -> String {
    FileSystem.join(path, method == .fft ? "model-best" : "adapter-best")
  }
  public var reportPath: String { FileSystem.join(path, "report.html") }
  /// There while the run has not ended.
  public var checkpointsPath: String { FileSystem.join(path, "checkpoints") }

  init(_ path: String) { self.path = path }

  /// What is found where a run is to be.
  enum Standing { case empty, unfinished, finished }

  /// - Parameter resumes: whether a run that is there is to be gone on with.
  /// - Throws: `CheckpointError` or ``RunCheckpointError`` where what is there is not what is wanted.
  func standing(resumes: Bool) throws -> Standing {
    let isUnfinished = FileSystem.isDirectory(checkpointsPath)
    if isUnfinished, !resumes { throw RunCheckpointError.unfinished(path: path) }
    let isEmpty = try !FileSystem.isDirectory(path) || FileSystem.contents(of: path).isEmpty
    if !resumes || isEmpty {
      try FileSystem.checkPublishable(path)
      return .empty
    }
    if isUnfinished { return .unfinished }
    let results = [adapterPath, modelPath, scoresPath]
    guard FileSystem.exists(configurationPath), results.contains(where: FileSystem.exists) else {
      throw RunCheckpointError.notARun(path: path)
    }
    return .finished
  }

  /// Takes the directory for this process, making it where it is missing.
  ///
  /// - Throws: ``RunCheckpointError/inUse(path:)``
  func locked() throws -> FileLock {
    guard let lock = try FileLock(trying: FileSystem.join(checkpointsPath, "lock")) else {
      throw RunCheckpointError.inUse(path: path)
    }
    return lock
  }

  /// Removes what a process that was killed left half written.
  func removeLeftovers() throws {
    for folder in [path, checkpointsPath] {
      for name in try FileSystem.contents(of: folder) where name.contains(FileSystem.temporaryMark) {
        try FileSystem.remove(FileSystem.join(folder, name))
      }
    }
  }

  /// All at once, so that what a killed process leaves is either whole or none.
  func removeCheckpoints() throws {
    let aside = FileSystem.temporaryPath(beside: checkpointsPath)
    try FileSystem.move(checkpointsPath, to: aside)
    try FileSystem.remove(aside)
  }

  // MARK: - The configuration

  func write(_ configuration: RunConfiguration) throws {
    let node = try Self.node(configuration)
    try FileSystem.writeAtomically(try Yams.serialize(node: node), to: configurationPath)
  }

  /// nil where the run was ended before it wrote one.
  ///
  /// - Throws: ``RunCheckpointError/notARun(path:)``
  func configuration() throws -> RunConfiguration? {
    guard FileSystem.exists(configurationPath) else { return nil }
    let text = String(decoding: try FileSystem.read(configurationPath), as: UTF8.self)
    do {
      return try YAMLDecoder().decode(RunConfiguration.self, from: text)
    } catch {
      throw RunCheckpointError.notARun(path: path)
    }
  }

  /// Names of the settings in which two configurations differ, `training.batchSize` for example.
  static func differences(_ first: RunConfiguration, _ second: RunConfiguration) throws -> [String] {
    let (first, second) = (flattened(try node(first)), flattened(try node(second)))
    return Set(first.keys).union(second.keys).filter { first[$0] != second[$0] }.sorted()
  }

  private static func node(_ configuration: RunConfiguration) throws -> Node {
    let encoder = YAMLEncoder()
    encoder.options.sortKeys = true
    let text = try encoder.encode(configuration)
    return withShortNumbers(try Yams.compose(yaml: text) ?? Node(""))
  }

  private static func flattened(_ node: Node, at path: String = "") -> [String: String] {
    func join(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
    switch node {
    case .mapping(let mapping):
      return mapping.reduce(into: [:]) { found, pair in
        found.merge(flattened(pair.value, at: join(pair.key.string ?? ""))) { first, _ in first }
      }
    case .sequence(let sequence): return [path: sequence.map { flattened($0).description }.joined(separator: ", ")]
    default: return [path: node.string ?? ""]
    }
  }

  /// The encoder writes 0.9 as 9e-1; here it is 0.9.
  private static func withShortNumbers(_ node: Node) -> Node {
    switch node {
    case .mapping(let mapping):
      return Node(mapping.map { ($0.key, withShortNumbers($0.value)) })
    case .sequence(let sequence): return Node(sequence.map(withShortNumbers))
    default:
      guard node.tag.rawValue == Tag.Name.float.rawValue, let value = node.float else { return node }
      return Node("\(value)")
    }
  }
}
