public import Checkpoints
import Synchronization
import Torch

extension Adapter {
  /// Checks that the adapter belongs to a base.
  ///
  /// - Parameter digests: also compare the SHA-256 of every tensor that the adapter changes; reads those tensors.
  /// - Throws: `adapterDoesNotFit` with every missing tensor, wrong shape or element type; `wrongBase` with every tensor
  ///   whose bytes differ, in canonical order.
  public func verify(base: Checkpoint, digests: Bool = true) throws {
    try Self.verify([self], base: base, digests: digests)
  }

  /// Checks that adapters belong to a base, reading each of its tensors at most once.
  ///
  /// - Throws: as ``verify(base:digests:)``, for the first adapter that does not belong.
  public static func verify(_ adapters: [Adapter], base: Checkpoint, digests: Bool = true) throws {
    for adapter in adapters { try adapter.checkFits(base) }
    guard digests else { return }
    let names = TicketScope.canonicalOrder(Array(Set(adapters.flatMap(\.tensorNames))))
    let found = try baseDigests(of: names, in: base)
    for adapter in adapters {
      let differing = adapter.tensorNames.filter { found[$0] != adapter.configuration.baseTensors[$0]?.sha256 }
      guard differing.isEmpty else { throw TicketsError.wrongBase(adapter: adapter.path, tensors: differing) }
    }
  }

  /// - Throws: `adapterDoesNotFit` with every missing tensor, wrong shape or element type.
  func checkFits(_ model: Checkpoint, names: [String]? = nil) throws {
    let problems = try (names ?? tensorNames).compactMap { name -> String? in
      guard model.contains(name) else { return "tensor \(name) is missing" }
      let found = try model.description(of: name)
      guard let tensor = configuration.baseTensors[name] else { return nil }
      guard found.shape == tensor.shape else {
        return "tensor \(name) has shape \(found.shape), expected \(tensor.shape)"
      }
      return found.dtype == tensor.dtype
        ? nil : "tensor \(name) is \(found.dtype.rawValue), expected \(tensor.dtype.rawValue)"
    }
    guard problems.isEmpty else { throw TicketsError.adapterDoesNotFit(path: path, problems: problems) }
  }

  /// Checks that a model holds the adapter's trained weights; weights outside its ticket do not matter.
  ///
  /// - Throws: `adapterDoesNotFit`; `adapterNotApplied` with every tensor that holds others, in canonical order.
  public func verify(appliedIn model: Checkpoint) throws {
    try checkFits(model)
    let differing = Mutex<Set<String>>([])
    try Self.inParallel(tensorNames.count) { position in
      let name = tensorNames[position]
      guard let tensor = configuration.baseTensors[name] else { return }
      let (indices, expected) = try withRecord(of: name) { (try self.indices($0, of: tensor), $0.trainedDigest) }
      let held = try Self.storedWeights(of: model, tensor: try model.description(of: name), indices: indices)
      if AdapterRecord.digest(of: held) != expected { differing.withLock { _ = $0.insert(name) } }
    }
    let names = differing.withLock { $0 }
    guard names.isEmpty else {
      throw TicketsError.adapterNotApplied(adapter: path, tensors: tensorNames.filter(names.contains))
    }
  }

  /// Checks that no two adapters change the same weight.
  ///
  /// - Throws: `adaptersOverlap` with the first tensor, in canonical order, that two of them share weights of.
  public static func checkDisjoint(_ adapters: [Adapter]) throws {
    guard adapters.count > 1 else { return }
    let names = TicketScope.canonicalOrder(Array(Set(adapters.flatMap(\.tensorNames))))
    try inParallel(names.count) { position in
      let name = names[position]
      let changing = adapters.filter { $0.configuration.baseTensors[name] != nil }
      guard changing.count > 1 else { return }
      let indices = try changing.compactMap { try $0.indices(of: name) }
      for second in indices.indices {
        for first in 0..<second {
          let count = sharedIndexCount(indices[first], indices[second])
          guard count == 0 else {
            throw TicketsError.adaptersOverlap(
              first: changing[first].path, second: changing[second].path, tensor: name, count: count)
          }
        }
      }
    }
  }

  // MARK: - The configuration against the weights file

  func check() throws {
    func malformed(_ problem: String) -> TicketsError { .adapterMalformed(path: path, problem: problem) }
    guard (0...1).contains(configuration.sparsity) else {
      throw malformed("its sparsity is \(configuration.sparsity), not a number from 0 to 1")
    }
    let (coding, error) = (configuration.valueCoding, configuration.valueError)
    guard coding.isLossy ? error?.isPossible == true : error == nil else {
      throw malformed("its value_error does not fit its value_coding, \(coding.rawValue)")
    }
    if let missing = tensorNames.first(where: { !file.contains($0) }) {
      throw malformed("tensor \(missing) is missing")
    }
    let known = Set(tensorNames)
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

  /// What the weights file says about itself and about the configuration.
  static func metadata(configurationDigest: String) -> [String: String] {
    [
      "format": AdapterConfiguration.formatName, "version": "\(AdapterConfiguration.currentVersion)",
      configurationDigestKey: configurationDigest,
    ]
  }

  func checkMetadata(configurationDigest: String) throws {
    let expected = Self.metadata(configurationDigest: configurationDigest)
    guard file.metadata != expected else { return }
    let isOfAnAdapter =
      Set(file.metadata.keys) == Set(expected.keys) && file.metadata["format"] == expected["format"]
      && file.metadata["version"] == expected["version"]
    throw TicketsError.adapterMalformed(
      path: path,
      problem: isOfAnAdapter
        ? "\(Self.configurationFileName) and \(Self.weightsFileName) do not belong together, or one was changed"
        : "\(Self.weightsFileName) has other metadata than an adapter's")
  }

  func checkRecordsDigest() throws {
    let digest = try AdapterRecord.digestOfAll(tensorNames) { name in
      var leading = [UInt8](repeating: 0, count: AdapterRecord.leadingByteCount)
      try leading.withUnsafeMutableBytes { try file.readBytes(of: name, range: 0..<$0.count, into: $0) }
      return leading
    }
    guard digest == configuration.recordsDigest else {
      throw TicketsError.adapterMalformed(
        path: path, problem: "its records are damaged or those of another adapter (records_sha256 differs)")
    }
  }

  /// Checks that base and adapter give the weights that were trained.
  ///
  /// - Throws: `adapterMalformed`, naming a tensor where they do not.
  public func checkTrainedWeights(base: Checkpoint) throws {
    try Self.inParallel(tensorNames.count) { position in
      guard let stored = try stored(of: tensorNames[position]) else { return }
      let entries = try entries(stored, base: base)
      guard AdapterRecord.digest(of: entries.trained(from: try entries.gather(from: base))) == stored.trainedDigest
      else {
        throw TicketsError.adapterMalformed(
          path: path, problem: "tensor \(stored.name): base and adapter do not give the trained weights")
      }
    }
  }

  private func check(_ name: String, _ tensor: AdapterConfiguration.BaseTensor) throws {
    func malformed(_ problem: String) -> TicketsError {
      .adapterMalformed(path: path, problem: "tensor \(name) \(problem)")
    }
    guard let count = TensorDescription.elementCount(of: tensor.shape), count <= Self.maximumElementCount else {
      throw malformed("has the impossible shape \(tensor.shape)")
    }
    guard PatternDifference.width(of: tensor.dtype) != nil else {
      throw malformed("is \(tensor.dtype.rawValue), expected F32, BF16 or F16")
    }
    guard (1...max(1, count)).contains(tensor.trained), count > 0 else {
      throw malformed("has \(tensor.trained) trained weights of \(count)")
    }
    guard Self.isHex(tensor.sha256, length: 64) else { throw malformed("has no SHA-256 digest") }
    let found = try file.description(of: name)
    guard found.dtype == .uint8, found.shape.count == 1 else {
      throw malformed("has a record \(found.dtype.rawValue) \(found.shape), expected U8 [bytes]")
    }
    // A block of 4096 entries takes at least eight bytes a stream: a record that is smaller cannot be meant.
    guard found.byteCount >= AdapterRecord.headByteCount + tensor.trained / 512 else {
      throw malformed("has a record of \(found.byteCount) bytes, too few for \(tensor.trained) weights")
    }
  }

  private static func isHex(_ text: String, length: Int) -> Bool {
    text.utf8.count == length && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
  }
}

/// SHA-256 of tensors of a checkpoint, computed in parallel.
func baseDigests(of names: [String], in base: Checkpoint) throws -> [String: String] {
  let digests = DigestTable()
  try Adapter.inParallel(names.count) { position in
    digests.set(try ModelFingerprint.digest(of: names[position], in: base), of: names[position])
  }
  return digests.values
}
