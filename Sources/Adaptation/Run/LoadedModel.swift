public import Checkpoints
public import Decoder
public import Tickets
public import Tokenizers
public import Torch

/// A model directory opened for work: weights in memory, the base's files, the tokenizer, adapters applied.
public final class LoadedModel {
  public let directory: String
  public let base: Checkpoint
  public let model: LanguageModel
  public let tokenizer: Tokenizer
  public let chatTemplate: ChatTemplate?
  /// Sparse adapters that the model was opened with.
  public let adapters: [Adapter]
  private let lowRank: [LoRAAdapter]
  private var knownFingerprint: ModelFingerprint?

  /// - Throws: ``CheckpointError``, `TokenizerError`, ``TorchError``; for adapters `TicketsError`: a wrong base, or tickets
  ///   that overlap; ``LoRAError`` for those in PEFT's format, which are added to what the tickets give.
  public convenience init(
    directory: String, dtype: DType? = nil, device: Device = .cpu, adapters: [String] = []
  ) throws {
    try self.init(directory: directory, dtype: dtype, device: device, adapters: adapters, storage: .copied)
  }

  /// The same with embedding and head left in the model's file where that is possible: for use without training. The file must
  /// not be rewritten in place meanwhile.
  public convenience init(
    mapping directory: String, dtype: DType? = nil, device: Device = .cpu, adapters: [String] = []
  ) throws {
    try self.init(directory: directory, dtype: dtype, device: device, adapters: adapters, storage: .mapped)
  }

  private init(directory: String, dtype: DType?, device: Device, adapters: [String], storage: WeightStorage) throws {
    self.directory = directory
    let configuration = try ModelConfiguration(directory: directory)
    base = try Checkpoint(directory: directory)
    try configuration.validate(base)
    tokenizer = try Tokenizer(directory: directory)
    guard tokenizer.vocabularySize <= configuration.vocabularySize else {
      throw ModelMismatch(
        directory: directory, tokens: tokenizer.vocabularySize, vocabulary: configuration.vocabularySize)
    }
    chatTemplate = try ChatTemplate.load(directory: directory)
    // Reading the tokenizer takes several times the memory that it leaves in use.
    Engine.trimMemory()
    lowRank = try adapters.filter(LoRAAdapter.isPEFT).map { try LoRAAdapter(directory: $0) }
    for adapter in lowRank { try adapter.verify(base: base) }
    self.adapters = try adapters.filter { !LoRAAdapter.isPEFT($0) }.map { try Adapter(directory: $0) }
    try Adapter.verify(self.adapters, base: base)
    try Adapter.checkDisjoint(self.adapters)
    model = try LanguageModel(configuration, weights: base, dtype: dtype, device: device, storage: storage)
    try applyAdapters()
  }

  /// Gives the model the weights back that it was opened with: the base's, and the adapters over them.
  public func restore() throws {
    try model.load(base)
    try applyAdapters()
  }

  private func applyAdapters() throws {
    try model.apply(adapters, base: base)
    for adapter in lowRank { try adapter.merge(into: model) }
  }

  /// Of the base's files, read once.
  func fingerprint() throws -> ModelFingerprint {
    if let knownFingerprint { return knownFingerprint }
    let fingerprint = try ModelFingerprint(base)
    knownFingerprint = fingerprint
    return fingerprint
  }

  /// Ids that end a continuation.
  public var stopTokens: Set<Int> {
    Set(model.configuration.eosTokenIDs + [tokenizer.eosTokenID].compactMap { $0 })
  }
}

/// The tokenizer knows more tokens than the model has rows.
public struct ModelMismatch: Error, Equatable, Sendable, CustomStringConvertible {
  public let directory: String
  public let tokens: Int
  public let vocabulary: Int

  public var description: String {
    "\(directory): the tokenizer has \(tokens) tokens but the model's vocabulary is \(vocabulary): they do not belong together"
  }
}

extension LanguageModel {
  /// Applies adapters to live weights; check base and disjointness first. A few tensors' entries are in memory at a time.
  ///
  /// - Throws: `adapterMalformed` for a damaged stream: then some tensors are changed and others not.
  func apply(_ adapters: [Adapter], base: Checkpoint) throws {
    let target = try AdapterTarget(self, base: base)
    for adapter in adapters {
      // The engine's operations come from one thread at a time.
      let inPlace = adapter.tensorNames.allSatisfy(target.isChangedInPlace)
      guard !inPlace else {
        try adapter.forEachTensor(base: base) { try target.change($0.name, adding: [$0]) }
        continue
      }
      for name in adapter.tensorNames {
        if let entries = try adapter.entries(of: name, base: base) { try target.change(name, adding: [entries]) }
      }
    }
  }

  /// Writes the live weights as a model directory in the base's element types, other files copied from the base.
  ///
  /// - Throws: ``CheckpointError`` when the directory exists or cannot be written.
  public func write(to directory: String, like base: Checkpoint, from source: String, overwrite: Bool = false) throws {
    try FileSystem.publishDirectory(directory, overwrite: overwrite) { temporary in
      let writer = try ShardedCheckpointWriter(directory: temporary, tensors: base.tensors)
      for tensor in base.tensors {
        if let parameter = parameter(named: tensor.name) {
          let stored = try parameter.value.stored(as: tensor.dtype)
          try stored.withBytes { try writer.append(tensor.name, UnsafeRawBufferPointer($0)) }
        } else {
          try base.withBytes(of: tensor.name) { try writer.append(tensor.name, $0) }
        }
      }
      try writer.finish()
      try FileSystem.copyAuxiliaryModelFiles(from: source, to: temporary)
    }
  }
}

extension Tensor {
  /// On the CPU, contiguous, in `dtype`; itself when it is that already.
  func stored(as dtype: DType) throws -> Tensor {
    self.dtype == dtype && device == .cpu && isContiguous ? self : try converted(to: dtype, on: .cpu)
  }
}
