import Adaptation
import Decoder
import Foundation
import Reports

/// A plan as a page of text.
enum PlanText {
  static func render(_ plan: TrainingPlan) -> String {
    ([facts(plan), memory(plan), time(plan)] as [String]).joined(separator: "\n\n")
  }

  private static func facts(_ plan: TrainingPlan) -> String {
    var lines = [
      row("model", "\(NumberText.grouped(plan.parameters)) weights in \(plan.dtype) on \(plan.device)"),
      row("rows", "\(NumberText.grouped(plan.rows)), \(plan.batchSize) a step"),
      row(
        "at once",
        "up to \(NumberText.grouped(plan.passTokens)) tokens"
          + (plan.passesAStep > 1 ? ", up to \(plan.passesAStep) backward passes a step" : "")
          + (plan.activations == .recompute ? ", activations recomputed" : "")),
    ]
    if let note = plan.note { lines.append(row("note", note)) }
    if let ticket = plan.ticket {
      lines.append(
        row("ticket", "\(NumberText.grouped(ticket)) of \(NumberText.grouped(plan.scoped)) scoped weights"))
      if let excluded = plan.excluded {
        lines.append(
          row(
            "excluded",
            "\(NumberText.grouped(excluded)) belong to earlier tickets, \(NumberText.grouped(plan.scoped - excluded)) are free"
          ))
      }
      lines.append(row("adapter", "\(NumberText.bytes(plan.resultBytes)) on disk"))
    } else if let lowRank = plan.lowRank {
      lines.append(row("low rank", "\(NumberText.grouped(lowRank)) numbers in matrices beside the weights"))
      lines.append(row("adapter", "\(NumberText.bytes(plan.resultBytes)) on disk"))
    } else {
      lines.append(row("result", "\(NumberText.bytes(plan.resultBytes)) on disk"))
    }
    return lines.joined(separator: "\n")
  }

  private static func memory(_ plan: TrainingPlan) -> String {
    let phases = plan.memory.phases.map { phase in
      let parts = phase.parts.map { "  " + $0.name.rightPadded(to: 46) + NumberText.bytes($0.bytes).leftPadded(to: 10) }
      return ([phase.name.rightPadded(to: 48) + NumberText.bytes(phase.bytes).leftPadded(to: 10)] + parts)
        .joined(separator: "\n")
    }
    let place = plan.device == "cpu" ? "" : " on \(plan.device), host memory not counted"
    let peak = ("peak" + place).rightPadded(to: 48) + NumberText.bytes(plan.memory.peakBytes).leftPadded(to: 10)
    return (phases + [peak]).joined(separator: "\n")
  }

  private static func time(_ plan: TrainingPlan) -> String {
    var phases = plan.phases.map { phase in
      row(
        phase.name,
        "\(NumberText.grouped(phase.steps)) steps, \(NumberText.grouped(phase.tokens)) tokens, "
          + cost(phase.operations, phase.seconds))
    }
    if let validation = plan.validation {
      phases.append(
        row(
          "validation",
          "\(NumberText.grouped(validation.scores)) times \(NumberText.grouped(validation.rows)) rows, "
            + "\(NumberText.grouped(validation.tokens)) tokens, " + cost(validation.operations, validation.seconds)))
    }
    guard let rate = plan.rate, let seconds = plan.seconds else {
      let advice = "not estimated: \(plan.device) is not available here; give the rate of its products with --flops"
      return (phases + [row("time", advice)]).joined(separator: "\n")
    }
    let products = String(format: "%.4g", rate.productOperationsPerSecond / 1e9)
    let share = NumberText.percent(ComputeRate.stepEfficiency, decimals: 0)
    return
      (phases + [
        row("time", "about \(NumberText.duration(seconds)), at \(share) of the products' \(products) GFLOP/s")
      ]).joined(separator: "\n")
  }

  private static func cost(_ operations: Double, _ seconds: Double?) -> String {
    String(format: "%.3g TFLOP", operations / 1e12) + (seconds.map { ", about \(NumberText.duration($0))" } ?? "")
  }

  private static func row(_ name: String, _ value: String) -> String { name.rightPadded(to: 13) + value }
}
