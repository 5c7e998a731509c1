internal import Checkpoints
internal import Foundation
internal import Torch

/// A run after one of its steps, in one safetensors file: ``RunState`` as JSON in the metadata, and the tensors of its sink.
///
/// In the phases that train single weights or low-rank matrices these are the trained values and the optimizer's moments: three
/// numbers a weight of a ticket with RMSprop's, four with AdamW's, less the index, which the mask holds.
struct RunCheckpoint {
  let path: String
  let state: RunState
  let tensors: SavedTensors

  private static let format = "lota-checkpoint"

  /// - Throws: `CheckpointError`, ``RunCheckpointError``.
  init(path: String) throws {
    let file = try SafetensorsFile(path: path)
    guard file.metadata["format"] == Self.format, let text = file.metadata["state"] else {
      throw RunCheckpointError.notACheckpoint(path: path, reason: "its metadata name no state")
    }
    do {
      let version = try JSONDecoder().decode(Version.self, from: Data(text.utf8)).version
      guard version == RunState.currentVersion else {
        throw RunCheckpointError.unknownVersion(path: path, version: version)
      }
      state = try JSONDecoder().decode(RunState.self, from: Data(text.utf8))
    } catch let error as DecodingError {
      throw RunCheckpointError.notACheckpoint(path: path, reason: "its state cannot be read: \(error)")
    }
    self.path = path
    tensors = SavedTensors(file)
  }

  private struct Version: Decodable { let version: Int }

  /// Writes the file aside, flushes it and renames it.
  ///
  /// - Throws: ``RunCheckpointError/valueNotFinite(path:tensor:)`` before anything shows under the name; `CheckpointError`.
  static func write(_ state: RunState, _ tensors: [SavedTensor], to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text = String(decoding: try encoder.encode(state), as: UTF8.self)
    let writer = try SafetensorsWriter(
      path: path,
      tensors: try tensors.map { try TensorDescription(name: $0.name, dtype: $0.dtype, shape: $0.shape) },
      metadata: ["format": format, "state": text])
    for saved in tensors {
      let tensor = try saved.make().stored(as: saved.dtype)
      if saved.dtype.isFloatingPoint, try !tensor.sumOfSquares().isFinite {
        throw RunCheckpointError.valueNotFinite(path: path, tensor: saved.name)
      }
      try tensor.withBytes { try writer.append(UnsafeRawBufferPointer($0)) }
    }
    try writer.finish()
  }
}
