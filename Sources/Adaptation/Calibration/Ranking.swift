/// What weights are ranked by after calibration. With all but `update`, calibration leaves the weights where they are.
///
/// w is the base weight; g_t the gradient of step t's objective, all its micro-batches added up, neither clipped nor scaled by
/// a learning rate.
public enum Ranking: String, Codable, Sendable, CaseIterable {
  /// `|w_T - w|`: how far T steps of training moved it (the paper's).
  case update
  /// `|sum g_t|`
  case gradient
  /// `|w * sum g_t|`: connection sensitivity (Lee et al. 2019, SNIP), over all calibration steps.
  case snip
  /// `sum g_t^2`: the empirical Fisher information's diagonal, a step's batch being one observation.
  case squaredGradient = "squared-gradient"

  var movesWeights: Bool { self == .update }
}

/// When calibration ends by itself: once the ticket that it leads to settles.
public struct CalibrationStopping: Codable, Equatable, Sendable {
  public static let defaultOverlap = 0.93
  public static let defaultInterval = 5

  /// Share of a ticket's weights that the next one, ``interval`` steps later, has too: from this on calibration ends.
  public var overlap = Self.defaultOverlap
  /// Steps between two looks at the ticket.
  public var interval = Self.defaultInterval

  public init() {}
}
