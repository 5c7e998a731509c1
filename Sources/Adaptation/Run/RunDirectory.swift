internal import Checkpoints
internal import Foundation
internal import Yams

/// Where a run keeps what it makes.
public struct RunDirectory: Sendable {
  public let path: String

  public var configurationPath: String { FileSystem.join(path, "config.yaml") }
  public var metricsPath: String { FileSystem.join(path, "metrics.jsonl") }
  public var maskPath: String { FileSystem.join(path, "mask.safetensors") }
  public var adapterPath: String { FileSystem.join(path, "adapter") }
  public var modelPath: String { FileSystem.join(path, "model") }
  public var reportPath: String { FileSystem.join(path, "report.html") }

  /// - Throws: ``CheckpointError/outputExists(path:)`` unless the directory is missing or empty and can be created.
  static func checkCreatable(_ path: String) throws { try FileSystem.checkPublishable(path) }

  /// Creates the directory with the resolved configuration in it.
  init(create path: String, configuration: RunConfiguration) throws {
    try Self.checkCreatable(path)
    try FileSystem.createDirectory(path)
    self.path = path
    let encoder = YAMLEncoder()
    encoder.options.sortKeys = true
    try FileSystem.writeAtomically(try encoder.encode(configuration), to: configurationPath)
  }
}
