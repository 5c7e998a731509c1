public import Checkpoints
public import Torch

/// A decoder-only transformer of the Llama and Mistral families: forward, hand-written backward, generation.
///
/// Weights live once, in the model's compute type, and are updated in place. Not thread-safe.
public final class LanguageModel {
  public let configuration: ModelConfiguration
  public let dtype: DType
  public let device: Device
  /// Every weight, in model order: embedding, layers, final norm, head when untied.
  public let parameters: [Parameter]
  package let embeddingVD: Parameter
  package var blocks: [TransformerBlock]
  package let head: LanguageModelHead
  package let rotary: RotaryEmbedding
  package let workspace: Workspace
  private let parametersByName: [String: Parameter]
  /// Parameters whose weights lie in the checkpoint's file.
  package let mapped: Set<String>
  /// Low-rank additions to the projections, once there are any.
  package internal(set) var lowRank: LowRankAdditions?

  /// Reads a model directory in Hugging Face layout.
  ///
  /// - Parameters:
  ///   - dtype: Type to compute in; nil: float32 on the CPU, whatever the checkpoint's type, and the checkpoint's elsewhere.
  /// - Throws: ``CheckpointError`` for a missing, damaged or unfitting checkpoint or an unknown architecture;
  ///   ``TorchError`` for a missing device or too little memory.
  public convenience init(directory: String, dtype: DType? = nil, device: Device = .cpu) throws {
    let configuration = try ModelConfiguration(directory: directory)
    let checkpoint = try Checkpoint(directory: directory)
    try configuration.validate(checkpoint)
    try self.init(configuration, weights: checkpoint, dtype: dtype, device: device)
  }

  /// The same from files already open and validated against each other.
  package convenience init(
    _ configuration: ModelConfiguration, weights checkpoint: Checkpoint, dtype: DType?, device: Device,
    storage: WeightStorage = .copied
  ) throws {
    let dtype = dtype ?? Self.defaultType(of: configuration, on: device)
    let mapped = storage == .mapped ? checkpoint : nil
    try self.init(configuration, dtype: dtype, device: device, mapping: mapped)
    try load(checkpoint, exceptMapped: true)
  }

  /// The type to compute in when none is asked for.
  package static func defaultType(of configuration: ModelConfiguration, on device: Device) -> DType {
    device.kind == .cpu ? .float32 : configuration.dtype ?? .bfloat16
  }

  /// A model with uninitialised weights; ``load(_:)`` or the parameters' tensors fill it.
  public convenience init(_ configuration: ModelConfiguration, dtype: DType = .float32, device: Device = .cpu) throws {
    try self.init(configuration, dtype: dtype, device: device, mapping: nil)
  }

  private init(
    _ configuration: ModelConfiguration, dtype: DType, device: Device, mapping checkpoint: Checkpoint?
  ) throws {
    guard dtype.isFloatingPoint else { throw DecoderError.unsupportedDType(dtype.configurationName) }
    var builder = WeightBuilder(configuration, dtype: dtype, device: device, checkpoint: checkpoint)
    self.configuration = configuration
    self.dtype = dtype
    self.device = device
    rotary = try RotaryEmbedding(configuration, dtype: dtype, device: device)
    workspace = Workspace(dtype: dtype, device: device)
    let embedding = try builder.vocabulary(
      "model.embed_tokens.weight", [configuration.vocabularySize, configuration.hiddenSize])
    embeddingVD = embedding
    var blocks: [TransformerBlock] = []
    for layer in 0..<configuration.layerCount { blocks.append(try builder.block(layer, rotary: rotary)) }
    self.blocks = blocks
    let norm = try builder.norm("model.norm.weight")
    let output = configuration.tiesEmbeddings ? embedding : try builder.vocabulary("lm_head.weight", embedding.shape)
    head = LanguageModelHead(norm: norm, weightVD: output)
    parameters = builder.parameters
    mapped = builder.mapped
    parametersByName = Dictionary(builder.parameters.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  public func parameter(named name: String) -> Parameter? { parametersByName[name] }

  /// Every parameter's shape by name.
  public var shapes: [String: [Int]] { parametersByName.mapValues(\.shape) }

  /// Copies every weight from `checkpoint`, converting to the model's type. Also returns a trained model to its base.
  public func load(_ checkpoint: Checkpoint) throws { try load(checkpoint, exceptMapped: false) }

  private func load(_ checkpoint: Checkpoint, exceptMapped: Bool) throws {
    for parameter in parameters where !(exceptMapped && mapped.contains(parameter.name)) {
      let description = try checkpoint.description(of: parameter.name)
      guard description.shape == parameter.shape else {
        throw CheckpointError.mismatchedTensors(
          path: checkpoint.path, missing: [],
          mismatched: [ShapeMismatch(name: parameter.name, expected: parameter.shape, found: description.shape)])
      }
      if dtype == .float32, device == .cpu, parameter.value.isContiguous {
        try parameter.value.withBytes { bytes in
          try checkpoint.readFloats(
            of: parameter.name, range: 0..<description.elementCount, into: bytes.bindMemory(to: Float.self))
        }
        continue
      }
      let host = try Tensor.empty(description.shape, description.dtype)
      try checkpoint.withBytes(of: parameter.name) { try host.copyBytes(from: $0) }
      try checkpoint.adviseDone(with: parameter.name)
      try parameter.value.copy(from: host)
    }
  }

  /// What a layer leaves for its backward pass.
  package enum LayerRecord {
    case activations(TransformerBlock.Saved)
    /// `[N, D]`, from which the layer's activations are computed again.
    case input(Tensor)
  }

  /// Hidden states before the final norm, `[N, D]`, and what each layer leaves for backward.
  ///
  /// - Parameter keeping: nil: nothing, no backward pass follows.
  package func hiddenStates(
    _ sequences: PackedSequences, keeping: ActivationPolicy?
  ) throws -> (hidden: Tensor, records: [LayerRecord]) {
    try rotary.prepare(length: sequences.longest)
    let shape = [sequences.tokenCount, configuration.hiddenSize]
    var hidden = try workspace.buffer(.residual, layer: 0, shape)
    try hidden.setRows(of: embeddingVD.value, at: sequences.tokens)
    var records: [LayerRecord] = []
    for (layer, block) in blocks.enumerated() {
      // Without backward, two residual buffers take turns; layers whose activations are not kept share one set of buffers.
      let output = try workspace.buffer(.residual, layer: keeping == nil ? (layer + 1) % 2 : layer + 1, shape)
      let saved = try block.forward(
        hidden, sequences: sequences, layer: keeping == .keep ? layer : 0, into: output, workspace: workspace)
      switch keeping {
      case nil: break
      case .keep: records.append(.activations(saved))
      // The last layer's are still there when backward begins.
      case .recompute: records.append(layer == blocks.count - 1 ? .activations(saved) : .input(hidden))
      }
      hidden = output
    }
    return (hidden, records)
  }
}
