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
  /// Gives up a step, one of whose numbers is not finite.
  func abandonStep()
  /// Whether all updates of a step are made in ``endStep()``: until then one that is given up has changed nothing.
  var updatesAtEnd: Bool { get }
  /// Bytes of optimizer state, buffers and indices held.
  var stateByteCount: Int { get }
  /// What it has changed in the model, and what it remembers of earlier steps. For between two steps; tensors are read at once.
  func savedTensors() throws -> [SavedTensor]
  /// Puts all that back, in the model and in a sink that has taken no step.
  func restore(_ saved: SavedTensors, model: LanguageModel) throws
}

extension TrainingSink {
  package func abandonStep() {}
  package var updatesAtEnd: Bool { false }
}
