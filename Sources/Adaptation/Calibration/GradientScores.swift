internal import Checkpoints
package import Decoder
package import Tickets
package import Torch

/// Adds up what weights in scope are ranked by where calibration does not move them: gradients, or their squares.
///
/// State a weight in scope: its sum, float32 (float64 for float64 weights); for squares over several micro-batches also the step's
/// gradient.
package final class GradientScores: TrainingSink {
  private let ranking: Ranking
  private let names: Set<String>
  private var sums: [String: Tensor] = [:]
  private var stepGradients: [String: Tensor] = [:]
  private var statistics: any StepStatistics = HostStatistics()
  private var microBatches = 1
  private var microBatch = 0

  /// - Precondition: the ranking is one that leaves the weights alone.
  package init(_ ranking: Ranking, names: [String]) {
    precondition(!ranking.movesWeights, "\(ranking.rawValue) is not ranked by gradients")
    self.ranking = ranking
    self.names = Set(names)
  }

  package func beginStep(rate: Double, microBatches: Int, statistics: any StepStatistics) {
    self.statistics = statistics
    self.microBatches = microBatches
  }

  package func beginMicroBatch(_ index: Int) { microBatch = index }
  package func endStep() {}
  package func needsGradient(of parameter: Parameter) -> Bool { names.contains(parameter.name) }

  package func consume(_ gradient: Tensor, of parameter: Parameter) throws {
    try statistics.count(gradient, named: parameter.name)
    let sum = try Self.held(&sums, of: parameter)
    guard ranking == .squaredGradient else { return try sum.add(gradient) }
    guard microBatches > 1 else {
      let wide = gradient.dtype == sum.dtype ? gradient : try gradient.converted(to: sum.dtype)
      return try sum.addProduct(wide, wide)
    }
    let total = try Self.held(&stepGradients, of: parameter)
    if microBatch == 0 { try total.fill(0) }
    try total.add(gradient)
    if microBatch == microBatches - 1 { try sum.addProduct(total, total) }
  }

  package func savedTensors() throws -> [SavedTensor] {
    sums.sorted { $0.key.precedesInBytes($1.key) }.map { SavedTensor("sum/\($0.key)", $0.value) }
  }

  package func restore(_ saved: SavedTensors, model: LanguageModel) throws {
    for parameter in model.parameters where names.contains(parameter.name) {
      let sum = try Self.held(&sums, of: parameter)
      _ = try saved.restore("sum/\(parameter.name)", into: sum)
    }
  }

  package var stateByteCount: Int {
    (Array(sums.values) + stepGradients.values).reduce(0) { $0 + $1.byteCount }
  }

  /// Bytes that it comes to hold for `weights` weights of a type.
  package static func stateByteCounts(
    weights: Int, dtype: DType, ranking: Ranking, accumulates: Bool
  ) -> (sums: Int, stepGradients: Int) {
    let bytes = weights * wide(dtype).byteCount
    return (bytes, ranking == .squaredGradient && accumulates ? bytes : 0)
  }

  /// The scores, some of them with a sign; their base is ``ZeroWeights``. They change with every step.
  ///
  /// - Parameter model: that was calibrated, whose weights have not moved.
  package func source(_ model: LanguageModel) -> any WeightSource {
    let scores = LiveWeights(sums)
    return ranking == .snip ? ProductWeights(scores, LiveWeights(model)) : scores
  }

  private static func wide(_ dtype: DType) -> DType { dtype == .float64 ? .float64 : .float32 }

  private static func held(_ tensors: inout [String: Tensor], of parameter: Parameter) throws -> Tensor {
    if let tensor = tensors[parameter.name] { return tensor }
    let value = parameter.value
    let fresh = try Tensor.zeros(value.shape, wide(value.dtype), on: value.device)
    tensors[parameter.name] = fresh
    return fresh
  }
}

/// Products of two sources' values, computed when they are read.
struct ProductWeights: WeightSource {
  private let first: any WeightSource
  private let second: any WeightSource

  init(_ first: any WeightSource, _ second: any WeightSource) {
    self.first = first
    self.second = second
  }

  func shape(of name: String) throws -> [Int] { try first.shape(of: name) }

  func readFloats(of name: String, range: Range<Int>, into buffer: UnsafeMutableBufferPointer<Float>) throws {
    try first.readFloats(of: name, range: range, into: buffer)
    try withUnsafeTemporaryAllocation(of: Float.self, capacity: range.count) { scratch in
      try second.withFloats(of: name, range: range, scratch: scratch) { factors in
        for index in 0..<range.count { buffer[index] *= factors[index] }
      }
    }
  }
}
