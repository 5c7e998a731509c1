package import Torch

/// What one step finds out on its way: the sum of its losses, whether each gradient is finite, and how far each is clipped.
///
/// A sink asks for a factor before every update. On the CPU the answer is a number (``HostStatistics``). A device must not be
/// waited for inside a step, so there the answer stays on it, and what was found is read once, at the end
/// (``DeviceStatistics``). Either way the first gradient that is not finite, and everything after it, changes nothing.
package protocol StepStatistics: AnyObject {
  /// `losses` of one micro-batch, `[L]`.
  /// - Throws: ``NonFiniteLoss``, here or at the end.
  func add(losses: Tensor) throws
  /// The factor that clips this gradient by itself.
  /// - Throws: ``NonFiniteGradient``, here or at the end.
  func factor(of gradient: Tensor, named name: String, maximumNorm: Double?) throws -> GradientFactor
  /// Counts the gradient towards the norm of several.
  /// - Throws: ``NonFiniteGradient``, here or at the end.
  func count(_ gradient: Tensor, named name: String) throws
  /// Looks at a weight that was just updated.
  /// - Throws: ``NonFiniteWeight``, at once or not at all.
  func check(_ weight: Tensor, named name: String) throws
  /// The factor that clips all gradients counted so far together.
  func factorOfAll(maximumNorm: Double?) throws -> GradientFactor
  /// Ends the step: the sum of all losses. Waits for the device.
  /// - Throws: ``NonFiniteGradient``, ``NonFiniteLoss``
  func finish() throws -> Double
}

/// What a gradient is multiplied by: a number, and on a device a verdict that may refuse the update.
package struct GradientFactor {
  package var scale = 1.0
  package var verdict: Tensor?
}

/// A sink was given a gradient with NaN or infinity in it. The training loop adds where that happened.
package struct NonFiniteGradient: Error, Equatable {
  package let tensor: String
}

/// An update has made a weight NaN or infinite.
package struct NonFiniteWeight: Error, Equatable {
  package let tensor: String
}

/// The losses of a step add up to NaN or infinity.
package struct NonFiniteLoss: Error, Equatable {}

/// Numbers at once, sums in double.
package final class HostStatistics: StepStatistics {
  private var losses = 0.0
  private var squares = 0.0

  package init() {}

  package func add(losses: Tensor) throws {
    self.losses += try losses.sum()
    guard self.losses.isFinite else { throw NonFiniteLoss() }
  }

  package func factor(of gradient: Tensor, named name: String, maximumNorm: Double?) throws -> GradientFactor {
    GradientFactor(scale: Self.clip(try sumOfSquares(gradient, name), maximumNorm))
  }

  package func count(_ gradient: Tensor, named name: String) throws { squares += try sumOfSquares(gradient, name) }

  package func check(_ weight: Tensor, named name: String) throws {
    guard try weight.sumOfSquares().isFinite else { throw NonFiniteWeight(tensor: name) }
  }

  package func factorOfAll(maximumNorm: Double?) -> GradientFactor {
    GradientFactor(scale: Self.clip(squares, maximumNorm))
  }

  package func finish() -> Double { losses }

  private func sumOfSquares(_ gradient: Tensor, _ name: String) throws -> Double {
    let squares = try gradient.sumOfSquares()
    guard squares.isFinite else { throw NonFiniteGradient(tensor: name) }
    return squares
  }

  /// As PyTorch's `clip_grad_norm_` computes it.
  private static func clip(_ sumOfSquares: Double, _ maximumNorm: Double?) -> Double {
    guard let maximumNorm else { return 1 }
    return min(1, maximumNorm / (sumOfSquares.squareRoot() + 1e-6))
  }
}

/// Everything on the device. Norms are float32 there (float64 for float64 gradients), so one beyond 1.8e19 counts as
/// infinite.
package final class DeviceStatistics: StepStatistics {
  private let device: Device
  private let report: Tensor
  private var squares: Tensor?
  private var names: [String] = []

  package init(on device: Device) throws {
    self.device = device
    report = try StatisticsKernels.report(on: device)
  }

  package func add(losses: Tensor) throws { try StatisticsKernels.add(losses: losses, to: report) }

  package func factor(of gradient: Tensor, named name: String, maximumNorm: Double?) throws -> GradientFactor {
    let own = try Tensor.zeros([], Self.normType(gradient), on: device)
    try note(gradient, name, squares: own)
    return GradientFactor(
      verdict: try StatisticsKernels.verdict(of: report, squares: own, maximumNorm: maximumNorm))
  }

  package func count(_ gradient: Tensor, named name: String) throws {
    let total = try squares ?? Tensor.zeros([], Self.normType(gradient), on: device)
    squares = total
    try note(gradient, name, squares: total)
  }

  /// Would wait for the device: the next step's loss tells, and no checkpoint is written of such a weight.
  package func check(_ weight: Tensor, named name: String) {}

  package func factorOfAll(maximumNorm: Double?) throws -> GradientFactor {
    let total = try squares ?? Tensor.zeros([], on: device)
    return GradientFactor(
      verdict: try StatisticsKernels.verdict(of: report, squares: total, maximumNorm: maximumNorm))
  }

  package func finish() throws -> Double {
    let found = try report.values(as: Double.self)
    let (losses, number) = (found[0], Int(found[1]))
    // A loss that is not finite makes gradients so too.
    guard losses.isFinite else { throw NonFiniteLoss() }
    if number > 0 { throw NonFiniteGradient(tensor: names[number - 1]) }
    return losses
  }

  private func note(_ gradient: Tensor, _ name: String, squares: Tensor) throws {
    names.append(name)
    try StatisticsKernels.note(gradient, number: names.count, in: report, squares: squares, accumulating: true)
  }

  private static func normType(_ gradient: Tensor) -> DType { gradient.dtype == .float64 ? .float64 : .float32 }
}
