internal import Checkpoints
public import Torch

/// What a training step keeps between forward and backward.
public enum ActivationPolicy: String, Codable, Sendable, CaseIterable {
  /// Everything that the backward pass reads.
  case keep
  /// Each layer's input alone; the rest is computed again, layer by layer, during the backward pass. Costs most of a
  /// second forward pass.
  case recompute
}

extension LanguageModel {
  /// Losses `-log p` of all labels in order, `[L]` (float32; float64 for a float64 model), and the gradient of
  /// `scale * sum of losses` with respect to every parameter the sink asks for, handed over from the last layer to the
  /// first.
  ///
  /// The tied embedding matrix gets one gradient, the sum of both its uses, at the very end. Gradients are the same bit
  /// for bit under either policy.
  ///
  /// - Parameter checkLosses: is shown the losses before any gradient is handed over.
  public func backward(
    _ sequences: PackedSequences, labels: Labels, scale: Double, activations: ActivationPolicy = .keep,
    sink: any GradientSink, checkLosses: (Tensor) throws -> Void = { _ in }
  ) throws -> Tensor {
    let (hidden, records) = try hiddenStates(sequences, keeping: activations)
    let headGradient = try zeroedGradient(of: head.weightVD, sink)
    let losses = try head.lossesAndBackward(
      hidden, labels: labels, scale: scale, weightGradient: headGradient, sink: sink, workspace: workspace,
      checkLosses: checkLosses)
    let gradient = hidden
    let isTied = head.weightVD === embeddingVD
    if let headGradient, !isTied { try sink.consume(headGradient, of: head.weightVD) }
    let trainsEmbedding = sink.needsGradient(of: embeddingVD)
    for (layer, (block, record)) in zip(blocks, records).enumerated().reversed() {
      // A sink may already have updated the layers above, but not this one.
      let saved =
        switch record {
        case .activations(let saved): saved
        case .input(let xND): try block.activations(xND, sequences: sequences, layer: 0, workspace: workspace)
        }
      try block.backward(
        gradient, saved: saved, sequences: sequences, needsInput: layer > 0 || trainsEmbedding, sink: sink,
        workspace: workspace)
    }
    if let embeddingGradient = isTied ? headGradient : try zeroedGradient(of: embeddingVD, sink) {
      try embeddingGradient.accumulateRows(gradient, at: sequences.tokens)
      try sink.consume(embeddingGradient, of: embeddingVD)
    }
    return losses
  }

  /// Makes room for backward passes of up to `tokens` tokens and `labels` labels, and gives up what they do not need.
  package func reserve(tokens: Int, labels: Int, activations: ActivationPolicy, sink: any GradientSink) throws {
    try workspace.reserve(
      WorkspaceLayout(
        configuration, dtype: dtype, on: device, tokens: tokens, labels: labels, activations: activations,
        lowRank: lowRank?.settings
      ) { name in
        parameter(named: name).map { GradientDemand(sink, $0) } ?? .none
      })
  }

  /// Losses `-log p` of all labels in order, `[L]`, without gradients.
  public func losses(_ sequences: PackedSequences, labels: Labels) throws -> Tensor {
    let (hidden, _) = try hiddenStates(sequences, keeping: nil)
    return try head.losses(hidden, labels: labels, workspace: workspace)
  }

  /// Logits after every token, `[N, V]`; a buffer that the next call overwrites.
  public func logits(_ sequences: PackedSequences) throws -> Tensor {
    let (hidden, _) = try hiddenStates(sequences, keeping: nil)
    let rows = try Tensor.from((0..<Int64(sequences.tokenCount)).map { $0 }, on: device)
    return try head.logits(hidden, rows: rows, workspace: workspace)
  }

  private func zeroedGradient(of parameter: Parameter, _ sink: any GradientSink) throws -> Tensor? {
    guard sink.needsGradient(of: parameter) else { return nil }
    let gradient = try workspace.buffer(.embeddingGradient, parameter.shape)
    try gradient.fill(0)
    return gradient
  }
}
