package import Decoder
package import Torch

/// Keeps the scoped matrices' gradients of one step, to rank a ticket by gradient magnitude.
///
/// The first RMSprop step moves every weight by the same amount, so after a single step the task vector ranks nothing.
package final class GradientMagnitudes: TrainingSink {
  private var gradients: [String: Tensor] = [:]
  private let names: Set<String>

  package init(scopedNames: [String]) { names = Set(scopedNames) }

  package func beginStep(rate: Double, microBatches: Int, statistics: any StepStatistics) { gradients.removeAll() }
  package func beginMicroBatch(_ index: Int) {}
  package func endStep() {}
  package func needsGradient(of parameter: Parameter) -> Bool { names.contains(parameter.name) }

  package func consume(_ gradient: Tensor, of parameter: Parameter) throws {
    if let held = gradients[parameter.name] {
      try held.add(gradient)
    } else {
      // Half-precision gradients of many micro-batches add up in float32.
      gradients[parameter.name] = try gradient.converted(to: gradient.dtype == .float64 ? .float64 : .float32)
    }
  }

  package var stateByteCount: Int { gradients.values.reduce(0) { $0 + $1.byteCount } }

  /// The gradients as a source of magnitudes; its base is ``ZeroWeights``.
  package func source() -> LiveWeights { LiveWeights(gradients) }
}
