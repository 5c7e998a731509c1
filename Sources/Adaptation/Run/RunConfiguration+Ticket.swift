internal import Tickets

extension RunConfiguration {
  /// What calibration ranks weights by.
  var ranking: Ranking { rankBy ?? (calibration == .steps(1) ? .gradient : .update) }

  /// Of every ticket that the run trains, in order.
  var sparsities: [Double] { iterations + [sparsity] }

  /// Shapes of those of a model's tensors that are in scope.
  ///
  /// - Throws: `TicketsError` when the model has none.
  func scopedShapes(_ shapes: [String: [Int]]) throws -> [String: [Int]] {
    Dictionary(uniqueKeysWithValues: try scope.names(in: shapes.keys).map { ($0, shapes[$0] ?? []) })
  }

  /// Numbers of weights in the tickets that the run will find, in order.
  ///
  /// - Parameter shapes: of all of the model's tensors.
  /// - Throws: `TicketsError`: `capacityTooSmall` when exclusion leaves too few.
  func ticketCounts(shapes: [String: [Int]], excluded: Mask?) throws -> [Int] {
    let scoped = try scopedShapes(shapes)
    return try sparsities.map {
      try TicketSelection.count(.sparsity($0), shapes: scoped, quota: quota, excluding: excluded)
    }
  }

  /// Checks what decides how a ticket is found.
  ///
  /// - Throws: ``TrainingError/invalidOption(name:value:expected:)``
  func validateTicket() throws {
    func refuse(_ name: String, _ value: String, _ expected: String) -> TrainingError {
      .invalidOption(name: name, value: value, expected: expected)
    }
    let choices: [(name: String, value: String?)] = [
      ("rank-by", rankBy?.rawValue), ("quota", quota == .global ? nil : quota.rawValue),
      ("scope", scope == .projections ? nil : scope.text),
      ("iterate", iterations.isEmpty ? nil : sparsities.map { "\($0)" }.joined(separator: ",")),
      ("stop-overlap", stopping.map { "\($0.overlap)" }),
    ]
    if mask != nil, let (name, value) = choices.first(where: { $0.value != nil }) {
      throw refuse(name, value ?? "", "left out with a mask, whose ticket is found already")
    }
    guard !scope.parts.isEmpty else { throw refuse("scope", "empty", "one part at least") }
    if case .steps(0) = calibration,
      let (name, value) = choices.first(where: { ["rank-by", "stop-overlap"].contains($0.name) && $0.value != nil })
    {
      throw refuse(name, value ?? "", "left out with 0 calibration steps, whose ticket is drawn at random")
    }
    if case .steps(1) = calibration {
      if rankBy == .update, training.optimizer != .sgd {
        throw refuse(
          "rank-by", "update",
          "gradient, snip or squared-gradient after one calibration step, which moves all weights alike")
      }
      if let stopping { throw refuse("stop-overlap", "\(stopping.overlap)", "left out with a single calibration step") }
    }
    if let stopping {
      guard stopping.overlap > 0, stopping.overlap <= 1 else {
        throw refuse("stop-overlap", "\(stopping.overlap)", "above 0 and at most 1")
      }
      guard stopping.interval >= 1 else { throw refuse("stop-every", "\(stopping.interval)", "at least 1") }
    }
    for (earlier, later) in zip(sparsities, sparsities.dropFirst()) {
      guard earlier >= 0, earlier < later else {
        throw refuse(
          "iterate", sparsities.map { "\($0)" }.joined(separator: ","),
          "sparsities in ascending order, from 0 to below 1")
      }
    }
  }
}
