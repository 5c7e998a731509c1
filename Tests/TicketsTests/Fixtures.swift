import Checkpoints
import Foundation
import TestSupport
import Tickets
import Torch

/// A small model on disk; values are stored exactly in `dtype` when they fit it.
struct SmallModel {
  var dtype = DType.float32
  var tensors: [String: (shape: [Int], values: [Float])] = [:]

  /// Two layers' projections, an embedding and a norm, with random values.
  static func random(seed: UInt64, dtype: DType = .float32) -> SmallModel {
    var generator = SeededGenerator(seed: seed)
    var model = SmallModel(dtype: dtype)
    for (position, name) in (projectionNames(14) + ["model.embed_tokens.weight", "model.norm.weight"]).enumerated() {
      let shape = [3 + position, 5]
      model.tensors[name] = (
        shape, (0..<(shape[0] * shape[1])).map { _ in Float(generator.next(below: 256)) / 128 - 1 }
      )
    }
    return model
  }

  var scopedNames: [String] { TicketScope.scopedNames(of: tensors.keys) }

  func bytes(of name: String) -> [UInt8] { Adapter.storedValues(tensors[name]?.values ?? [], as: dtype) }

  /// Writes a model directory: weights, a configuration and a tokenizer file.
  @discardableResult
  func write(to directory: String) throws -> Checkpoint {
    try FileSystem.createDirectory(directory)
    let names = tensors.keys.sorted()
    let descriptions = try names.map {
      try TensorDescription(name: $0, dtype: dtype, shape: tensors[$0]?.shape ?? [])
    }
    let writer = try SafetensorsWriter(
      path: FileSystem.join(directory, "model.safetensors"), tensors: descriptions, metadata: ["format": "pt"])
    for name in names { try bytes(of: name).withUnsafeBytes { try writer.append($0) } }
    try writer.finish()
    try FileSystem.writeAtomically("{\"model_type\": \"llama\"}\n", to: FileSystem.join(directory, "config.json"))
    try FileSystem.writeAtomically("{}\n", to: FileSystem.join(directory, "tokenizer.json"))
    return try Checkpoint(directory: directory)
  }

  /// The same model with other values in the mask.
  func trained(at mask: Mask, seed: UInt64) -> SmallModel {
    var generator = SeededGenerator(seed: seed)
    var model = self
    for entry in mask.entries {
      entry.bits.forEachSetIndex { index in
        model.tensors[entry.name]?.values[index] = Float(generator.next(below: 256)) / 64 + 4
      }
    }
    return model
  }
}

extension Checkpoint {
  func bytes(of name: String) throws -> [UInt8] { try withBytes(of: name) { Array($0) } }

  func allBytes() throws -> [String: [UInt8]] {
    try Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, try bytes(of: $0.name)) })
  }
}
