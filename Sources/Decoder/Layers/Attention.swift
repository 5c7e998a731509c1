package import Torch

/// Grouped-query causal self-attention (Vaswani et al. 2017; Ainslie et al. 2023) over packed sequences, with an
/// optional sliding window (Jiang et al. 2023).
///
/// N tokens, D width, H query heads, K key/value heads, E head size, Q = (H + 2K) E.
/// Saved for backward, a token: the rotated q, k, v (Q), the heads' output (H E) and the log-sum-exp (H).
package struct Attention {
  var queryKeyValue: Linear  // [Q, D]
  var output: Linear  // [D, H E]
  let rotary: RotaryEmbedding
  let heads: Int
  let keyValueHeads: Int
  let headSize: Int
  /// 0: no window.
  let window: Int

  package struct Saved {
    let qkvNQ: Tensor
    let attendedNHE: Tensor
    let logSumExpHN: Tensor
  }

  var queryWidth: Int { heads * headSize }
  var keyWidth: Int { keyValueHeads * headSize }
  private var rotatedColumns: Range<Int> { 0..<(queryWidth + keyWidth) }

  /// `outputND += attention(x) Wo'`: the residual stream is handed in and added to.
  package func forward(
    _ xND: Tensor, sequences: PackedSequences, layer: Int, adding outputND: Tensor, rowwise: Bool = false,
    workspace: Workspace
  ) throws -> Saved {
    let tokens = xND.shape[0]
    let qkvNQ = try projected(
      xND, positions: sequences.positions, layer: layer, rowwise: rowwise, workspace: workspace)
    let attended = try workspace.buffer(.attended, layer: layer, [tokens, queryWidth])
    let logSumExp = try workspace.buffer(.logSumExp, layer: layer, [heads, tokens], workspace.statisticsType)
    try Kernels.attention(
      qkv: qkvNQ, offsets: sequences.offsets, deviceOffsets: sequences.deviceOffsets, heads: heads,
      keyValueHeads: keyValueHeads, window: window, into: attended, logSumExp: logSumExp)
    try output.forward(attended, into: outputND, accumulating: true, rowwise: rowwise, workspace: workspace)
    return Saved(qkvNQ: qkvNQ, attendedNHE: attended, logSumExpHN: logSumExp)
  }

  /// Rotated q and k, and v: `[N, Q]`.
  func projected(
    _ xND: Tensor, positions: Tensor, layer: Int, rowwise: Bool = false, workspace: Workspace
  ) throws -> Tensor {
    let qkvNQ = try workspace.buffer(.queryKeyValue, layer: layer, [xND.shape[0], queryKeyValue.outputWidth])
    try queryKeyValue.forward(xND, into: qkvNQ, rowwise: rowwise, workspace: workspace)
    try rotary.rotate(try qkvNQ.columns(rotatedColumns), heads: heads + keyValueHeads, positions: positions)
    return qkvNQ
  }

  /// `dxND` is overwritten with the gradient of the (normalized) input `xND`; nil: nobody needs it.
  package func backward(
    _ doutND: Tensor, input xND: Tensor, saved: Saved, sequences: PackedSequences, into dxND: Tensor?,
    sink: any GradientSink, workspace: Workspace
  ) throws {
    let tokens = doutND.shape[0]
    let dAttended = try workspace.buffer(.attendedGradient, [tokens, queryWidth])
    try output.inputBackward(doutND, into: dAttended, workspace: workspace)
    try output.weightBackward(doutND, input: saved.attendedNHE, sink: sink, workspace: workspace)
    let dqkv = try workspace.buffer(.queryKeyValueGradient, [tokens, queryKeyValue.outputWidth])
    try Kernels.attentionBackward(
      dAttended, qkv: saved.qkvNQ, output: saved.attendedNHE, logSumExp: saved.logSumExpHN,
      offsets: sequences.offsets, deviceOffsets: sequences.deviceOffsets, heads: heads, keyValueHeads: keyValueHeads,
      window: window, into: dqkv)
    try rotary.rotate(
      try dqkv.columns(rotatedColumns), heads: heads + keyValueHeads, positions: sequences.positions, inverse: true)
    try queryKeyValue.inputBackward(dqkv, into: dxND, workspace: workspace)
    try queryKeyValue.weightBackward(dqkv, input: xND, sink: sink, workspace: workspace)
  }
}
