import Checkpoints
import Foundation
import Primitives
import Torch

/// The file: per scoped weight a `U8` tensor under the weight's own name with its bits packed least significant first,
/// and the text metadata below. The reference implementation's files, which have `shapes` and `kept` only, are read too.
extension Mask {
  private enum Key {
    static let format = "format"
    static let version = "version"
    static let sparsity = "sparsity"
    static let kept = "kept"
    static let shapes = "shapes"
    static let baseFingerprint = "base_fingerprint"
  }

  private static let formatName = "lota-mask"
  private static let version = 1

  /// Writes the mask atomically.
  public func write(to path: String) throws {
    let tensors = try entries.map {
      try TensorDescription(name: $0.name, dtype: .uint8, shape: [BitMask.packedByteCount(for: $0.bits.count)])
    }
    let shapes = entries.map { entry in
      "\(JSONValue.quoted(entry.name)): [\(entry.shape.map(String.init).joined(separator: ", "))]"
    }
    var metadata = [
      Key.format: Self.formatName, Key.version: String(Self.version), Key.sparsity: String(sparsity),
      Key.kept: String(keptCount), Key.shapes: "{\(shapes.joined(separator: ", "))}",
    ]
    metadata[Key.baseFingerprint] = baseFingerprint
    let writer = try SafetensorsWriter(path: path, tensors: tensors, metadata: metadata)
    for entry in entries { try entry.bits.withPackedBytes { try writer.append($0) } }
    try writer.finish()
  }

  /// Reads and fully checks a mask file.
  ///
  /// - Throws: `maskMalformed` saying what does not agree; `CheckpointError` when it is no safetensors file.
  public init(path: String) throws {
    let file = try SafetensorsFile(path: path)
    func malformed(_ problem: String) -> TicketsError { .maskMalformed(path: path, problem: problem) }
    let metadata = file.metadata
    guard metadata[Key.format] ?? Self.formatName == Self.formatName else {
      throw malformed("its format is \(metadata[Key.format] ?? ""), not \(Self.formatName)")
    }
    guard metadata[Key.format] == nil || metadata[Key.version] == String(Self.version) else {
      throw malformed("its version is \(metadata[Key.version] ?? "missing"), this program reads \(Self.version)")
    }
    guard let text = metadata[Key.shapes] else { throw malformed("it has no shapes in its metadata") }
    let shapes = try Self.shapes(in: text, path: path)
    let problems =
      file.tensors.filter { shapes[$0.name] == nil }.map { "tensor \($0.name) has no shape" }
      + shapes.keys.filter { !file.contains($0) }.sorted().map { "tensor \($0) is missing" }
    if let first = problems.first { throw malformed(first) }

    let entries = try file.tensors.map { tensor in
      let shape = shapes[tensor.name] ?? []
      guard let count = TensorDescription.elementCount(of: shape) else {
        throw malformed("tensor \(tensor.name) has the impossible shape \(shape)")
      }
      guard tensor.dtype == .uint8 else { throw malformed("tensor \(tensor.name) is \(tensor.dtype.rawValue), not U8") }
      do {
        let bits = try file.withBytes(of: tensor.name) { try BitMask(count: count, packed: $0) }
        return Entry(name: tensor.name, shape: shape, bits: bits)
      } catch let error as TicketsError {
        throw malformed("tensor \(tensor.name): \(error)")
      }
    }
    var sparsity: Double?
    if let text = metadata[Key.sparsity] {
      guard let value = Double(text), (0...1).contains(value) else {
        throw malformed("its sparsity is \(text), not a number from 0 to 1")
      }
      sparsity = value
    }
    try self.init(entries: entries, sparsity: sparsity, baseFingerprint: metadata[Key.baseFingerprint])
    guard let kept = metadata[Key.kept] else { throw malformed("it has no count of kept weights in its metadata") }
    guard Int(kept) == keptCount else { throw malformed("it keeps \(keptCount) weights, its metadata says \(kept)") }
  }

  private static func shapes(in text: String, path: String) throws -> [String: [Int]] {
    let value = try FileSystem.parseJSON(Data(text.utf8), path: "\(path) (metadata, shapes)")
    guard let members = value.objectValue else {
      throw TicketsError.maskMalformed(path: path, problem: "its shapes are not a JSON object")
    }
    return try members.mapValues { shape in
      guard let extents = shape.arrayValue?.map(\.integerValue), !extents.contains(nil) else {
        throw TicketsError.maskMalformed(
          path: path, problem: "its shapes hold \(shape.summary), not a list of integers")
      }
      return extents.compactMap { $0 }
    }
  }
}
