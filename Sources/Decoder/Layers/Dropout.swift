internal import Primitives

/// Dropout on the inputs of low-rank additions, shared by all of a model: which elements fall out depends on the run's seed,
/// the backward pass and the tensor's name, so that a backward pass, or a second forward pass, meets the same ones.
package final class Dropout {
  /// In `0..<1`; fixed, since buffers depend on it.
  package let probability: Double
  private let seed: UInt64
  /// Number of the backward pass that runs; nil: nothing falls out, as in evaluation.
  package var pass: UInt64?

  package init(probability: Double, seed: UInt64) {
    self.probability = probability
    self.seed = seed
  }

  /// The seed for the first of `parts`; nil where nothing falls out.
  func seed(of parts: ArraySlice<LowRank.Part>) -> UInt64? {
    guard probability > 0, let pass, let name = parts.first?.down.name else { return nil }
    var stream = RandomStream(seed: seed, purpose: "dropout " + name, index: pass)
    return stream.next()
  }
}
