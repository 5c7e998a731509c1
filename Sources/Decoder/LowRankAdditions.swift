package import Checkpoints
internal import Torch

/// Size of the low-rank additions to the seven projections of every layer, or of every other one.
package struct LowRankSettings: Equatable, Sendable {
  /// R
  package let rank: Int
  /// s in `y += s x A' B'`.
  package let scale: Double
  /// Probability that an input element falls out, in `0..<1`.
  package let dropout: Double

  /// Only layers with this remainder modulo 2; nil: all.
  package let layerParity: Int?

  package init(rank: Int, scale: Double, dropout: Double = 0, layerParity: Int? = nil) {
    self.layerParity = layerParity
    self.rank = rank
    self.scale = scale
    self.dropout = dropout
  }

  func covers(_ layer: Int) -> Bool { layerParity.map { layer % 2 == $0 } ?? true }

  /// Elements of all A and B.
  package func parameterCount(_ configuration: ModelConfiguration) -> Int {
    (0..<configuration.layerCount).filter(covers).count * rank
      * configuration.projections.joined().reduce(0) { $0 + $1.inputs + $1.outputs }
  }

  /// Elements of the largest gradient that is computed at once: one B, or all A that share an input.
  func largestMatrix(_ configuration: ModelConfiguration) -> Int {
    let ups = configuration.projections.joined().map { $0.outputs * rank }
    let downs = configuration.projections.map { ($0.first?.inputs ?? 0) * rank * (dropout > 0 ? 1 : $0.count) }
    return (ups + downs).max() ?? 0
  }
}

/// The low-rank additions of a model, in its own element type.
package struct LowRankAdditions {
  package let settings: LowRankSettings
  package let dropout: Dropout
  /// A and B of every projection, by canonical order of the projections.
  package let parts: [LowRank.Part]

  package var parameters: [Parameter] { parts.flatMap { [$0.down, $0.up] } }
}

extension LanguageModel {
  /// Gives every projection of the layers covered a low-rank addition; the weights themselves are not touched. Uninitialised: the caller fills
  /// the parameters, whose names are `model.layers.0.self_attn.q_proj.lora_A.weight` and so on.
  ///
  /// - Parameter seed: of the dropout.
  /// - Precondition: the model has none yet.
  package func addLowRank(_ settings: LowRankSettings, seed: UInt64) throws -> LowRankAdditions {
    precondition(lowRank == nil, "the model has low-rank additions of rank \(lowRank?.settings.rank ?? 0) already")
    let dropout = Dropout(probability: settings.dropout, seed: seed)
    var parts: [LowRank.Part] = []
    func add(_ linear: inout Linear) throws {
      let addition = try LowRank(to: linear, settings, dropout: dropout)
      linear.lowRank = addition
      parts += addition.parts
    }
    for layer in blocks.indices where settings.covers(layer) {
      try add(&blocks[layer].attention.queryKeyValue)
      try add(&blocks[layer].attention.output)
      try add(&blocks[layer].feedForward.gateUp)
      try add(&blocks[layer].feedForward.down)
    }
    let additions = LowRankAdditions(settings: settings, dropout: dropout, parts: parts)
    lowRank = additions
    return additions
  }
}

extension LowRank {
  /// Uninitialised matrices for every part of `linear`.
  package init(to linear: Linear, _ settings: LowRankSettings, dropout: Dropout) throws {
    let (inputs, dtype, device) = (linear.weightOI.shape[1], linear.weightOI.dtype, linear.weightOI.device)
    let stack = try Tensor.empty([linear.parts.count * settings.rank, inputs], dtype, on: device)
    let parts = try linear.parts.enumerated().map { place, part in
      let module = part.weight.name.hasSuffix(".weight") ? String(part.weight.name.dropLast(7)) : part.weight.name
      let rows = (place * settings.rank)..<((place + 1) * settings.rank)
      return LowRank.Part(
        down: Parameter(name: module + ".lora_A.weight", value: try stack.rows(rows)),
        up: Parameter(
          name: module + ".lora_B.weight", value: try Tensor.empty([part.rows.count, settings.rank], dtype, on: device)),
        rows: part.rows)
    }
    self.init(parts: parts, stack: stack, scale: settings.scale, dropout: dropout)
  }
}

extension ModelConfiguration {
  /// Input and output widths of a layer's projections; those that share an input stand together.
  var projections: [[(inputs: Int, outputs: Int)]] {
    let (queries, keys) = (headCount * headSize, keyValueHeadCount * headSize)
    return [
      [(hiddenSize, queries), (hiddenSize, keys), (hiddenSize, keys)], [(queries, hiddenSize)],
      [(hiddenSize, intermediateSize), (hiddenSize, intermediateSize)], [(intermediateSize, hiddenSize)],
    ]
  }
}
