public import Checkpoints
import Torch

/// What weights are ranked by, as a file: one safetensors file, for each weight in scope its score, float32, under its name; metadata
/// `format=lota-scores`, `version`, `ranked_by`, `base_fingerprint`. Magnitudes count, signs do not.
public struct ScoreFile: Equatable, Sendable {
  private static let formatName = "lota-scores"
  private static let version = "1"

  public let rankedBy: String
  public let baseFingerprint: String

  package init(rankedBy: String, baseFingerprint: String) {
    self.rankedBy = rankedBy
    self.baseFingerprint = baseFingerprint
  }

  /// Opens a file of scores; they are read through the checkpoint.
  ///
  /// - Throws: `scoresMalformed`; `CheckpointError` when it is no safetensors file.
  public static func open(_ path: String) throws -> (file: ScoreFile, scores: Checkpoint) {
    let metadata = try SafetensorsFile(path: path).metadata
    guard metadata["format"] == formatName, metadata["version"] == version, let rankedBy = metadata["ranked_by"],
      let fingerprint = metadata["base_fingerprint"]
    else {
      throw TicketsError.scoresMalformed(
        path: path, problem: metadata["format"] == formatName ? "of another version" : "of another kind")
    }
    return (ScoreFile(rankedBy: rankedBy, baseFingerprint: fingerprint), try Checkpoint(directory: path))
  }

  /// Writes the scores atomically, a part of one tensor in memory at a time.
  package func write(to path: String, names: [String], scores: any WeightSource) throws {
    let tensors = try names.map { try TensorDescription(name: $0, dtype: .float32, shape: try scores.shape(of: $0)) }
    let writer = try SafetensorsWriter(
      path: path, tensors: tensors,
      metadata: [
        "format": Self.formatName, "version": Self.version, "ranked_by": rankedBy, "base_fingerprint": baseFingerprint,
      ])
    let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: ChunkPlan.chunkSize)
    defer { buffer.deallocate() }
    for tensor in tensors {
      for start in stride(from: 0, to: tensor.elementCount, by: ChunkPlan.chunkSize) {
        let range = start..<min(start + ChunkPlan.chunkSize, tensor.elementCount)
        try scores.readFloats(of: tensor.name, range: range, into: buffer)
        #if !_endian(little)
        for index in 0..<range.count { buffer[index] = Float(bitPattern: buffer[index].bitPattern.littleEndian) }
        #endif
        try writer.append(UnsafeRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[..<range.count])))
      }
    }
    try writer.finish()
  }
}
