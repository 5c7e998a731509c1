import Foundation
import Reports
import Tickets

/// What `ledger` reports.
struct LedgerFigures: Encodable {
  struct Task: Encodable {
    let name: String
    let owned: Int
    /// Of all weights of the model.
    let share: Double
    let layers: [DensityTable.Row]
    /// Shares of tensors outside the layers' projections.
    let others: [String: Double]
  }

  let base: String
  let weights: Int
  let owned: Int
  let tasks: [Task]

  init(_ ledger: TicketLedger, shapes: [String: [Int]]) {
    let count = shapes.values.reduce(0) { $0 + $1.reduce(1, *) }
    base = ledger.baseFingerprint
    weights = count
    owned = ledger.tasks.reduce(0) { $0 + $1.owned }
    tasks = ledger.tasks.map { task in
      let density = task.density(shapes: shapes)
      return Task(
        name: task.name, owned: task.owned, share: Double(task.owned) / Double(max(1, count)),
        layers: DensityTable.rows(density), others: DensityTable.others(density))
    }
  }

  func text(layers: Bool) -> String {
    let width = max(4, tasks.map(\.name.count).max() ?? 0) + 2
    func line(_ name: String, _ owned: Int) -> String {
      name.rightPadded(to: width) + NumberText.grouped(owned).leftPadded(to: 15)
        + NumberText.percent(Double(owned) / Double(max(1, weights)), decimals: 2).leftPadded(to: 10)
    }
    var lines = [
      "base  \(base)", "", "task".rightPadded(to: width) + "weights".leftPadded(to: 15) + "share".leftPadded(to: 10),
    ]
    lines += tasks.map { line($0.name, $0.owned) } + [line("free", weights - owned)]
    guard layers else { return lines.joined(separator: "\n") }
    for task in tasks {
      lines += ["", task.name]
      lines += DensityTable.lines(others: task.others)
      lines.append(DensityTable.text(task.layers))
    }
    return lines.joined(separator: "\n")
  }
}
