package import Decoder

/// A sink that trains: told where in a step it is, since gradients of several micro-batches add up before the update.
package protocol TrainingSink: GradientSink {
  /// - Parameters:
  ///   - rate: learning rate of this step.
  ///   - microBatches: how many backward passes make the step.
  func beginStep(rate: Double, microBatches: Int)
  func beginMicroBatch(_ index: Int)
  func endStep() throws
  /// Bytes of optimizer state, buffers and indices held.
  var stateByteCount: Int { get }
}

/// A sink was given a gradient with NaN or infinity in it. The training loop adds where that happened.
package struct NonFiniteGradient: Error, Equatable {
  package let tensor: String
}
