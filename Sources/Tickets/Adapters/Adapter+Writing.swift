public import Checkpoints
public import Torch

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

extension Adapter {
  /// What an adapter's configuration says about its training.
  public struct Provenance: Equatable, Sendable {
    /// `lota`, for example.
    public var method: String
    /// Steps, data digest, seed, and whatever else is worth keeping.
    public var training: [String: String]

    public init(method: String, training: [String: String] = [:]) {
      self.method = method
      self.training = training
    }
  }

  /// Writes an adapter, tensor by tensor, into a directory that appears only when it is complete.
  ///
  /// - Parameters:
  ///   - directory: must not exist, or be empty, unless `overwrite`.
  ///   - mask: which weights were trained; tensors without any are left out.
  ///   - fingerprint: the base's, when the caller has it already; else every byte of the base is read to compute it.
  ///   - values: gives a tensor's trained values as stored, one element of the base's type for each index.
  /// - Throws: `maskDoesNotFit`, `tensorTooLarge`, `wrongValueCount`, what `values` throws, and `CheckpointError`.
  @discardableResult
  public static func write(
    to directory: String, base: Checkpoint, mask: Mask, provenance: Provenance, fingerprint: ModelFingerprint? = nil,
    overwrite: Bool = false, values: (_ tensor: TensorDescription, _ indices: [Int32]) throws -> [UInt8]
  ) throws -> Adapter {
    try FileSystem.checkPublishable(directory, overwrite: overwrite)
    let changed = mask.entries.filter { $0.bits.populationCount > 0 }
    let tensors = try describe(changed, in: base)
    let fingerprint = try fingerprint ?? ModelFingerprint(base)
    let baseTensors = try baseTensors(tensors, of: changed, fingerprint: fingerprint, base: base)
    let configuration = AdapterConfiguration(
      method: provenance.method, sparsity: mask.sparsity, scopedCount: mask.scopedCount,
      baseFingerprint: fingerprint.value, baseTensors: baseTensors, training: provenance.training)

    try FileSystem.publishDirectory(directory, overwrite: overwrite) { temporary in
      // All indices first: both kinds stay aligned for readers that map the file.
      let indexTensors = try zip(changed, tensors).map {
        try TensorDescription(name: $1.name + indicesSuffix, dtype: .int32, shape: [$0.bits.populationCount])
      }
      let valueTensors = try zip(changed, tensors).map {
        try TensorDescription(name: $1.name + valuesSuffix, dtype: $1.dtype, shape: [$0.bits.populationCount])
      }
      let writer = try SafetensorsWriter(
        path: FileSystem.join(temporary, weightsFileName), tensors: indexTensors + valueTensors,
        metadata: ["format": AdapterConfiguration.formatName])
      for entry in changed {
        try entry.bits.int32Indices.map(\.littleEndian).withUnsafeBytes { try writer.append($0) }
      }
      for (entry, tensor) in zip(changed, tensors) {
        let bytes = try values(tensor, entry.bits.int32Indices)
        let expected = entry.bits.populationCount * tensor.dtype.byteCount
        guard bytes.count == expected else {
          throw TicketsError.wrongValueCount(tensor: tensor.name, expected: expected, found: bytes.count)
        }
        try bytes.withUnsafeBytes { try writer.append($0) }
      }
      try writer.finish()
      try FileSystem.writeAtomically(configuration.json(), to: FileSystem.join(temporary, configurationFileName))
    }
    return try Adapter(directory: directory)
  }

  /// Writes the adapter that turns `base` into `tuned`.
  ///
  /// - Throws: as above; `trainedOutsideMask` when any weight outside the mask, in any tensor, differs between the two;
  ///   `adapterDoesNotFit` when their tensors are not the same.
  @discardableResult
  public static func write(
    to directory: String, base: Checkpoint, tuned: Checkpoint, mask: Mask, provenance: Provenance,
    fingerprint: ModelFingerprint? = nil, overwrite: Bool = false
  ) throws -> Adapter {
    try FileSystem.checkPublishable(directory, overwrite: overwrite)
    try checkUnchangedOutside(mask, base: base, tuned: tuned)
    return try write(
      to: directory, base: base, mask: mask, provenance: provenance, fingerprint: fingerprint, overwrite: overwrite
    ) { tensor, indices in
      let bytes = try tuned.withBytes(of: tensor.name) {
        gatherElements(at: indices, size: tensor.dtype.byteCount, from: $0)
      }
      try tuned.adviseDone(with: tensor.name)
      return bytes
    }
  }

  /// Trained values in float32 as the adapter stores them: rounded once, to nearest even, into the base's element type.
  public static func storedValues(_ values: [Float], as dtype: DType) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: values.count * dtype.byteCount) { buffer, initialized in
      initialized = values.count * dtype.byteCount
      values.withUnsafeBufferPointer { values in
        FloatCodec.encode(
          values, as: dtype,
          into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: values.count * dtype.byteCount))
      }
    }
  }

  // MARK: - Parts

  private static func describe(_ changed: [Mask.Entry], in base: Checkpoint) throws -> [TensorDescription] {
    let shapes = Dictionary(uniqueKeysWithValues: base.tensors.map { ($0.name, $0.shape) })
    let problems = changed.compactMap { $0.mismatch(with: shapes) }
    guard problems.isEmpty else { throw TicketsError.maskDoesNotFit(problems) }
    return try changed.map { entry in
      guard entry.bits.count <= maximumElementCount else {
        throw TicketsError.tensorTooLarge(tensor: entry.name, elements: entry.bits.count, limit: maximumElementCount)
      }
      return try base.description(of: entry.name)
    }
  }

  private static func baseTensors(
    _ tensors: [TensorDescription], of changed: [Mask.Entry], fingerprint: ModelFingerprint, base: Checkpoint
  ) throws -> [String: AdapterConfiguration.BaseTensor] {
    var result: [String: AdapterConfiguration.BaseTensor] = [:]
    for (tensor, entry) in zip(tensors, changed) {
      let digest = try fingerprint.sha256(of: tensor.name) ?? ModelFingerprint.digest(of: tensor.name, in: base)
      result[tensor.name] = .init(
        sha256: digest, dtype: tensor.dtype, shape: tensor.shape, trained: entry.bits.populationCount)
    }
    return result
  }

  private static func checkUnchangedOutside(_ mask: Mask, base: Checkpoint, tuned: Checkpoint) throws {
    let problems = base.tensors.compactMap { tensor -> String? in
      guard let found = try? tuned.description(of: tensor.name) else { return "tensor \(tensor.name) is missing" }
      return found == tensor ? nil : "tensor \(tensor.name) is \(found.dtype.rawValue) \(found.shape)"
    }
    guard problems.isEmpty else { throw TicketsError.adapterDoesNotFit(path: tuned.path, problems: problems) }
    let names = TicketScope.canonicalOrder(base.tensors.map(\.name))
    let workers = Array(0..<max(1, min(TicketSelection.Tuning().workerCount, names.count)))
    try ParallelChunks.forEach(0..<names.count, workers: workers) { _, position in
      let name = names[position]
      let size = try base.description(of: name).dtype.byteCount
      let bits = mask[name]?.bits
      try base.withBytes(of: name) { old in
        try tuned.withBytes(of: name) { new in
          guard let index = firstDifference(old, new, size: size, outside: bits) else { return }
          throw TicketsError.trainedOutsideMask(tensor: name, index: index)
        }
      }
      try base.adviseDone(with: name)
      try tuned.adviseDone(with: name)
    }
  }

  /// Index of the first element that differs and is not in `bits`. Whole equal blocks are passed over at once.
  private static func firstDifference(
    _ old: UnsafeRawBufferPointer, _ new: UnsafeRawBufferPointer, size: Int, outside bits: BitMask?
  ) -> Int? {
    guard let left = old.baseAddress, let right = new.baseAddress else { return nil }
    let count = old.count / size
    for start in stride(from: 0, to: count, by: 64) {
      let length = min(64, count - start)
      let offset = start * size
      if memcmp(left + offset, right + offset, length * size) == 0 { continue }
      for element in start..<(start + length) where bits?[element] != true {
        let isEqual = (element * size..<(element + 1) * size).allSatisfy { old[$0] == new[$0] }
        if !isEqual { return element }
      }
    }
    return nil
  }
}

extension BitMask {
  /// Indices of the set bits, ascending.
  ///
  /// - Precondition: at most `Int32.max` bits.
  package var int32Indices: [Int32] {
    let population = populationCount
    return [Int32](unsafeUninitializedCapacity: population) { buffer, initialized in
      var position = 0
      forEachSetIndex {
        buffer[position] = Int32($0)
        position += 1
      }
      initialized = position
    }
  }
}
