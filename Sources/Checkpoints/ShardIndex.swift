import Foundation
import Primitives

/// `model.safetensors.index.json`: which shard holds which tensor.
package struct ShardIndex: Equatable, Sendable {
  package static let fileName = "model.safetensors.index.json"
  package let path: String
  /// Tensor name to shard file name.
  package let weightMap: [String: String]

  /// Shard file names, each once, in order.
  package var shardNames: [String] { Set(weightMap.values).sorted { $0.precedesInBytes($1) } }

  package init(path: String) throws {
    self.path = path
    let json = try FileSystem.readJSON(path)
    guard let members = json["weight_map"]?.objectValue else {
      throw CheckpointError.malformedIndex(path: path, reason: "\"weight_map\" is missing or not an object")
    }
    guard !members.isEmpty else { throw CheckpointError.malformedIndex(path: path, reason: "\"weight_map\" is empty") }
    var map: [String: String] = [:]
    for (name, value) in members {
      guard let shard = value.stringValue else {
        throw CheckpointError.malformedIndex(path: path, reason: "shard of \(name) is not a string")
      }
      guard Self.isPlainFileName(shard) else { throw CheckpointError.unsafeShardName(path: path, name: shard) }
      map[name] = shard
    }
    weightMap = map
  }

  /// Whether `name` stays in its directory: one component, not hidden, no separators or control characters.
  static func isPlainFileName(_ name: String) -> Bool {
    !name.isEmpty && !name.hasPrefix(".")
      && name.unicodeScalars.allSatisfy { $0 != "/" && $0 != "\\" && $0.value >= 0x20 && $0.value != 0x7F }
  }

  /// Index text as `transformers` writes it: total size, then the map by tensor name.
  package static func encoded(weightMap: [String: String], totalByteCount: Int) -> String {
    let lines = weightMap.sorted { $0.key.precedesInBytes($1.key) }
      .map { "    \(JSONValue.quoted($0.key)): \(JSONValue.quoted($0.value))" }
    return """
      {
        "metadata": {
          "total_size": \(totalByteCount)
        },
        "weight_map": {
      \(lines.joined(separator: ",\n"))
        }
      }

      """
  }
}
