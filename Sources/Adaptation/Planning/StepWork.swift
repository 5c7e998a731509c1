package import Checkpoints
package import Decoder
internal import Tickets
internal import Torch

/// Arithmetic that some rows cost, each trained on once: multiplications and additions that cannot be left out, one each.
///
/// P weights in the layers' matrices, of which P_t lie in trained ones; N tokens; a token pair is a query and a key that it
/// sees (T (T + 1) / 2 for a row of T tokens without a window).
///
/// | part | forward | backward |
/// |---|---|---|
/// | matrices | 2 P N | 2 P N for the inputs' gradients, 2 P_t N for the weights', or a share of that |
/// | attention, H heads of size E, a layer | 4 H E a pair | 8 H E a pair |
/// | low-rank matrices of P_r numbers in all | 2 P_r N | 4 P_r N |
/// | head, V x D, a label | 2 V D | 2 V D, and 2 V D where it is trained |
package struct StepWork: Equatable {
  package private(set) var tokens = 0
  package private(set) var labels = 0
  package private(set) var pairs = 0

  package init() {}

  package mutating func add(_ row: RowSize, window: Int?) {
    tokens += row.tokens
    labels += row.labels
    let seen = min(row.tokens, window ?? .max)
    pairs += seen * (seen + 1) / 2 + (row.tokens - seen) * seen
  }

  /// Floating-point operations of training all of it in one method.
  ///
  /// - Parameters:
  ///   - activations: with `recompute`, what is computed again counts too; a rate of useful work leaves it out.
  ///   - weightShare: how much of the trained matrices' gradients is computed: 1 as whole products, less for a ticket's entries
  ///     alone.
  ///   - lowRankCount: P_r.
  ///   - trains: whether the matrix of a name gets a gradient.
  package func operations(
    _ model: ModelConfiguration, activations: ActivationPolicy = .keep, weightShare: Double = 1,
    lowRankCount: Int = 0, trains: (String) -> Bool
  ) throws -> Double {
    let matrices = try Self.matrices(of: model)
    let all = matrices.reduce(0) { $0 + $1.elementCount }
    let trained = matrices.filter { trains($0.name) }.reduce(0) { $0 + $1.elementCount }
    var aToken = Double(4 * all + 6 * lowRankCount) + weightShare * Double(2 * trained)
    var aPair = Double(12 * model.headCount * model.headSize * model.layerCount)
    if activations == .recompute {
      // All but the down projections, in all layers but the last.
      let share = Double(model.layerCount - 1) / Double(model.layerCount)
      let down = model.intermediateSize * model.hiddenSize * model.layerCount
      aToken += 2 * share * Double(all - down)
      aPair *= 1 + share * 4 / 12
    }
    let headName = model.tiesEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"
    let aLabel = (trains(headName) ? 6 : 4) * Double(model.vocabularySize) * Double(model.hiddenSize)
    return Double(tokens) * aToken + Double(pairs) * aPair + Double(labels) * aLabel
  }

  /// Floating-point operations of scoring all of it: the forward pass alone.
  package func forwardOperations(_ model: ModelConfiguration, lowRankCount: Int = 0) throws -> Double {
    let all = try Self.matrices(of: model).reduce(0) { $0 + $1.elementCount }
    let aPair = 4 * model.headCount * model.headSize * model.layerCount
    let aLabel = 2 * Double(model.vocabularySize) * Double(model.hiddenSize)
    return 2 * Double(tokens) * Double(all + lowRankCount) + Double(pairs) * Double(aPair) + Double(labels) * aLabel
  }

  private static func matrices(of model: ModelConfiguration) throws -> [TensorDescription] {
    try model.expectedTensors().filter { TicketScope.Weight(name: $0.name) != nil }
  }
}
