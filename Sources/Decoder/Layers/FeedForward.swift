package import Torch

/// SwiGLU feed-forward layer (Shazeer 2020): `h = silu(x Wg') * (x Wu')`, `y = h Wd'`.
///
/// N tokens, D width, F intermediate width. Saved for backward, a token: gate and up before the activation (2F); h is
/// computed again.
package struct FeedForward {
  var gateUp: Linear  // [2F, D]
  var down: Linear  // [D, F]

  private var intermediateWidth: Int { gateUp.outputWidth / 2 }

  /// `outputND += ...`; returns gate and up, `[N, 2F]`.
  package func forward(
    _ xND: Tensor, layer: Int, adding outputND: Tensor, rowwise: Bool = false, workspace: Workspace
  ) throws -> Tensor {
    let gateUpN2F = try gatesAndUps(xND, layer: layer, rowwise: rowwise, workspace: workspace)
    let hiddenNF = try workspace.buffer(.hidden, [xND.shape[0], intermediateWidth])
    try Kernels.swiGLU(gateUpN2F, into: hiddenNF)
    try down.forward(hiddenNF, into: outputND, accumulating: true, rowwise: rowwise, workspace: workspace)
    return gateUpN2F
  }

  /// What backward needs of the forward pass, without its output: `[N, 2F]`.
  func gatesAndUps(_ xND: Tensor, layer: Int, rowwise: Bool = false, workspace: Workspace) throws -> Tensor {
    let gateUpN2F = try workspace.buffer(.gateUp, layer: layer, [xND.shape[0], 2 * intermediateWidth])
    try gateUp.forward(xND, into: gateUpN2F, rowwise: rowwise, workspace: workspace)
    return gateUpN2F
  }

  /// `dxND` is overwritten. The saved gate and up are replaced by their gradients, so one forward serves one backward.
  package func backward(
    _ doutND: Tensor, input xND: Tensor, gateUp savedN2F: Tensor, into dxND: Tensor, sink: any GradientSink,
    workspace: Workspace
  ) throws {
    let hidden = try workspace.buffer(.hidden, [doutND.shape[0], intermediateWidth])
    try down.inputBackward(doutND, into: hidden, workspace: workspace)
    try Kernels.swiGLUBackward(savedN2F, gradientToOutput: hidden)
    try down.weightBackward(doutND, input: hidden, sink: sink, workspace: workspace)
    try gateUp.inputBackward(savedN2F, into: dxND, workspace: workspace)
    try gateUp.weightBackward(savedN2F, input: xND, sink: sink, workspace: workspace)
  }
}
