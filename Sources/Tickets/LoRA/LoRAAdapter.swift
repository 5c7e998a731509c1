public import Checkpoints
internal import Torch

/// A LoRA adapter in PEFT's format: a directory with `adapter_config.json` and `adapter_model.safetensors`, which holds for
/// each adapted module `base_model.model.MODULE.lora_A.weight` `[R, I]` and `...lora_B.weight` `[O, R]`.
public struct LoRAAdapter: Sendable {
  package static let weightsFileName = "adapter_model.safetensors"
  package static let prefix = "base_model.model."
  package static let downSuffix = ".lora_A.weight"
  static let upSuffix = ".lora_B.weight"

  /// A projection that it changes: `W + scale * B A`.
  public struct Module: Equatable, Sendable {
    /// `model.layers.0.self_attn.q_proj`, for example.
    public let name: String
    public let rank: Int
    public let scale: Double
    package var weightName: String { name + ".weight" }
    package var downName: String { LoRAAdapter.prefix + name + LoRAAdapter.downSuffix }
    package var upName: String { LoRAAdapter.prefix + name + LoRAAdapter.upSuffix }
  }

  /// The directory.
  public let path: String
  public let configuration: LoRAConfiguration
  /// In canonical order.
  public let modules: [Module]
  package let file: SafetensorsFile

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
      let rank = configuration.rank(of: name)
      let module = Module(name: name, rank: rank, scale: configuration.scale(of: name, rank: rank))
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

  /// Whether it has matrices for a weight.
  package func changes(_ weight: String) -> Bool { modules.contains { $0.weightName == weight } }

  /// B `[O, R]` and A `[R, I]` of a module as float32.
  package func floats(of module: Module) throws -> (up: [Float], down: [Float]) {
    (up: try floats(module.upName), down: try floats(module.downName))
  }

  private func floats(_ name: String) throws -> [Float] {
    let count = try file.description(of: name).elementCount
    return try [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      try file.readFloats(of: name, range: 0..<count, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      initialized = count
    }
  }
}
