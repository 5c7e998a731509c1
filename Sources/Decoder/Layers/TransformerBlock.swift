package import Torch

/// One pre-norm decoder layer: `m = x + attention(norm(x))`, `y = m + feedForward(norm(m))`.
///
/// Saved for backward, a token: x, m (2D) and what the two parts save.
package struct TransformerBlock {
  let attentionNorm: RMSNorm
  package var attention: Attention
  let feedForwardNorm: RMSNorm
  package var feedForward: FeedForward

  package struct Saved {
    let xND: Tensor
    let middleND: Tensor
    let attention: Attention.Saved
    let gateUpN2F: Tensor
  }

  /// Writes the layer's output to `outputND`, which must not be `xND`.
  ///
  /// - Parameter rowwise: each token as it would be in its sequence alone (``Tensor/setRowProduct(_:_:accumulating:)``).
  package func forward(
    _ xND: Tensor, sequences: PackedSequences, layer: Int, into outputND: Tensor, rowwise: Bool = false,
    workspace: Workspace
  ) throws -> Saved {
    let (middle, attention) = try attended(
      xND, sequences: sequences, layer: layer, rowwise: rowwise, workspace: workspace)
    let normalized = try normalizedMiddle(middle, workspace)
    try outputND.copy(from: middle)
    let gateUp = try feedForward.forward(
      normalized, layer: layer, adding: outputND, rowwise: rowwise, workspace: workspace)
    return Saved(xND: xND, middleND: middle, attention: attention, gateUpN2F: gateUp)
  }

  /// What ``forward(_:sequences:layer:into:workspace:)`` saved, computed again from the input: all but the down projection.
  func activations(_ xND: Tensor, sequences: PackedSequences, layer: Int, workspace: Workspace) throws -> Saved {
    let (middle, attention) = try attended(xND, sequences: sequences, layer: layer, workspace: workspace)
    let normalized = try normalizedMiddle(middle, workspace)
    let gateUp = try feedForward.gatesAndUps(normalized, layer: layer, workspace: workspace)
    return Saved(xND: xND, middleND: middle, attention: attention, gateUpN2F: gateUp)
  }

  private func attended(
    _ xND: Tensor, sequences: PackedSequences, layer: Int, rowwise: Bool = false, workspace: Workspace
  ) throws -> (middleND: Tensor, saved: Attention.Saved) {
    let middle = try workspace.buffer(.middle, layer: layer, xND.shape)
    let (normalized, rstd) = try normalizedBuffers(like: xND, workspace)
    try middle.copy(from: xND)
    try attentionNorm.forward(xND, into: normalized, rstd: rstd)
    let saved = try attention.forward(
      normalized, sequences: sequences, layer: layer, adding: middle, rowwise: rowwise, workspace: workspace)
    return (middle, saved)
  }

  private func normalizedMiddle(_ middleND: Tensor, _ workspace: Workspace) throws -> Tensor {
    let (normalized, rstd) = try normalizedBuffers(like: middleND, workspace)
    try feedForwardNorm.forward(middleND, into: normalized, rstd: rstd)
    return normalized
  }

  /// Turns `dND` from the gradient of the output into that of the input, in place.
  ///
  /// - Parameter needsInput: whether anything below trains; if not, `dND` is left unfinished, unless the first norm trains.
  package func backward(
    _ dND: Tensor, saved: Saved, sequences: PackedSequences, needsInput: Bool = true, sink: any GradientSink,
    workspace: Workspace
  ) throws {
    let needsInput = needsInput || sink.needsGradient(of: attentionNorm.weightD)
    let (normalized, rstd) = try normalizedBuffers(like: dND, workspace)
    let dNormalized = try workspace.buffer(.inputGradient, dND.shape)

    try feedForwardNorm.forward(saved.middleND, into: normalized, rstd: rstd)
    try feedForward.backward(
      dND, input: normalized, gateUp: saved.gateUpN2F, into: dNormalized, sink: sink, workspace: workspace)
    try feedForwardNorm.backward(
      dNormalized, input: saved.middleND, rstd: rstd, accumulating: dND, sink: sink, workspace: workspace)

    try attentionNorm.forward(saved.xND, into: normalized, rstd: rstd)
    try attention.backward(
      dND, input: normalized, saved: saved.attention, sequences: sequences, into: needsInput ? dNormalized : nil,
      sink: sink, workspace: workspace)
    guard needsInput else { return }
    try attentionNorm.backward(
      dNormalized, input: saved.xND, rstd: rstd, accumulating: dND, sink: sink, workspace: workspace)
  }

  private func normalizedBuffers(like xND: Tensor, _ workspace: Workspace) throws -> (Tensor, Tensor) {
    (
      try workspace.buffer(.normalized, xND.shape),
      try workspace.buffer(.rstd, [xND.shape[0]], workspace.statisticsType)
    )
  }
}
