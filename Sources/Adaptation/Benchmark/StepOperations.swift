internal import Checkpoints

/// Floating-point operations that a training step needs, counted from its matrix products: a multiplication and an
/// addition are two. What is computed again is not counted.
struct StepOperations: Equatable {
  /// Projections of all layers: forward, the inputs' and the weights' gradients.
  let projections: Double
  /// Scores and weighted sums over the visible half; the backward pass has twice as many products.
  let attention: Double
  /// Output head over the labels; its weights' gradient where it is trained.
  let head: Double

  var total: Double { projections + attention + head }

  /// - Parameters:
  ///   - lengths: tokens of every sequence of the step.
  ///   - labels: of all sequences together.
  init(_ model: ModelConfiguration, lengths: [Int], labels: Int, trainsHead: Bool) {
    let tokens = Double(lengths.reduce(0, +))
    let (width, queryWidth) = (Double(model.hiddenSize), Double(model.headCount * model.headSize))
    let keyWidth = Double(model.keyValueHeadCount * model.headSize)
    let weights = width * (2 * queryWidth + 2 * keyWidth + 3 * Double(model.intermediateSize))
    let layers = Double(model.layerCount)
    projections = 6 * tokens * weights * layers
    let pairs = lengths.reduce(0.0) { sum, length in
      let window = min(length, model.slidingWindow ?? length)
      return sum + Double(window) * Double(window + 1) / 2 + Double(length - window) * Double(window)
    }
    attention = 3 * 4 * pairs * queryWidth * layers
    head = (trainsHead ? 6 : 4) * Double(labels) * width * Double(model.vocabularySize)
  }
}
