import Foundation
import Reports
import Tickets

/// What `mask capacity` reports.
struct CapacityFigures: Encodable {
  /// Another ticket.
  struct Ticket: Encodable {
    let sparsity: Double
    let quota: String
    let requested: Int
    let fits: Bool
    /// How many such tickets, one after the other, share no weight; by the whole count alone.
    let tickets: Int
    /// With a quota for each tensor: those that have too little left.
    let shortages: [Shortage]
  }

  struct Shortage: Encodable {
    let tensor: String
    let requested: Int
    let free: Int
  }

  let scoped: Int
  let taken: Int
  let free: Int
  let ticket: Ticket?
  /// Free share of each matrix.
  let layers: [DensityTable.Row]
  /// Free share of tensors outside the layers' projections.
  let others: [String: Double]

  init(_ capacity: TicketCapacity, sparsity: Double?, quota: TicketSelection.Quota) throws {
    scoped = capacity.free.total.scoped
    taken = capacity.taken
    free = capacity.free.total.kept
    layers = DensityTable.rows(capacity.free)
    others = DensityTable.others(capacity.free)
    ticket = try sparsity.map { sparsity in
      let requested = try capacity.requested(sparsity, quota)
      let shortages = quota == .perTensor ? try capacity.shortages(sparsity) : []
      let free = capacity.free.total.kept
      return Ticket(
        sparsity: sparsity, quota: quota.rawValue, requested: requested, fits: requested <= free && shortages.isEmpty,
        tickets: requested == 0 ? 0 : free / requested,
        shortages: shortages.map { Shortage(tensor: $0.tensor, requested: $0.requested, free: $0.free) })
    }
  }

  var text: String {
    var lines = [
      "scoped  \(NumberText.grouped(scoped))", "taken   \(NumberText.grouped(taken))",
      "free    \(NumberText.grouped(free)) (\(NumberText.percent(Double(free) / Double(max(1, scoped)), decimals: 2)))",
    ]
    if let ticket {
      let verdict =
        ticket.fits
        ? "fits, \(ticket.tickets) of its size do"
        : ticket.shortages.first.map {
          "does not fit: \($0.tensor) needs \($0.requested) and has \($0.free) left"
            + (ticket.shortages.count > 1 ? ", and \(ticket.shortages.count - 1) more" : "")
        } ?? "does not fit: \(NumberText.grouped(ticket.requested - free)) weights are missing"
      lines.append("ticket  \(NumberText.grouped(ticket.requested)) (sparsity \(ticket.sparsity)) \(verdict)")
    }
    lines += DensityTable.lines(others: others, of: " free")
    return (lines + ["", DensityTable.text(layers)]).joined(separator: "\n")
  }
}
