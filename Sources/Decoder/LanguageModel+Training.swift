internal import Checkpoints
public import Torch

extension LanguageModel {
  /// Losses `-log p` of all labels in order, `[L]` (float32; float64 for a float64 model), and the gradient of
  /// `scale * sum of losses` with respect to every parameter the sink asks for, handed over from the last layer to the
  /// first.
  ///
  /// The tied embedding matrix gets one gradient, the sum of both its uses, at the very end.
  public func backward(
    _ sequences: PackedSequences, labels: Labels, scale: Double, sink: any GradientSink
  ) throws -> Tensor {
    let (hidden, saved) = try hiddenStates(sequences, keeping: true)
    let gradient = try workspace.buffer(.residualGradient, hidden.shape)
    let headGradient = try zeroedGradient(of: head.weightVD, sink)
    let losses = try head.lossesAndBackward(
      hidden, labels: labels, scale: scale, into: gradient, weightGradient: headGradient, sink: sink,
      workspace: workspace)
    let isTied = head.weightVD === embeddingVD
    if let headGradient, !isTied { try sink.consume(headGradient, of: head.weightVD) }
    for (block, kept) in zip(blocks, saved).reversed() {
      try block.backward(gradient, saved: kept, sequences: sequences, sink: sink, workspace: workspace)
    }
    if let embeddingGradient = isTied ? headGradient : try zeroedGradient(of: embeddingVD, sink) {
      try embeddingGradient.accumulateRows(gradient, at: sequences.tokens)
      try sink.consume(embeddingGradient, of: embeddingVD)
    }
    return losses
  }

  /// Losses `-log p` of all labels in order, `[L]`, without gradients.
  public func losses(_ sequences: PackedSequences, labels: Labels) throws -> Tensor {
    let (hidden, _) = try hiddenStates(sequences, keeping: false)
    return try head.losses(hidden, labels: labels, workspace: workspace)
  }

  /// Logits after every token, `[N, V]`; a buffer that the next call overwrites.
  public func logits(_ sequences: PackedSequences) throws -> Tensor {
    let (hidden, _) = try hiddenStates(sequences, keeping: false)
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
