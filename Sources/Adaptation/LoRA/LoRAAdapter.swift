public import Checkpoints
public import Decoder
internal import Tickets
internal import Torch

/// A LoRA adapter in PEFT's format: a directory with `adapter_config.json` and `adapter_model.safetensors`, which holds for
/// each adapted module `base_model.model.MODULE.lora_A.weight` `[R, I]` and `...lora_B.weight` `[O, R]`.
public struct LoRAAdapter: Sendable {
  static let weightsFileName = "adapter_model.safetensors"
  static let prefix = "base_model.model."
  static let downSuffix = ".lora_A.weight"
  static let upSuffix = ".lora_B.weight"

  /// A projection that it changes: `W + scale * B A`.
  public struct Module: Equatable, Sendable {
    /// `model.layers.0.self_attn.q_proj`, for example.
    public let name: String
    public let rank: Int
    public let scale: Double
    var weightName: String { name + ".weight" }
    var downName: String { LoRAAdapter.prefix + name + LoRAAdapter.downSuffix }
    var upName: String { LoRAAdapter.prefix + name + LoRAAdapter.upSuffix }
  }

  /// The directory.
  public let path: String
  public let configuration: LoRAConfiguration
  /// In canonical order.
  public let modules: [Module]
  private let file: SafetensorsFile

  /// Whether a directory holds a PEFT adapter, of whatever type.
  public static func isPEFT(_ directory: String) -> Bool { LoRAConfiguration.isPEFT(directory) }

  /// Opens an adapter and checks it by itself.
  ///
  /// - Throws: ``LoRAError``: a setting that is not supported; all tensors that are missing, left over or badly shaped.
  ///   ``CheckpointError`` for missing or damaged files.
  public init(directory: String) throws {
    path = directory
    configuration = try LoRAConfiguration(directory: directory)
    let weights = FileSystem.join(directory, Self.weightsFileName)
    let pickled = FileSystem.join(directory, "adapter_model.bin")
    if !FileSystem.exists(weights), FileSystem.exists(pickled) { throw LoRAError.onlyPickledWeights(path: pickled) }
    file = try SafetensorsFile(path: weights)
    var problems: [String] = []
    modules = try Self.modules(of: file, configuration, &problems)
    guard problems.isEmpty else { throw LoRAError.doesNotFit(path: directory, problems: problems) }
  }

  /// Numbers in all A and B.
  public var parameterCount: Int { file.tensors.reduce(0) { $0 + $1.elementCount } }
  /// Bytes of all A and B.
  public var byteCount: Int { file.tensors.reduce(0) { $0 + $1.byteCount } }

  /// Pairs A with B, and notes what does not belong.
  private static func modules(
    of file: SafetensorsFile, _ configuration: LoRAConfiguration, _ problems: inout [String]
  ) throws -> [Module] {
    var names: Set<String> = []
    for tensor in file.tensors {
      let suffix = [downSuffix, upSuffix].first { tensor.name.hasSuffix($0) }
      let module = suffix.map { tensor.name.dropFirst(prefix.count).dropLast($0.count) }
      guard tensor.name.hasPrefix(prefix), let module, TicketScope.Weight(name: module + ".weight") != nil else {
        problems.append("tensor \(tensor.name) is no LoRA matrix of a projection")
        continue
      }
      if !tensor.dtype.isFloatingPoint { problems.append("tensor \(tensor.name) is \(tensor.dtype.rawValue)") }
      names.insert(String(module))
    }
    if names.isEmpty, problems.isEmpty { problems.append("it holds no tensors") }
    let ordered = TicketScope.scopedNames(of: names.map { $0 + ".weight" }).map { String($0.dropLast(7)) }
    return try ordered.compactMap { name in
      let rank = try configuration.rank(of: name)
      let module = Module(name: name, rank: rank, scale: try configuration.scale(of: name, rank: rank))
      let missing = [module.downName, module.upName].filter { !file.contains($0) }
      problems += missing.map { "tensor \($0) is missing" }
      guard missing.isEmpty else { return nil }
      let (down, up) = (try file.description(of: module.downName), try file.description(of: module.upName))
      if down.shape.count != 2 || down.shape[0] != rank {
        problems.append("tensor \(down.name) has shape \(down.shape), expected [\(rank), inputs]")
      }
      if up.shape.count != 2 || up.shape[1] != rank {
        problems.append("tensor \(up.name) has shape \(up.shape), expected [outputs, \(rank)]")
      }
      return module
    }
  }

  // MARK: - With a model

  /// Checks that it fits a base, all of it at once.
  ///
  /// - Throws: ``LoRAError/doesNotFit(path:problems:)``
  public func verify(base: Checkpoint) throws {
    var problems = try modules.compactMap { module -> String? in
      guard base.contains(module.weightName) else { return "the model has no tensor \(module.weightName)" }
      let outputs = try file.description(of: module.upName).shape[0]
      let inputs = try file.description(of: module.downName).shape[1]
      let found = try base.description(of: module.weightName).shape
      return found == [outputs, inputs]
        ? nil : "tensor \(module.weightName) has shape \(found), the adapter is for [\(outputs), \(inputs)]"
    }
    if configuration.patterns.coversAllLayers {
      let held = Set(modules.map(\.weightName))
      problems += TicketScope.scopedNames(of: base.tensors.map(\.name)).filter { name in
        let module = name.dropLast(7)
        let isTarget = configuration.targetModules.contains { module == $0 || module.hasSuffix("." + $0) }
        return isTarget && !held.contains(name)
      }.map { "tensor \(Self.prefix + $0.dropLast(7) + Self.downSuffix) is missing" }
    }
    guard problems.isEmpty else { throw LoRAError.doesNotFit(path: path, problems: problems) }
  }

  /// Adds `scale * B A` to the live weights, in float32 (float64 for a float64 model); check the base first.
  public func merge(into model: LanguageModel) throws {
    for module in modules {
      guard let weight = model.parameter(named: module.weightName)?.value else { continue }
      let wide: DType = weight.dtype == .float64 ? .float64 : .float32
      let down = try tensor(module.downName, wide, on: weight.device)
      let up = try tensor(module.upName, wide, on: weight.device)
      try up.scale(by: module.scale)
      let sum = weight.dtype == wide ? weight : try weight.converted(to: wide)
      try sum.setProduct(up, down, accumulating: true)
      if weight.dtype != wide { try weight.copy(from: sum) }
    }
  }

  private func tensor(_ name: String, _ dtype: DType, on device: Device) throws -> Tensor {
    let description = try file.description(of: name)
    let stored = try Tensor.empty(description.shape, description.dtype)
    try file.withBytes(of: name) { try stored.copyBytes(from: $0) }
    try file.adviseDone(with: name)
    return try stored.converted(to: dtype, on: device)
  }
}
