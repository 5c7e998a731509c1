package import Tickets
internal import Torch

/// One look at the ticket during calibration.
public struct TicketCheck: Codable, Equatable, Sendable {
  /// Calibration steps done.
  public let step: Int
  /// Share of its weights that the ticket before it had too; nil for the first.
  public let overlap: Double?
  /// To select it.
  public let seconds: Double
}

/// What came of a calibration that ends by itself.
public struct SettlingReport: Codable, Equatable, Sendable {
  public let stopping: CalibrationStopping
  /// That calibration would have had.
  public let plannedSteps: Int
  public internal(set) var steps: Int
  public internal(set) var checks: [TicketCheck]
  /// Whether it ended because its ticket settled.
  public internal(set) var isSettled: Bool

  /// Share of the planned steps that were not needed.
  public var savedShare: Double { plannedSteps == 0 ? 0 : 1 - Double(steps) / Double(plannedSteps) }
  /// All checks together.
  public var checkSeconds: Double { checks.reduce(0) { $0 + $1.seconds } }
}

/// Takes the ticket that calibration leads to now and then, exactly as extraction does, and sees whether it settles.
package final class SettlingMonitor {
  package private(set) var report: SettlingReport
  private let select: () throws -> Mask
  private var last: Mask?
  private let clock = ContinuousClock()

  /// - Parameter select: the ticket as it would be extracted now.
  package init(_ stopping: CalibrationStopping, plannedSteps: Int, select: @escaping () throws -> Mask) {
    report = SettlingReport(stopping: stopping, plannedSteps: plannedSteps, steps: 0, checks: [], isSettled: false)
    self.select = select
  }

  /// What the next look compares with.
  package func savedTensors() throws -> [SavedTensor] {
    try last?.entries.map { entry in
      SavedTensor(Self.savedName(entry.name), try Tensor.from(entry.bits.words.map(Int64.init(bitPattern:))))
    } ?? []
  }

  /// - Parameter shapes: of the model's tensors.
  package func restore(_ report: SettlingReport, _ saved: SavedTensors, shapes: [String: [Int]]) throws {
    self.report = report
    let entries = try shapes.compactMap { name, shape -> Mask.Entry? in
      guard let words = try saved.tensor(Self.savedName(name), on: .cpu) else { return nil }
      let bits = BitMask(
        count: shape.reduce(1, *), words: try words.values(as: Int64.self).map(UInt64.init(bitPattern:)))
      return Mask.Entry(name: name, shape: shape, bits: bits)
    }
    last = entries.isEmpty ? nil : try Mask(entries: entries)
  }

  private static func savedName(_ tensor: String) -> String { "ticket/\(tensor)" }

  /// After a step, counted from one. Returns the overlap, where there was a ticket to compare with.
  ///
  /// While too few weights have changed for a ticket there is none, which is no error: calibration goes on.
  package func check(after step: Int) throws -> Double? {
    report.steps = step
    guard step % report.stopping.interval == 0, step < report.plannedSteps else { return nil }
    let start = clock.now
    let mask: Mask?
    do {
      mask = try select()
    } catch let error as TicketsError where error.isLackOfChanges {
      mask = nil
    }
    let overlap = mask.flatMap { mask in last.map { mask.share(in: $0) } }
    last = mask
    report.checks.append(TicketCheck(step: step, overlap: overlap, seconds: (clock.now - start) / .seconds(1)))
    report.isSettled = overlap.map { $0 >= report.stopping.overlap } ?? false
    return overlap
  }
}

extension Mask {
  /// Share of its weights that another has too; 1 for a mask of none.
  fileprivate func share(in other: Mask) -> Double {
    keptCount == 0 ? 1 : Double(sharedCount(with: other)) / Double(keptCount)
  }
}

extension TicketsError {
  fileprivate var isLackOfChanges: Bool {
    switch self {
    case .fewerChangedThanRequested: true
    case .inTensor(_, let error): error.isLackOfChanges
    default: false
    }
  }
}
