public import Checkpoints
import Foundation
import Synchronization
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

  /// Writes an adapter into a directory that appears only when it is complete. Memory grows with the adapter, not the model.
  ///
  /// - Parameters:
  ///   - directory: must not exist, or be empty, unless `overwrite`.
  ///   - mask: which weights were trained; tensors without any are left out.
  ///   - fingerprint: the base's, when the caller has it already; else every byte of the base is read to compute it.
  ///   - coding: how values are stored. With a lossy one the adapter's trained weights are those that base and stored updates give.
  ///   - values: gives a tensor's trained values as stored, one element of the base's type for each index.
  /// - Throws: `maskDoesNotFit`, `tensorTooLarge`, `elementTypeNotHeld`, `wrongValueCount`, `updateNotHeld`, what `values` throws, and
  ///   `CheckpointError`.
  @discardableResult
  public static func write(
    to directory: String, base: Checkpoint, mask: Mask, provenance: Provenance, fingerprint: ModelFingerprint? = nil,
    coding: ValueCoding = .exact, overwrite: Bool = false,
    values: (_ tensor: TensorDescription, _ indices: [Int32]) throws -> [UInt8]
  ) throws -> Adapter {
    try FileSystem.checkPublishable(directory, overwrite: overwrite)
    let changed = mask.entries.filter { $0.bits.populationCount > 0 }
    let tensors = try describe(changed, in: base)
    let fingerprint = try fingerprint ?? ModelFingerprint(base)
    let content = Content(
      method: provenance.method, sparsity: mask.sparsity, scopedCount: mask.scopedCount,
      baseFingerprint: fingerprint.value, baseByteCount: base.tensors.reduce(0) { $0 + $1.byteCount }, coding: coding,
      training: provenance.training)
    return try write(
      to: directory, base: base, content: content, tensors: tensors, overwrite: overwrite,
      sha256: { try fingerprint.sha256(of: $0) ?? ModelFingerprint.digest(of: $0, in: base) },
      indices: { changed[$0].bits.int32Indices }, values: values)
  }

  /// What a configuration says beside its tensors.
  struct Content {
    let method: String
    let sparsity: Double
    let scopedCount: Int
    let baseFingerprint: String
    let baseByteCount: Int
    let coding: ValueCoding
    let training: [String: String]
  }

  /// - Parameters:
  ///   - tensors: of the base, those that change.
  ///   - sha256: of a base tensor's bytes.
  ///   - indices: by position in `tensors`.
  static func write(
    to directory: String, base: Checkpoint, content: Content, tensors: [TensorDescription], overwrite: Bool,
    sha256: @Sendable (String) throws -> String, indices: (Int) throws -> [Int32],
    values: (_ tensor: TensorDescription, _ indices: [Int32]) throws -> [UInt8]
  ) throws -> Adapter {
    let coded = try encode(
      tensors, base: base, coding: content.coding, sha256: sha256, indices: indices, values: values)
    let heads = Dictionary(
      uniqueKeysWithValues: coded.map { ($0.name, Array($0.record.prefix(AdapterRecord.leadingByteCount))) })
    let configuration = AdapterConfiguration(
      method: content.method, sparsity: content.sparsity, scopedCount: content.scopedCount,
      baseFingerprint: content.baseFingerprint, baseByteCount: content.baseByteCount,
      recordsDigest: AdapterRecord.digestOfAll(coded.map(\.name)) { heads[$0] ?? [] },
      valueCoding: content.coding,
      valueError: content.coding.isLossy
        ? ValueError(coded.reduce(into: ValueError.Sums()) { $0 += $1.errors }) : nil,
      baseTensors: Dictionary(uniqueKeysWithValues: coded.map { ($0.name, $0.description) }),
      training: content.training)

    try FileSystem.publishDirectory(directory, overwrite: overwrite) { temporary in
      let json = try configuration.json()
      let records = try coded.map { try TensorDescription(name: $0.name, dtype: .uint8, shape: [$0.record.count]) }
      let writer = try SafetensorsWriter(
        path: FileSystem.join(temporary, weightsFileName), tensors: records,
        metadata: metadata(configurationDigest: json.withUnsafeBytes(ModelFingerprint.digest(of:))))
      for tensor in coded { try tensor.record.withUnsafeBytes { try writer.append($0) } }
      try writer.finish()
      try FileSystem.writeAtomically(json, to: FileSystem.join(temporary, configurationFileName))
    }
    return try Adapter(directory: directory)
  }

  /// Writes the adapter that turns `base` into `tuned`.
  ///
  /// - Throws: as above; `trainedOutsideMask` when any weight outside the mask, in any tensor, differs between the two;
  ///   `modelsDiffer` when their tensors are not the same.
  @discardableResult
  public static func write(
    to directory: String, base: Checkpoint, tuned: Checkpoint, mask: Mask, provenance: Provenance,
    fingerprint: ModelFingerprint? = nil, coding: ValueCoding = .exact, overwrite: Bool = false
  ) throws -> Adapter {
    try FileSystem.checkPublishable(directory, overwrite: overwrite)
    try checkUnchangedOutside(mask, base: base, tuned: tuned)
    return try write(
      to: directory, base: base, mask: mask, provenance: provenance, fingerprint: fingerprint, coding: coding,
      overwrite: overwrite
    ) { try storedWeights(of: tuned, tensor: $0, indices: $1) }
  }

  /// A checkpoint's weights at the indices, as stored.
  package static func storedWeights(
    of model: Checkpoint, tensor: TensorDescription, indices: [Int32]
  ) throws -> [UInt8] {
    let bytes = try model.withBytes(of: tensor.name) {
      gatherElements(at: indices, size: tensor.dtype.byteCount, from: $0)
    }
    try model.adviseDone(with: tensor.name)
    return bytes
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

  /// A tensor's record, and what the configuration says about it.
  private struct CodedTensor {
    let name: String
    let record: [UInt8]
    let description: AdapterConfiguration.BaseTensor
    let errors: ValueError.Sums
  }

  /// Values are asked for one tensor after another, since they may come from the engine; a few tensors' at a time are coded.
  private static func encode(
    _ tensors: [TensorDescription], base: Checkpoint, coding: ValueCoding,
    sha256: @Sendable (String) throws -> String, indices: (Int) throws -> [Int32],
    values: (_ tensor: TensorDescription, _ indices: [Int32]) throws -> [UInt8]
  ) throws -> [CodedTensor] {
    var coded: [CodedTensor] = []
    for start in stride(from: 0, to: tensors.count, by: 16) {
      let pending = try (start..<min(start + 16, tensors.count)).map { position in
        let (tensor, indices) = (tensors[position], try indices(position))
        let bytes = try values(tensor, indices)
        let expected = indices.count * tensor.dtype.byteCount
        guard bytes.count == expected else {
          throw TicketsError.wrongValueCount(tensor: tensor.name, expected: expected, found: bytes.count)
        }
        return (tensor, indices, bytes)
      }
      let results = Mutex<[Int: CodedTensor]>([:])
      try inParallel(pending.count) { position in
        let (tensor, indices, trained) = pending[position]
        let result = try encode(tensor, indices, trained: trained, base: base, coding: coding, sha256: sha256)
        results.withLock { $0[position] = result }
      }
      coded += results.withLock { results in pending.indices.compactMap { results[$0] } }
    }
    return coded
  }

  private static func encode(
    _ tensor: TensorDescription, _ indices: [Int32], trained: [UInt8], base: Checkpoint, coding: ValueCoding,
    sha256: (String) throws -> String
  ) throws -> CodedTensor {
    guard let width = PatternDifference.width(of: tensor.dtype) else {
      throw TicketsError.elementTypeNotHeld(tensor: tensor.name, dtype: tensor.dtype.rawValue)
    }
    let old = try storedWeights(of: base, tensor: tensor, indices: indices)
    var values = StoredValues.differences([])
    var (held, errors) = (trained, ValueError.Sums())
    if coding.isLossy {
      (values, held, errors) = try rounded(tensor, indices, base: old, trained: trained, coding: coding)
    } else {
      values = .differences(patternDifferences(base: old, trained: trained, dtype: tensor.dtype))
    }
    return CodedTensor(
      name: tensor.name,
      record: AdapterRecord.encoded(indices: indices, values: values, width: width, trained: held),
      description: .init(base: tensor, sha256: try sha256(tensor.name), trained: indices.count),
      errors: errors)
  }

  /// - Throws: `modelsDiffer` with every tensor that is missing or of another type or shape.
  static func checkSameTensors(base: Checkpoint, tuned: Checkpoint) throws {
    let problems = base.tensors.compactMap { tensor -> String? in
      guard let found = try? tuned.description(of: tensor.name) else { return "tensor \(tensor.name) is missing" }
      return found == tensor ? nil : "tensor \(tensor.name) is \(found.dtype.rawValue) \(found.shape)"
    }
    guard problems.isEmpty else { throw TicketsError.modelsDiffer(path: tuned.path, problems: problems) }
  }

  private static func checkUnchangedOutside(_ mask: Mask, base: Checkpoint, tuned: Checkpoint) throws {
    try checkSameTensors(base: base, tuned: tuned)
    let names = TicketScope.canonicalOrder(base.tensors.map(\.name))
    try inParallel(names.count) { position in
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
