internal import CTorch

/// One in-place optimizer step on tensors of equal size. The gradient is multiplied by `scale` first.
///
/// A `verdict` of ``StatisticsKernels/verdict(of:squares:maximumNorm:)`` multiplies it too; a negative one leaves weights
/// and state as they are, to the bit.
public enum OptimizerKernels {
  public static func rmsProp(
    _ w: Tensor, gradient g: Tensor, average v: Tensor, scale: Double, verdict: Tensor? = nil, rate: Double,
    alpha: Double, epsilon: Double
  ) throws {
    try check(ct_rmsprop_step(w.handle, g.handle, v.handle, scale, verdict?.handle, rate, alpha, epsilon), w, g, v)
  }

  public static func adamW(
    _ w: Tensor, gradient g: Tensor, mean m: Tensor, average v: Tensor, scale: Double, verdict: Tensor? = nil,
    rate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, step: Int
  ) throws {
    try check(
      ct_adamw_step(
        w.handle, g.handle, m.handle, v.handle, scale, verdict?.handle, rate, beta1, beta2, epsilon, weightDecay,
        Int64(step)), w, g, m, v)
  }

  public static func sgd(_ w: Tensor, gradient g: Tensor, scale: Double, verdict: Tensor? = nil, rate: Double) throws {
    try check(ct_sgd_step(w.handle, g.handle, scale, verdict?.handle, rate), w, g)
  }
}

/// What a step finds out about its losses and gradients, kept on their device: nothing here waits for it.
///
/// A report is `[2]`: the sum of the losses, and the number of the first gradient that is not finite (0 while all are).
public enum StatisticsKernels {
  public static func report(on device: Device) throws -> Tensor {
    try Tensor.zeros([2], device.kind == .mps ? .float32 : .float64, on: device)
  }

  /// `report[0] += sum of losses`.
  public static func add(losses: Tensor, to report: Tensor) throws {
    try check(ct_report_losses(report.handle, losses.handle), report, losses)
  }

  /// Notes `number`, from 1, unless the gradient is finite; `squares` `[]` becomes its sum of squares, or grows by it.
  public static func note(
    _ gradient: Tensor, number: Int, in report: Tensor, squares: Tensor, accumulating: Bool = false
  ) throws {
    try check(
      ct_report_gradient(report.handle, gradient.handle, Double(number), accumulating, squares.handle), gradient)
  }

  /// The factor that clips a gradient whose norm is the root of `squares`; -1 where the report refuses the step.
  public static func verdict(of report: Tensor, squares: Tensor, maximumNorm: Double?) throws -> Tensor {
    try Tensor.adopting(report, squares) {
      ct_report_verdict(report.handle, squares.handle, maximumNorm ?? 0, $0)
    }
  }
}
