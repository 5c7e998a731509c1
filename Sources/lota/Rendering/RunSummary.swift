import Adaptation
import Foundation
import Reports
import Tickets

/// What `train` reports at its end; also writes the run's report.html.
struct RunSummary: Encodable {
  let run: String
  let adapter: String?
  let model: String?
  let report: String
  let trained: Int?
  let scoped: Int?
  let finalLoss: Double?
  /// What is kept of the best held-out score.
  let best: Best?
  /// Left out because their numbers were not finite.
  let skippedSteps: Int
  /// Where calibration was to end by itself.
  let calibration: Settling?
  let seconds: [String: Double]
  let tokensPerSecond: [String: Double]
  let peakMemoryBytes: Int

  init(_ outcome: RunOutcome, configuration: RunConfiguration, directory: RunDirectory) throws {
    run = directory.path
    adapter = outcome.adapter?.path ?? outcome.lora?.path
    model = outcome.modelPath
    report = directory.reportPath
    best = outcome.best.map { Best($0.result, path: $0.path) }
    skippedSteps = outcome.records.count { $0.skipped != nil }
    trained = outcome.mask?.keptCount ?? outcome.lora?.parameterCount
    scoped = outcome.mask?.scopedCount
    finalLoss = outcome.records.last { $0.loss.isFinite }?.loss
    calibration = outcome.settling.map(Settling.init)
    seconds = Dictionary(uniqueKeysWithValues: outcome.seconds.map { ($0.part, $0.seconds) })
    var speeds: [String: Double] = [:]
    for phase in Phase.allCases {
      let records = outcome.records.filter { $0.phase == phase }
      let time = records.reduce(0) { $0 + $1.seconds }
      if time > 0 { speeds[phase.rawValue] = Double(records.reduce(0) { $0 + $1.tokens }) / time }
    }
    tokensPerSecond = speeds
    peakMemoryBytes = outcome.peakMemoryBytes
    try RunReport(outcome, configuration: configuration, title: "Run \(directory.path)").write(to: report)
  }

  /// The best score of the first file of held-out rows.
  struct Best: Encodable {
    let path: String
    let step: Int?
    let tokenLoss: Double?

    init(_ result: BestResult, path: String) {
      self.path = path
      step = result.step
      tokenLoss = result.tokenLoss
    }
  }

  /// How calibration ended by itself.
  struct Settling: Encodable {
    let settled: Bool
    let plannedSteps: Int
    let steps: Int
    let savedSteps: Int
    let savedShare: Double
    let stopOverlap: Double
    let stopEvery: Int
    let checks: [TicketCheck]
    let checkSeconds: Double

    init(_ report: SettlingReport) {
      settled = report.isSettled
      plannedSteps = report.plannedSteps
      steps = report.steps
      savedSteps = report.plannedSteps - report.steps
      savedShare = report.savedShare
      stopOverlap = report.stopping.overlap
      stopEvery = report.stopping.interval
      checks = report.checks
      checkSeconds = report.checkSeconds
    }

    var text: String {
      let saved = settled ? ", \(NumberText.percent(savedShare, decimals: 0)) saved" : ", its ticket did not settle"
      return "\(steps) of \(plannedSteps) steps\(saved)"
    }
  }

  var text: String {
    var lines: [String] = []
    if let adapter { lines.append("adapter  \(adapter)") }
    if let model { lines.append("model    \(model)") }
    if let best, let step = best.step, let loss = best.tokenLoss {
      lines.append("best     \(best.path) (step \(step), held-out loss \(String(format: "%.4f", loss)) a label)")
    }
    lines.append("report   \(report)")
    if let trained, let scoped { lines.append("trained  \(trained) of \(scoped) scoped weights") }
    if let trained, scoped == nil { lines.append("trained  \(trained) numbers in low-rank matrices") }
    if let calibration { lines.append("calibration  \(calibration.text)") }
    if skippedSteps > 0 { lines.append("skipped  \(skippedSteps) steps whose numbers were not finite") }
    lines.append("memory   \(NumberText.bytes(peakMemoryBytes)) at the peak")
    return lines.joined(separator: "\n")
  }
}
