import Adaptation
import Foundation
import Reports
import Synchronization
import Tickets

/// Shows a run's events: one progress line on a terminal, a line now and then elsewhere.
final class RunRenderer: Sendable {
  private let lastLine = Mutex(ContinuousClock.now - .seconds(3600))
  private let meter = Mutex(ProgressMeter(stepCount: 0))

  func show(_ event: RunEvent) -> Disposition {
    switch event {
    case .data(let summary): Output.note(describe(summary))
    case .phaseBegan(let phase, let steps):
      meter.withLock { $0 = ProgressMeter(stepCount: steps) }
      Output.note("\(phase.rawValue): \(steps) steps")
    case .step(let report): show(report)
    case .phaseEnded(let phase, let seconds): Output.note("\(phase.rawValue): done in \(NumberText.duration(seconds))")
    case .note(let text): Output.note("note: " + text)
    case .extracted(let mask, let seconds):
      Output.note(
        "extraction: \(mask.keptCount) of \(mask.scopedCount) weights in the ticket, \(NumberText.duration(seconds))")
    case .validated(let records):
      for record in records {
        let loss = String(format: "%.4f a label, %.3f a row", record.tokenLoss, record.loss)
        Output.note("step \(record.step): loss \(loss) on \(record.data)")
      }
    }
    return Interruption.isPending ? .stop : .proceed
  }

  private func show(_ report: StepReport) {
    let line = meter.withLock { $0.advance(report.record).text }
    if Output.isTerminal { return Output.progress(line) }
    let isDue = lastLine.withLock { last in
      guard ContinuousClock.now - last > .seconds(10) || report.record.step == report.stepCount else { return false }
      last = .now
      return true
    }
    if isDue { Output.note(line) }
  }

  private func describe(_ summary: DataSummary) -> String {
    var text = "data: \(summary.kept) of \(summary.rows) rows, \(summary.tokens) tokens, \(summary.labels) labels"
    if summary.dropped > 0 { text += "; \(summary.dropped) too long, dropped" }
    if summary.truncated > 0 { text += "; \(summary.truncated) truncated" }
    if summary.replayed > 0 { text += "; \(summary.replayed) rows of earlier tasks mixed in" }
    return text
  }
}
