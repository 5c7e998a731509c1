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
  /// - Throws: `adaptersOverlap`, `adapterDoesNotFit`, `wrongBase`, `adapterMalformed`, `outputIsTheBase`, `CheckpointError`.
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
    let source = try checkOutput(directory, of: base, overwrite: overwrite)
    try verify(adapters, base: base, digests: verifiesBase)
    try checkDisjoint(adapters)
    try rewrite(
      base, from: source, to: directory, overwrite: overwrite, adapters: adapters, base: base, adding: true,
      bufferByteCount: bufferByteCount)
  }

  /// Writes the model that the base becomes with this adapter. See ``apply(_:to:output:verifiesBase:overwrite:)``.
  public func apply(
    to base: Checkpoint, output directory: String, verifiesBase: Bool = true, overwrite: Bool = false
  ) throws {
    try Self.apply([self], to: base, output: directory, verifiesBase: verifiesBase, overwrite: overwrite)
  }

  /// Writes the model that `tuned` is without these adapters: on their weights, and only there, the base's values return, bit
  /// for bit. Other adapters that `tuned` holds stay.
  ///
  /// - Parameter base: what the adapters were trained on; needed when one's value coding is lossy.
  /// - Throws: `adapterNotApplied` when `tuned` does not hold an adapter's trained weights; `adapterNeedsBase`; else as
  ///   ``apply(_:to:output:verifiesBase:overwrite:)``.
  public static func remove(
    _ adapters: [Adapter], from tuned: Checkpoint, base: Checkpoint? = nil, output directory: String,
    overwrite: Bool = false
  ) throws {
    let source = try checkOutput(directory, of: tuned, overwrite: overwrite)
    if let base {
      try verify(adapters, base: base)
    } else if let lossy = adapters.first(where: { $0.configuration.valueCoding.isLossy }) {
      throw TicketsError.adapterNeedsBase(adapter: lossy.path, coding: lossy.configuration.valueCoding)
    }
    for adapter in adapters { try adapter.verify(appliedIn: tuned) }
    try checkDisjoint(adapters)
    try rewrite(
      tuned, from: source, to: directory, overwrite: overwrite, adapters: adapters, base: base, adding: false,
      bufferByteCount: 4 << 20)
  }

  // MARK: - Parts

  /// The directory that holds `model`, once it is clear that the output can be written and is another.
  private static func checkOutput(_ directory: String, of model: Checkpoint, overwrite: Bool) throws -> String {
    try FileSystem.checkPublishable(directory, overwrite: overwrite)
    let source = FileSystem.isDirectory(model.path) ? model.path : FileSystem.parent(of: model.path)
    guard canonicalPath(directory) != canonicalPath(source) else { throw TicketsError.outputIsTheBase(directory) }
    return source
  }

  private static func rewrite(
    _ model: Checkpoint, from source: String, to directory: String, overwrite: Bool, adapters: [Adapter],
    base: Checkpoint?,
    adding: Bool, bufferByteCount: Int
  ) throws {
    try FileSystem.publishDirectory(directory, overwrite: overwrite) { temporary in
      try writeWeights(
        of: model, to: temporary, adapters: adapters, base: base, adding: adding, bufferByteCount: bufferByteCount)
      try FileSystem.copyAuxiliaryModelFiles(from: source, to: temporary)
    }
  }

  /// A model's weights with adapters' differences added or taken away, as files in a directory.
  static func writeWeights(
    of model: Checkpoint, to directory: String, adapters: [Adapter], base: Checkpoint?, adding: Bool,
    bufferByteCount: Int
  ) throws {
    let writer = try ShardedCheckpointWriter(directory: directory, tensors: model.tensors)
    for tensor in model.tensors {
      let entries = try adapters.compactMap { try $0.entries(of: tensor.name, base: base) }
      try copy(tensor, of: model, changedBy: entries, adding: adding, bufferByteCount: bufferByteCount) {
        try writer.append(tensor.name, $0)
      }
    }
    try writer.finish()
  }

  private static func copy(
    _ tensor: TensorDescription, of model: Checkpoint, changedBy entries: [AdapterEntries], adding: Bool,
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
      try model.readBytes(of: tensor.name, range: (start * size)..<(end * size), into: part)
      for (which, entry) in entries.enumerated() {
        let first = next[which]
        var last = first
        while last < entry.indices.count, Int(entry.indices[last]) < end { last += 1 }
        entry.change(part, firstElement: start, positions: first..<last, adding: adding)
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
