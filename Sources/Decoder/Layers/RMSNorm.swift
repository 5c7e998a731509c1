package import Torch

/// Root-mean-square norm (Zhang and Sennrich 2019): `y = x / sqrt(mean(x^2) + epsilon) * w`.
///
/// N rows, D width. Saved for backward: nothing; x is part of the residual stream, so y and `rstd [N]` are computed again,
/// which is cheaper than keeping them.
package struct RMSNorm {
  package let weightD: Parameter
  let epsilon: Double

  package init(weight: Parameter, epsilon: Double) {
    weightD = weight
    self.epsilon = epsilon
  }

  package func forward(_ xND: Tensor, into yND: Tensor, rstd rstdN: Tensor) throws {
    try Kernels.rmsNorm(xND, weight: weightD.value, epsilon: epsilon, into: yND, rstd: rstdN)
  }

  /// Adds the input's gradient to `dxND`, which already holds what flows past the norm along the residual stream.
  package func backward(
    _ dyND: Tensor, input xND: Tensor, rstd rstdN: Tensor, accumulating dxND: Tensor, sink: any GradientSink,
    workspace: Workspace
  ) throws {
    var gradient: Tensor?
    if sink.needsGradient(of: weightD) {
      gradient = try workspace.buffer(.vectorGradient, weightD.shape)
      try gradient?.fill(0)
    }
    try Kernels.rmsNormBackward(
      dyND, input: xND, weight: weightD.value, rstd: rstdN, accumulating: dxND, weightGradient: gradient)
    if let gradient { try sink.consume(gradient, of: weightD) }
  }
}
