package import Decoder

/// A sink that trains: told where in a step it is, since gradients of several micro-batches add up before the update.
package protocol TrainingSink: GradientSink {
  /// - Parameters:
  ///   - rate: learning rate of this step.
  ///   - microBatches: how many backward passes make the step.
  ///   - statistics: what decides each update, and learns of each gradient.
  func beginStep(rate: Double, microBatches: Int, statistics: any StepStatistics)
  func beginMicroBatch(_ index: Int)
  func endStep() throws
  /// Bytes of optimizer state, buffers and indices held.
  var stateByteCount: Int { get }
}
