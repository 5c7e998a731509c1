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
    let text = try encoder.encode(configuration)
    let node = try Yams.compose(yaml: text).map(Self.withShortNumbers)
    try FileSystem.writeAtomically(try node.map { try Yams.serialize(node: $0) } ?? text, to: configurationPath)
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
