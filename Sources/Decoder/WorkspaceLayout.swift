package import Checkpoints
package import Torch

/// The buffers that training steps of a known size need: what the ``Workspace`` reserves before the first step, and what a
/// memory plan counts.
///
/// N tokens, L labels, D width, Q query, key and value width, H query heads, F feed-forward width, V vocabulary.
package struct WorkspaceLayout: Equatable {
  package struct Buffer: Equatable {
    package let count: Int
    package let dtype: DType
  }

  package private(set) var buffers: [Workspace.Slot: Buffer] = [:]
  private let dtype: DType
  private let device: Device

  package var byteCount: Int { buffers.values.reduce(0) { $0 + $1.count * $1.dtype.byteCount } }

  /// Bytes by role, of shared buffers under ``Workspace/Role/home``.
  package var byteCounts: [Workspace.Role: Int] {
    Dictionary(
      buffers.map { ($0.key.role, $0.value.count * $0.value.dtype.byteCount) }, uniquingKeysWith: +)
  }

  /// - Parameters:
  ///   - tokens: N of the largest backward pass.
  ///   - labels: L of the one with most labels.
  ///   - lowRank: the additions to the projections, where they train.
  ///   - demand: how much of the gradient of the parameter of a name the sink asks for.
  package init(
    _ configuration: ModelConfiguration, dtype: DType, on device: Device, tokens: Int, labels: Int,
    activations: ActivationPolicy, lowRank: LowRankSettings? = nil, demand: (String) -> GradientDemand
  ) {
    self.dtype = dtype
    self.device = device
    let layers = configuration.layerCount
    addForward(configuration, tokens: tokens, residuals: layers + 1, records: activations == .keep ? layers : 1)
    addBackward(configuration, tokens: tokens, labels: labels)
    addHead(configuration, labels: labels)
    addParameterGradients(configuration, tokens: tokens, lowRank: lowRank, demand: demand)
    if let lowRank { addLowRank(configuration, tokens: tokens, lowRank) }
  }

  private mutating func add(_ role: Workspace.Role, layer: Int = 0, _ count: Int, isStatistic: Bool = false) {
    guard count > 0 else { return }
    let slot = Workspace.Slot(role: role.home, layer: layer)
    buffers[slot] = Buffer(
      count: max(count, buffers[slot]?.count ?? 0), dtype: isStatistic ? Workspace.statisticsType(for: dtype) : dtype)
  }

  /// Makes room for scoring too: N tokens and L labels at once, without gradients.
  package mutating func addScoring(
    _ configuration: ModelConfiguration, tokens: Int, labels: Int, lowRank: LowRankSettings? = nil
  ) {
    addForward(configuration, tokens: tokens, residuals: 2, records: 1)
    addHead(configuration, labels: labels)
    if let lowRank { add(.lowRank, tokens * lowRank.rank * lowRank.partsAtOnce(configuration)) }
  }

  /// - Parameters:
  ///   - residuals: how many of the states before and behind layers exist at once.
  ///   - records: of how many layers at once the activations do.
  private mutating func addForward(_ c: ModelConfiguration, tokens: Int, residuals: Int, records: Int) {
    for layer in 0..<residuals { add(.residual, layer: layer, tokens * c.hiddenSize) }
    for layer in 0..<records {
      add(.middle, layer: layer, tokens * c.hiddenSize)
      add(.queryKeyValue, layer: layer, tokens * c.queryKeyValueWidth)
      add(.attended, layer: layer, tokens * c.queryWidth)
      add(.logSumExp, layer: layer, tokens * c.headCount, isStatistic: true)
      add(.gateUp, layer: layer, tokens * 2 * c.intermediateSize)
    }
    add(.normalized, tokens * c.hiddenSize)
    add(.rstd, tokens, isStatistic: true)
    add(.hidden, tokens * c.intermediateSize)
  }

  private mutating func addBackward(_ c: ModelConfiguration, tokens: Int, labels: Int) {
    add(.inputGradient, max(tokens, labels) * c.hiddenSize)
    add(.attendedGradient, tokens * c.queryWidth)
    add(.queryKeyValueGradient, tokens * c.queryKeyValueWidth)
  }

  private mutating func addHead(_ c: ModelConfiguration, labels: Int) {
    add(.labelStates, LanguageModelHead.stateCount * labels * c.hiddenSize)
    for role in [Workspace.Role.labelRstd, .losses] { add(role, labels, isStatistic: true) }
    add(.logits, min(labels, LanguageModelHead.chunkRows(on: device)) * c.vocabularySize)
  }

  /// One matrix at a time; stacked ones together when all of them train. The embedding's and an untied head's are summed up
  /// in a buffer of their own.
  private mutating func addParameterGradients(
    _ c: ModelConfiguration, tokens: Int, lowRank: LowRankSettings?, demand: (String) -> GradientDemand
  ) {
    var largestMatrix = 0
    var largestVector = 0
    var widestSampled = 0
    func trains(_ name: String) -> Bool { demand(name) != .none }
    func matrices(_ prefix: String, _ outputs: [(name: String, width: Int)], inputs: Int, bias: Bool) {
      let demands = outputs.map { demand(prefix + $0.name + ".weight") }
      if demands.contains(.entries) { widestSampled = max(widestSampled, inputs) }
      let widths = zip(outputs, demands).filter { $0.1 == .whole }.map(\.0.width)
      let width = widths.count == outputs.count ? widths.reduce(0, +) : widths.max() ?? 0
      largestMatrix = max(largestMatrix, width * inputs)
      for output in outputs where bias && trains(prefix + output.name + ".bias") {
        largestVector = max(largestVector, output.width)
      }
    }
    func norm(_ name: String) { if trains(name) { largestVector = max(largestVector, c.hiddenSize) } }
    let keyWidth = c.keyValueHeadCount * c.headSize
    for layer in 0..<c.layerCount {
      let prefix = "model.layers.\(layer)."
      matrices(
        prefix + "self_attn.", [("q_proj", c.queryWidth), ("k_proj", keyWidth), ("v_proj", keyWidth)],
        inputs: c.hiddenSize, bias: c.hasQueryKeyValueBias)
      matrices(prefix + "self_attn.", [("o_proj", c.hiddenSize)], inputs: c.queryWidth, bias: c.hasOutputBias)
      matrices(
        prefix + "mlp.", [("gate_proj", c.intermediateSize), ("up_proj", c.intermediateSize)], inputs: c.hiddenSize,
        bias: c.hasMLPBias)
      matrices(prefix + "mlp.", [("down_proj", c.hiddenSize)], inputs: c.intermediateSize, bias: c.hasMLPBias)
      norm(prefix + "input_layernorm.weight")
      norm(prefix + "post_attention_layernorm.weight")
    }
    norm("model.norm.weight")
    add(.weightGradient, max(largestMatrix, lowRank?.largestMatrix(c) ?? 0))
    add(.vectorGradient, largestVector)
    add(.turnedInput, Kernels.turnedSize(rows: tokens, width: widestSampled))
    let embeddings = ["model.embed_tokens.weight"] + (c.tiesEmbeddings ? [] : ["lm_head.weight"])
    if embeddings.contains(where: trains) { add(.embeddingGradient, c.vocabularySize * c.hiddenSize) }
  }

  private mutating func addLowRank(_ c: ModelConfiguration, tokens: Int, _ lowRank: LowRankSettings) {
    let atOnce = lowRank.partsAtOnce(c)
    add(.lowRank, tokens * lowRank.rank * atOnce)
    for index in 0..<(c.mostParts / max(1, atOnce)) {
      add(.lowRankGradient, layer: index, tokens * lowRank.rank * atOnce)
    }
    if lowRank.dropout > 0 { add(.droppedInput, tokens * (c.projections.map { $0.first?.inputs ?? 0 }.max() ?? 0)) }
  }
}

extension LowRankSettings {
  /// Without dropout, parts that share an input share a product; with it, each has its own turn.
  fileprivate func partsAtOnce(_ c: ModelConfiguration) -> Int { dropout > 0 ? 1 : c.mostParts }
}

extension ModelConfiguration {
  /// Parts of the projections that share one input, where those are most.
  fileprivate var mostParts: Int { projections.map(\.count).max() ?? 0 }
  fileprivate var queryWidth: Int { headCount * headSize }
  fileprivate var queryKeyValueWidth: Int { (headCount + 2 * keyValueHeadCount) * headSize }
}
