/// A part of a run with steps of its own: calibration, each ticket that only finds the next, and what trains the result.
struct RunPart: Codable, Equatable, Comparable, Sendable {
  let phase: Phase
  /// Counted from one, in the phase `iteration`; else 0.
  let iteration: Int

  init(_ phase: Phase, iteration: Int? = nil) {
    self.phase = phase
    self.iteration = iteration ?? 0
  }

  init(of record: MetricsRecord) { self.init(record.phase, iteration: record.iteration) }

  /// Whether it trains what the run is for, and not only what finds a ticket.
  var trainsResult: Bool { phase == .adaptation || phase == .training }

  /// In the order of a run.
  static func < (first: RunPart, second: RunPart) -> Bool { first.place < second.place }

  private var place: (Int, Int) { (Phase.allCases.firstIndex(of: phase) ?? 0, iteration) }

  /// Sorts as the parts do.
  var fileName: String { "\(place.0)\(iteration == 0 ? "" : ".\(iteration)")-\(phase.rawValue)" }
}

/// Where a run stands after a step, beside tensors: everything that the steps to come depend on and that its files do not say.
struct RunState: Codable, Equatable, Sendable {
  static let currentVersion = 1

  var version = Self.currentVersion
  /// SHA-256 of everything that the run reads, by what it is for.
  var inputs: [String: String]
  /// Threads of the engine: sums are the same to the bit only with as many.
  var threads: Int
  var part: RunPart
  /// Steps of the part that are done.
  var step: Int
  /// Wall-clock seconds so far, a part each.
  var seconds: [PartSeconds] = []
  /// The most that any process held at once that has worked on the run so far.
  var peakMemoryBytes: Int?
  /// Of a calibration that ends by itself, once it has begun.
  var settling: SettlingReport?
  var best = BestResult()
  /// Steps of the whole run that were left out because their numbers were not finite.
  var skipped: [SkippedStep] = []

  struct PartSeconds: Codable, Equatable, Sendable {
    var part: String
    var seconds: Double
  }
}

/// A step that changed nothing, since its loss or a gradient was not finite.
public struct SkippedStep: Codable, Equatable, Sendable {
  public let phase: Phase
  /// Counted from one, within the phase.
  public let step: Int
  /// What was wrong, in one line.
  public let reason: String
}

/// The best held-out loss of a run so far.
public struct BestResult: Codable, Equatable, Sendable {
  /// Of the phase that trains the result; nil before the first score.
  public internal(set) var step: Int?
  /// Mean of `-log p` over all labels of the first file of held-out rows.
  public internal(set) var tokenLoss: Double?
  /// Scores since then that were no better.
  public internal(set) var scoresSince = 0

  /// Takes note of a score; true where it is the best so far. NaN never is.
  mutating func note(_ record: ValidationRecord) -> Bool {
    guard record.tokenLoss < tokenLoss ?? .infinity else {
      scoresSince += 1
      return false
    }
    (step, tokenLoss, scoresSince) = (record.step, record.tokenLoss, 0)
    return true
  }
}
