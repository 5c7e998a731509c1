public import Checkpoints
import Torch

/// A sparse adapter on disk: a directory with `adapter_config.json` and `adapter_model.safetensors`.
///
/// The weights file holds for each changed tensor `NAME.indices` (I32: flat row-major indices, strictly ascending) and
/// `NAME.values` (the trained values in the base's element type), so that base and adapter give the trained weights bit
/// for bit. Everything is checked when it is opened; the entries stay on disk until they are asked for.
public struct Adapter: Sendable {
  package static let configurationFileName = "adapter_config.json"
  package static let weightsFileName = "adapter_model.safetensors"
  static let indicesSuffix = ".indices"
  static let valuesSuffix = ".values"
  /// Indices are 32-bit.
  static let maximumElementCount = Int(Int32.max)

  /// The directory.
  public let path: String
  public let configuration: AdapterConfiguration
  /// Tensors it changes, in canonical order.
  public let tensorNames: [String]
  private let file: SafetensorsFile

  /// Opens and fully checks an adapter.
  ///
  /// - Throws: `adapterMalformed`, `adapterUnsupportedVersion`; `CheckpointError` for missing or damaged files.
  public init(directory: String) throws {
    configuration = try AdapterConfiguration.read(FileSystem.join(directory, Self.configurationFileName))
    file = try SafetensorsFile(path: FileSystem.join(directory, Self.weightsFileName))
    path = directory
    tensorNames = TicketScope.canonicalOrder(Array(configuration.baseTensors.keys))
    try check()
  }

  /// The trained weights of one tensor; nil when the adapter leaves it alone.
  public func entries(of name: String) throws -> AdapterEntries? {
    guard let tensor = configuration.baseTensors[name] else { return nil }
    // By file reads, which leave no mapped pages behind.
    let indices = try [Int32](unsafeUninitializedCapacity: tensor.trained) { buffer, initialized in
      let bytes = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: tensor.trained * 4)
      try file.readBytes(of: name + Self.indicesSuffix, range: 0..<bytes.count, into: bytes)
      #if !_endian(little)
      for position in 0..<tensor.trained { buffer[position] = Int32(littleEndian: buffer[position]) }
      #endif
      initialized = tensor.trained
    }
    let valueByteCount = tensor.trained * tensor.dtype.byteCount
    let values = try [UInt8](unsafeUninitializedCapacity: valueByteCount) { buffer, initialized in
      let bytes = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: valueByteCount)
      try file.readBytes(of: name + Self.valuesSuffix, range: 0..<valueByteCount, into: bytes)
      initialized = valueByteCount
    }
    return AdapterEntries(name: name, dtype: tensor.dtype, indices: indices, values: values)
  }

  /// Size of the weights file's tensors, in bytes.
  public var byteCount: Int { file.tensors.reduce(0) { $0 + $1.byteCount } }

  /// Which weights it changes, over the tensors that it changes.
  public func mask() throws -> Mask {
    let maskEntries = try tensorNames.map { name in
      let shape = configuration.baseTensors[name]?.shape ?? []
      var bits = BitMask(count: TensorDescription.elementCount(of: shape) ?? 0)
      for index in try entries(of: name)?.indices ?? [] { bits[Int(index)] = true }
      return Mask.Entry(name: name, shape: shape, bits: bits)
    }
    return try Mask(
      entries: maskEntries, sparsity: configuration.sparsity, baseFingerprint: configuration.baseFingerprint)
  }

  // MARK: - Checks

  /// Checks that the adapter belongs to a base.
  ///
  /// - Parameter digests: also compare the SHA-256 of every tensor that the adapter changes; reads those tensors.
  /// - Throws: `adapterDoesNotFit` with every missing tensor, wrong shape or element type; `wrongBase` with every tensor
  ///   whose bytes differ, in canonical order.
  public func verify(base: Checkpoint, digests: Bool = true) throws {
    let problems = try tensorNames.compactMap { name -> String? in
      guard base.contains(name) else { return "tensor \(name) is missing" }
      let found = try base.description(of: name)
      guard let tensor = configuration.baseTensors[name] else { return nil }
      guard found.shape == tensor.shape else {
        return "tensor \(name) has shape \(found.shape), expected \(tensor.shape)"
      }
      return found.dtype == tensor.dtype
        ? nil : "tensor \(name) is \(found.dtype.rawValue), expected \(tensor.dtype.rawValue)"
    }
    guard problems.isEmpty else { throw TicketsError.adapterDoesNotFit(path: path, problems: problems) }
    guard digests else { return }
    let found = try baseDigests(of: tensorNames, in: base)
    let differing = tensorNames.filter { found[$0] != configuration.baseTensors[$0]?.sha256 }
    guard differing.isEmpty else { throw TicketsError.wrongBase(adapter: path, tensors: differing) }
  }

  /// Checks that no two adapters change the same weight.
  ///
  /// - Throws: `adaptersOverlap` with the first tensor, in canonical order, that two of them share weights of.
  public static func checkDisjoint(_ adapters: [Adapter]) throws {
    for (position, second) in adapters.enumerated() {
      for first in adapters[..<position] {
        for name in first.tensorNames where second.configuration.baseTensors[name] != nil {
          guard let mine = try first.entries(of: name), let theirs = try second.entries(of: name) else { continue }
          let count = sharedCount(mine.indices, theirs.indices)
          guard count == 0 else {
            throw TicketsError.adaptersOverlap(first: first.path, second: second.path, tensor: name, count: count)
          }
        }
      }
    }
  }

  private static func sharedCount(_ first: [Int32], _ second: [Int32]) -> Int {
    var (left, right, shared) = (0, 0, 0)
    while left < first.count, right < second.count {
      if first[left] == second[right] { shared += 1 }
      let (mine, theirs) = (first[left], second[right])
      if mine <= theirs { left += 1 }
      if theirs <= mine { right += 1 }
    }
    return shared
  }

  private func check() throws {
    func malformed(_ problem: String) -> TicketsError { .adapterMalformed(path: path, problem: problem) }
    guard (0...1).contains(configuration.sparsity) else {
      throw malformed("its sparsity is \(configuration.sparsity), not a number from 0 to 1")
    }
    let expected = tensorNames.flatMap { [$0 + Self.indicesSuffix, $0 + Self.valuesSuffix] }
    if let missing = expected.first(where: { !file.contains($0) }) { throw malformed("tensor \(missing) is missing") }
    let known = Set(expected)
    if let extra = file.tensors.first(where: { !known.contains($0.name) }) {
      throw malformed("tensor \(extra.name) is not in its configuration")
    }
    var total = 0
    for name in tensorNames {
      guard let tensor = configuration.baseTensors[name] else { continue }
      try check(name, tensor)
      total += tensor.trained
    }
    guard total == configuration.trainedCount, total <= configuration.scopedCount else {
      throw malformed(
        "it changes \(total) weights, its configuration says \(configuration.trainedCount) of \(configuration.scopedCount)"
      )
    }
  }

  private func check(_ name: String, _ tensor: AdapterConfiguration.BaseTensor) throws {
    func malformed(_ problem: String) -> TicketsError {
      .adapterMalformed(path: path, problem: "tensor \(name) \(problem)")
    }
    guard let count = TensorDescription.elementCount(of: tensor.shape), count <= Self.maximumElementCount else {
      throw malformed("has the impossible shape \(tensor.shape)")
    }
    guard tensor.dtype.isFloatingPoint else { throw malformed("is \(tensor.dtype.rawValue), not floating point") }
    let isHex = tensor.sha256.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    guard tensor.sha256.utf8.count == 64, isHex else { throw malformed("has no SHA-256 digest") }
    let indices = try file.description(of: name + Self.indicesSuffix)
    let values = try file.description(of: name + Self.valuesSuffix)
    guard indices.dtype == .int32, indices.shape == [tensor.trained] else {
      throw malformed("has indices \(indices.dtype.rawValue) \(indices.shape), expected I32 [\(tensor.trained)]")
    }
    guard values.dtype == tensor.dtype, values.shape == [tensor.trained] else {
      throw malformed(
        "has values \(values.dtype.rawValue) \(values.shape), expected \(tensor.dtype.rawValue) [\(tensor.trained)]")
    }
    try file.withBytes(of: indices.name) { bytes in
      var previous = -1
      for position in 0..<tensor.trained {
        let index = Int(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: position * 4, as: Int32.self)))
        guard index > previous, index < count else {
          throw malformed("has index \(index) after \(previous); indices must ascend and stay below \(count)")
        }
        previous = index
      }
    }
    try file.adviseDone(with: indices.name)
  }
}

/// SHA-256 of tensors of a checkpoint, computed in parallel.
func baseDigests(of names: [String], in base: Checkpoint) throws -> [String: String] {
  let digests = DigestTable()
  let workers = Array(0..<max(1, min(TicketSelection.Tuning().workerCount, names.count)))
  try ParallelChunks.forEach(0..<names.count, workers: workers) { _, position in
    digests.set(try ModelFingerprint.digest(of: names[position], in: base), of: names[position])
  }
  return digests.values
}
