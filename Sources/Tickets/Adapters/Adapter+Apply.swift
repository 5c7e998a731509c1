public import Checkpoints
import Foundation
import Torch

extension Adapter {
  /// Writes the model that the base becomes with these adapters: a directory that transformers loads.
  ///
  /// Weights are streamed through a small buffer; configuration and tokenizer files are copied from the base's
  /// directory. The order of the adapters does not matter, because their tickets must be disjoint.
  ///
  /// - Parameters:
  ///   - directory: must not exist, or be empty, unless `overwrite`; it appears only when it is complete.
  ///   - verifiesBase: compare the digest of every tensor that is changed; without it, only names, shapes and element
  ///     types are checked.
  /// - Throws: `adaptersOverlap`, `adapterDoesNotFit`, `wrongBase`, `outputIsTheBase`, `CheckpointError`.
  public static func apply(
    _ adapters: [Adapter], to base: Checkpoint, output directory: String, verifiesBase: Bool = true,
    overwrite: Bool = false
  ) throws {
    try apply(
      adapters, to: base, output: directory, verifiesBase: verifiesBase, overwrite: overwrite,
      bufferByteCount: 4 << 20)
  }

  package static func apply(
    _ adapters: [Adapter], to base: Checkpoint, output directory: String, verifiesBase: Bool = true,
    overwrite: Bool = false, bufferByteCount: Int
  ) throws {
    try FileSystem.checkPublishable(directory, overwrite: overwrite)
    let source = FileSystem.isDirectory(base.path) ? base.path : FileSystem.parent(of: base.path)
    guard canonicalPath(directory) != canonicalPath(source) else { throw TicketsError.outputIsTheBase(directory) }
    for adapter in adapters { try adapter.verify(base: base, digests: verifiesBase) }
    try checkDisjoint(adapters)
    try FileSystem.publishDirectory(directory, overwrite: overwrite) { temporary in
      let writer = try ShardedCheckpointWriter(directory: temporary, tensors: base.tensors)
      for tensor in base.tensors {
        let entries = try adapters.compactMap { try $0.entries(of: tensor.name) }
        try copy(tensor, of: base, changedBy: entries, bufferByteCount: bufferByteCount) {
          try writer.append(tensor.name, $0)
        }
      }
      try writer.finish()
      try FileSystem.copyAuxiliaryModelFiles(from: source, to: temporary)
    }
  }

  /// Writes the model that the base becomes with this adapter. See ``apply(_:to:output:verifiesBase:overwrite:)``.
  public func apply(
    to base: Checkpoint, output directory: String, verifiesBase: Bool = true, overwrite: Bool = false
  ) throws {
    try Self.apply([self], to: base, output: directory, verifiesBase: verifiesBase, overwrite: overwrite)
  }

  private static func copy(
    _ tensor: TensorDescription, of base: Checkpoint, changedBy entries: [AdapterEntries],
    bufferByteCount: Int, _ append: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    let size = tensor.dtype.byteCount
    let step = max(1, bufferByteCount / size)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: step * size, alignment: 16)
    defer { buffer.deallocate() }
    var next = [Int](repeating: 0, count: entries.count)
    for start in stride(from: 0, to: tensor.elementCount, by: step) {
      let end = min(start + step, tensor.elementCount)
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<((end - start) * size)])
      try base.readBytes(of: tensor.name, range: (start * size)..<(end * size), into: part)
      for (which, entry) in entries.enumerated() {
        let first = next[which]
        var last = first
        while last < entry.indices.count, Int(entry.indices[last]) < end { last += 1 }
        entry.values.withUnsafeBytes {
          entry.scatter($0, positions: first..<last, into: part, firstElement: start)
        }
        next[which] = last
      }
      try append(UnsafeRawBufferPointer(part))
    }
  }
}

/// The path without links and relative parts, as far as it exists.
private func canonicalPath(_ path: String) -> String {
  URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
}
