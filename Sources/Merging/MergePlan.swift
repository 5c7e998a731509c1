internal import Checkpoints
internal import Foundation
internal import Tickets
internal import Torch

/// A recipe with its inputs open and checked.
struct MergePlan: Sendable {
  let recipe: MergeRecipe
  /// The base; without one, the first model.
  let reference: Checkpoint
  /// Of task vectors, and of adapters.
  let base: Checkpoint?
  /// Sorted by path, so that sums do not depend on the order in which a recipe lists them.
  let inputs: [MergeInput]
  let layerCount: Int
  let workerCount: Int

  /// Weights of a tensor that may be kept in memory between passes, in bytes.
  static let windowByteCount = 96 << 20
  /// What the program takes by itself.
  static let programByteCount = 160_000_000

  init(_ recipe: MergeRecipe, workerCount: Int = ProcessInfo.processInfo.activeProcessorCount) throws {
    let problems = recipe.problems()
    guard problems.isEmpty else { throw MergeError.inputsDoNotFit(problems) }
    let isLinear = recipe.method.combination == .linear
    let listed = isLinear ? recipe.inputs : recipe.tunedInputs
    guard !listed.isEmpty else { throw MergeError.inputsDoNotFit(["it lists no models beside the base"]) }
    inputs = try listed.sorted { $0.path.precedesInBytes($1.path) }.map { try MergeInput($0) }
    base = try recipe.base.map { try Checkpoint(directory: $0) }
    guard let reference = base ?? inputs.lazy.compactMap(\.model).first else {
      throw MergeError.inputsDoNotFit(["adapters need a base_model"])
    }
    guard base != nil || inputs.allSatisfy({ $0.model != nil }) else {
      throw MergeError.inputsDoNotFit(
        inputs.filter { $0.model == nil }.map { "\($0.path) is an adapter, and needs a base_model" })
    }
    self.recipe = recipe
    self.reference = reference
    self.workerCount = max(1, workerCount)
    layerCount = (reference.tensors.compactMap { TensorSettings.layer(of: $0.name) }.max() ?? -1) + 1
    let found = try InputCheck(reference: reference, inputs: inputs, namesType: recipe.dtype != nil).problems()
    guard found.isEmpty else { throw MergeError.inputsDoNotFit(found) }
    for tensor in reference.tensors where tensor.dtype.isFloatingPoint { _ = try settings(of: tensor.name) }
  }

  /// What the result holds, in the reference's order.
  var outputs: [TensorDescription] {
    get throws {
      try reference.tensors.map { tensor in
        guard let dtype = recipe.dtype, tensor.dtype.isFloatingPoint else { return tensor }
        return try TensorDescription(name: tensor.name, dtype: dtype, shape: tensor.shape)
      }
    }
  }

  /// The inputs that have a say in a tensor: of task vectors, those that may differ from the base.
  func inputs(of tensor: String) -> [MergeInput] {
    switch recipe.method.combination {
    // Without sign election the divisor is the sum of all weights.
    case .taskVectors(_, electsSign: true, _): inputs.filter { $0.changes(tensor) }
    default: inputs
    }
  }

  func settings(of tensor: String) throws -> TensorSettings {
    try TensorSettings(
      recipe, inputs: inputs(of: tensor).map(\.recipe), tensor: tensor, layerCount: layerCount)
  }

  func chunks(of tensor: TensorDescription) -> TensorChunks {
    TensorChunks(shape: tensor.shape, wholeRows: recipe.method.sparsification == .magnitudeSampling)
  }

  /// Passes over a tensor read it again where it is not kept.
  var readsOnce: Bool {
    switch recipe.method.combination {
    case .linear: true
    case .spherical: false
    case .taskVectors(let sparsification, _, _): sparsification == nil
    }
  }

  var cutoffsPerInput: Int {
    switch recipe.method.sparsification {
    case .magnitude: 1
    case .breadcrumbs: 2
    default: 0
    }
  }

  /// What the merge into a model may take at its peak, in bytes.
  var memoryByteCount: Int {
    let tensors = reference.tensors.filter(\.dtype.isFloatingPoint)
    let longest = tensors.map { min(chunks(of: $0).length, $0.elementCount) }.max() ?? 0
    let scratch = Scratch.byteCount(
      inputs: inputs.count, chunkLength: longest, cutoffs: cutoffsPerInput * inputs.count)
    let largest = tensors.map { 4 * (inputs.count + 1) * $0.elementCount }.filter { $0 <= Self.windowByteCount }.max()
    let adapters = tensors.map { tensor in
      inputs.reduce(0) { $0 + $1.decodedByteCount(of: tensor.name) }
    }
    // Reading through a buffer and encoding: at most 8 bytes an element of a chunk beside the scratch.
    return Self.programByteCount + workerCount * (scratch + 8 * longest + (1 << 20)) + (readsOnce ? 0 : largest ?? 0)
      + (adapters.max() ?? 0)
  }
}

extension MergeInput {
  /// What its entries or matrices of one tensor take in memory.
  func decodedByteCount(of tensor: String) -> Int {
    switch source {
    case .model: 0
    // The record and its decoded form.
    case .ticket(let adapter): 16 * (adapter.configuration.baseTensors[tensor]?.trained ?? 0)
    case .lowRank(let adapter): adapter.byteCount
    }
  }

  /// Its weights of one tensor.
  func open(_ tensor: String, base: Checkpoint) throws -> TensorInput {
    switch source {
    case .model(let model): return .stored(model)
    case .ticket(let adapter):
      return try adapter.entries(of: tensor, base: base).map { .entries($0) } ?? .stored(base)
    case .lowRank(let adapter):
      guard let module = adapter.modules.first(where: { $0.weightName == tensor }) else { return .stored(base) }
      let (up, down) = try adapter.floats(of: module)
      return .lowRank(
        LowRankUpdate(
          up: up, down: down, rank: module.rank, width: down.count / module.rank, scale: Float(module.scale)))
    }
  }
}
