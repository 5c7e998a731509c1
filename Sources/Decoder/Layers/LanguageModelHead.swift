package import Torch

/// Final norm, output matrix and cross entropy, computed only for the rows that predict a label.
///
/// N tokens, L labels, D width, V vocabulary. Logits exist for at most ``chunkRows(on:)`` labels at a time, so memory is
/// that times V elements, whatever the batch. Saved for backward: nothing; loss and gradient are one pass.
package struct LanguageModelHead {
  /// Labels at a time. A device reads the whole matrix for each chunk, and needs more rows to make that worth while.
  package static func chunkRows(on device: Device) -> Int { device.kind == .cpu ? 128 : 256 }

  /// Label-sized buffers `[L, D]`: hidden states, the same normalized, and their gradient.
  package static let stateCount = 3

  let norm: RMSNorm
  /// [V, D]; the embedding matrix when tied.
  let weightVD: Parameter

  /// Logits `[R, V]` of selected hidden states, in a workspace buffer; `rowwise`: each computed as it would be alone.
  func logits(_ xND: Tensor, rows: Tensor, rowwise: Bool = false, workspace: Workspace) throws -> Tensor {
    let normalized = try states(xND, rows: rows, workspace: workspace).normalized
    let logits = try workspace.buffer(.logits, [rows.shape[0], weightVD.shape[0]])
    if rowwise {
      try logits.setRowProduct(normalized, weightVD.value)
    } else {
      try logits.setProduct(normalized, weightVD.value, transposeB: true)
    }
    return logits
  }

  /// Losses `-log p` of all labels, `[L]`, without gradients.
  func losses(_ xND: Tensor, labels: Labels, workspace: Workspace) throws -> Tensor {
    let normalized = try states(xND, rows: labels.rows, workspace: workspace).normalized
    let losses = try workspace.buffer(.losses, [labels.count], workspace.statisticsType)
    try forEachChunk(of: labels.count, on: workspace.device) { range in
      let logits = try chunkLogits(normalized, range, workspace)
      try Kernels.crossEntropy(
        logits, targets: try labels.targets.rows(range), gradientScale: nil, losses: try losses.rows(range))
    }
    return losses
  }

  /// Losses of all labels; the hidden states `xND` are replaced by the gradient of `scale * sum of losses` with respect to them.
  ///
  /// `weightGradient`, where given, accumulates the output matrix's gradient; the final norm's goes to the sink.
  func lossesAndBackward(
    _ xND: Tensor, labels: Labels, scale: Double, weightGradient: Tensor?, sink: any GradientSink, workspace: Workspace,
    checkLosses: (Tensor) throws -> Void
  ) throws -> Tensor {
    let (input, normalized, dNormalized, rstd) = try states(xND, rows: labels.rows, workspace: workspace)
    let losses = try workspace.buffer(.losses, [labels.count], workspace.statisticsType)
    try forEachChunk(of: labels.count, on: workspace.device) { range in
      let logits = try chunkLogits(normalized, range, workspace)
      try Kernels.crossEntropy(
        logits, targets: try labels.targets.rows(range), gradientScale: scale, losses: try losses.rows(range))
      try dNormalized.rows(range).setProduct(logits, weightVD.value)
      try weightGradient?.setProduct(logits, try normalized.rows(range), transposeA: true, accumulating: true)
    }
    try checkLosses(losses)
    let dInput = try workspace.buffer(.inputGradient, normalized.shape)
    try dInput.fill(0)
    try norm.backward(dNormalized, input: input, rstd: rstd, accumulating: dInput, sink: sink, workspace: workspace)
    try xND.fill(0)
    try xND.accumulateRows(dInput, at: labels.rows)
    return losses
  }

  /// The label rows of x, the same normalized, and room for their gradient, `[L, D]` each.
  private func states(
    _ xND: Tensor, rows: Tensor, workspace: Workspace
  ) throws -> (input: Tensor, normalized: Tensor, gradient: Tensor, rstd: Tensor) {
    let count = rows.shape[0]
    let all = try workspace.buffer(.labelStates, [Self.stateCount * count, xND.shape[1]])
    let input = try all.rows(0..<count)
    let normalized = try all.rows(count..<(2 * count))
    let rstd = try workspace.buffer(.labelRstd, [count], workspace.statisticsType)
    try input.setRows(of: xND, at: rows)
    try norm.forward(input, into: normalized, rstd: rstd)
    return (input, normalized, try all.rows((2 * count)..<(3 * count)), rstd)
  }

  private func chunkLogits(_ normalized: Tensor, _ range: Range<Int>, _ workspace: Workspace) throws -> Tensor {
    let logits = try workspace.buffer(.logits, [range.count, weightVD.shape[0]])
    try logits.setProduct(try normalized.rows(range), weightVD.value, transposeB: true)
    return logits
  }

  private func forEachChunk(of count: Int, on device: Device, _ body: (Range<Int>) throws -> Void) throws {
    let rows = Self.chunkRows(on: device)
    for start in stride(from: 0, to: count, by: rows) { try body(start..<min(count, start + rows)) }
  }
}
