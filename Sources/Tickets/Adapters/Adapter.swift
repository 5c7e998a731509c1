public import Checkpoints
import Foundation
import Torch

/// A sparse adapter on disk: a directory with `adapter_config.json` and `adapter_model.safetensors`.
///
/// The weights file holds a record for each changed tensor: where it is changed, and by how much the bit patterns differ from the
/// base's, so that base and adapter give the trained weights, and these without the adapter the base, bit for bit.
/// docs/adapter-format.md has every detail. Opening checks the configuration; a record is checked when it is read.
public struct Adapter: Sendable {
  package static let configurationFileName = "adapter_config.json"
  package static let weightsFileName = "adapter_model.safetensors"
  static let configurationDigestKey = "configuration_sha256"
  /// Indices are 32-bit.
  static let maximumElementCount = Int(Int32.max)

  /// The directory.
  public let path: String
  public let configuration: AdapterConfiguration
  /// Tensors it changes, in canonical order.
  public let tensorNames: [String]
  let file: SafetensorsFile
  /// Size of `adapter_config.json`.
  let configurationByteCount: Int

  /// Opens an adapter and checks everything but its records.
  ///
  /// - Throws: `adapterMalformed`, `adapterUnsupportedVersion`; `CheckpointError` for missing or damaged files.
  public init(directory: String) throws {
    let configurationPath = FileSystem.join(directory, Self.configurationFileName)
    let data = try FileSystem.read(configurationPath)
    configuration = try AdapterConfiguration.decode(data, path: configurationPath)
    configurationByteCount = data.count
    file = try SafetensorsFile(path: FileSystem.join(directory, Self.weightsFileName))
    path = directory
    tensorNames = TicketScope.canonicalOrder(Array(configuration.baseTensors.keys))
    try check()
    try checkMetadata(configurationDigest: data.withUnsafeBytes(ModelFingerprint.digest(of:)))
    try checkRecordsDigest()
  }

  /// The trained weights of one tensor; nil when the adapter leaves it alone. Safe to call from several threads.
  ///
  /// - Parameter base: the adapter's base, needed where the value coding is lossy: what the entries then say is how the weights that
  ///   base and adapter give differ from it, so that they go in and out exactly as those of any adapter.
  /// - Throws: `adapterMalformed`, naming the tensor, when its record is damaged; `adapterNeedsBase`; `adapterDoesNotFit`.
  public func entries(of name: String, base: Checkpoint? = nil) throws -> AdapterEntries? {
    try stored(of: name).map { try entries($0, base: base) }
  }

  /// The same from a tensor that was read.
  func entries(_ stored: StoredTensor, base: Checkpoint?) throws -> AdapterEntries {
    let differences: [UInt32]
    if case .differences(let exact) = stored.values {
      differences = exact
    } else {
      differences = try self.differences(stored.values, at: stored.indices, of: stored.name, base: base)
    }
    return AdapterEntries(name: stored.name, dtype: stored.dtype, indices: stored.indices, differences: differences)
  }

  /// Where one tensor is changed; nil when the adapter leaves it alone.
  ///
  /// - Throws: `adapterMalformed`.
  public func indices(of name: String) throws -> [Int32]? {
    guard let tensor = configuration.baseTensors[name] else { return nil }
    return try withRecord(of: name) { try indices($0, of: tensor) }
  }

  /// Calls `body` with every changed tensor's entries, several tensors at a time, in no certain order.
  ///
  /// - Parameter base: as for ``entries(of:base:)``.
  public func forEachTensor(base: Checkpoint? = nil, _ body: @Sendable (AdapterEntries) throws -> Void) throws {
    try Self.inParallel(tensorNames.count) { position in
      if let entries = try entries(of: tensorNames[position], base: base) { try body(entries) }
    }
  }

  /// Reads everything.
  ///
  /// - Throws: `adapterMalformed`, naming the first damaged tensor.
  public func checkEntries() throws {
    try Self.inParallel(tensorNames.count) { _ = try stored(of: tensorNames[$0]) }
  }

  /// Size of both files, in bytes.
  public var byteCount: Int { configurationByteCount + file.byteCount }

  /// Which weights it changes, over the tensors that it changes.
  public func mask() throws -> Mask {
    let maskEntries = try tensorNames.map { name in
      let shape = configuration.baseTensors[name]?.shape ?? []
      var bits = BitMask(count: TensorDescription.elementCount(of: shape) ?? 0)
      for index in try indices(of: name) ?? [] { bits[Int(index)] = true }
      return Mask.Entry(name: name, shape: shape, bits: bits)
    }
    return try Mask(
      entries: maskEntries, sparsity: configuration.sparsity, baseFingerprint: configuration.baseFingerprint)
  }

  /// Calls `body` with the numbers below `count`, several at a time; throws the error of the lowest that fails.
  package static func inParallel(_ count: Int, _ body: @Sendable (Int) throws -> Void) throws {
    let workers = Array(0..<max(1, min(TicketSelection.Tuning().workerCount, count)))
    try ParallelChunks.forEach(0..<count, workers: workers) { _, position in try body(position) }
  }

  // MARK: - Reading

  /// What a record holds, decoded.
  struct StoredTensor {
    let name: String
    let dtype: DType
    let indices: [Int32]
    let values: StoredValues
    /// Size of the coded indices.
    let indexByteCount: Int
    /// See ``AdapterRecord``.
    let trainedDigest: [UInt8]
  }

  /// A changed tensor as it is stored, read once.
  func stored(of name: String) throws -> StoredTensor? {
    guard let tensor = configuration.baseTensors[name], let width = PatternDifference.width(of: tensor.dtype) else {
      return nil
    }
    return try withRecord(of: name) {
      StoredTensor(
        name: name, dtype: tensor.dtype, indices: try indices($0, of: tensor),
        values: try $0.values(as: configuration.valueCoding, count: tensor.trained, width: width),
        indexByteCount: $0.indexByteCount, trainedDigest: $0.trainedDigest)
    }
  }

  func indices(_ record: AdapterRecord, of tensor: AdapterConfiguration.BaseTensor) throws -> [Int32] {
    try record.indices(
      count: tensor.trained, elementCount: TensorDescription.elementCount(of: tensor.shape) ?? 0)
  }

  /// Calls `body` with a record whose digests are right.
  func withRecord<Result>(of name: String, _ body: (AdapterRecord) throws -> Result) throws -> Result {
    let count = try file.description(of: name).byteCount
    // By file reads, which leave no mapped pages behind; and decoders look past the end of a damaged stream.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count + AdapterRecord.overrun, alignment: 16)
    defer { buffer.deallocate() }
    let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
    try file.readBytes(of: name, range: 0..<count, into: bytes)
    buffer[count...].initializeMemory(as: UInt8.self, repeating: 0)
    do {
      return try body(try AdapterRecord(UnsafeRawBufferPointer(bytes)))
    } catch AdapterRecord.Problem.damaged(let problem) {
      throw TicketsError.adapterMalformed(path: path, problem: "tensor \(name): its \(problem)")
    } catch AdapterRecord.Problem.tooShort {
      throw TicketsError.adapterMalformed(path: path, problem: "tensor \(name): its record is too short")
    }
  }
}
