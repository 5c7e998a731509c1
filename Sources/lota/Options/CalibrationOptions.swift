public import Adaptation
public import ArgumentParser
public import Tickets

/// Which weights a ticket may have, and how many of each tensor.
struct ScopeOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Weights that a ticket may have, between commas: projections, embeddings, head, norms. Default: projections.",
      valueName: "parts"))
  var scope: ScopeParts?

  @Option(
    help: """
      global: all weights in scope are ranked together; per-tensor: each tensor keeps its own share, the nearest whole number. \
      Default: global.
      """)
  var quota: TicketSelection.Quota?

  var given: [String] { [("--scope", scope != nil), ("--quota", quota != nil)].filter(\.1).map(\.0) }

  func apply(to configuration: inout RunConfiguration) {
    if let scope { configuration.scope = scope }
    if let quota { configuration.quota = quota }
  }
}

/// What calibration ranks weights by, and when it ends. Defaults stand in ``CalibrationStopping`` alone.
struct CalibrationOptions: ParsableArguments {
  @Option(
    help: """
      update: how far calibration moved a weight; with the others it stays: gradient, snip (weight times gradient), \
      squared-gradient. Default: update.
      """)
  var rankBy: Ranking?

  @Flag(help: "End calibration once its ticket settles: as --stop-overlap 0.93 --stop-every 5.")
  var selfStopping = false

  @Option(help: "End calibration once two successive tickets share this fraction of their weights. Default: 0.93.")
  var stopOverlap: Double?

  @Option(help: "Steps from one such ticket to the next. Default: 5.")
  var stopEvery: Int?

  @OptionGroup var scope: ScopeOptions

  /// Names of the options given.
  var given: [String] {
    [
      ("--rank-by", rankBy != nil), ("--self-stopping", selfStopping), ("--stop-overlap", stopOverlap != nil),
      ("--stop-every", stopEvery != nil),
    ].filter(\.1).map(\.0) + scope.given
  }

  func validate() throws {
    if let stopOverlap, !(stopOverlap > 0 && stopOverlap <= 1) {
      throw ValidationError("--stop-overlap is \(stopOverlap): use above 0 and at most 1")
    }
    if let stopEvery, stopEvery < 1 { throw ValidationError("--stop-every is \(stopEvery): use at least 1") }
    if stopEvery != nil, !selfStopping, stopOverlap == nil {
      throw ValidationError("--stop-every needs --self-stopping or --stop-overlap")
    }
  }

  func apply(to configuration: inout RunConfiguration) {
    configuration.rankBy = rankBy
    scope.apply(to: &configuration)
    guard selfStopping || stopOverlap != nil else { return }
    var stopping = CalibrationStopping()
    if let stopOverlap { stopping.overlap = stopOverlap }
    if let stopEvery { stopping.interval = stopEvery }
    configuration.stopping = stopping
  }
}

/// Sparsities of tickets that find each other in turn.
struct IteratedSparsities: ExpressibleByArgument {
  let values: [Double]

  /// Two numbers or more, ascending, in [0, 1).
  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    values = parts.compactMap { Double($0) }
    guard values.count == parts.count, values.count >= 2, values.allSatisfy({ $0 >= 0 && $0 < 1 }),
      zip(values, values.dropFirst()).allSatisfy({ $0 < $1 })
    else { return nil }
  }
}

extension ScopeParts: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

extension Ranking: ExpressibleByArgument {}
extension TicketSelection.Quota: ExpressibleByArgument {}
