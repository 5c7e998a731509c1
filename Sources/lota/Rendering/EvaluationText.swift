import Evaluation
import Foundation
import Reports

/// The figures of an evaluation, as `--json` prints them.
struct EvaluationFigures: Encodable {
  let task: String
  let rows: Int
  let metrics: [Figure]
  /// Of answers that a model gave.
  let work: EvaluationWork?

  init(_ result: EvaluationResult) {
    task = result.task.name
    rows = result.answers.count
    metrics = result.figures
    work = result.work
  }
}

/// An evaluation as lines of text.
enum EvaluationText {
  static func render(_ result: EvaluationResult) -> String {
    let width = max(4, result.figures.map(\.metric.count).max() ?? 0)
    var lines = [label("task", width) + result.task.name, label("rows", width) + "\(result.answers.count)"]
    lines += result.figures.map { figure in
      let count = figure.successes.map { "\($0)/\(figure.n)" } ?? "\(figure.n) rows"
      return label(figure.metric, width) + value(figure) + "  " + count + "  (\(figure.interval.rawValue))"
    }
    if let work = result.work { lines.append(label("time", width) + time(work)) }
    return lines.joined(separator: "\n")
  }

  /// `gsm8k  12/300 rows  412 tokens/s  3 min 4 s left`
  static func progress(_ work: EvaluationWork, task: TaskRecipe) -> String {
    var parts = [task.name, "\(work.done)/\(work.total) rows"]
    if work.generatedTokens > 0, work.seconds > 0 {
      parts.append(String(format: "%.0f tokens/s", Double(work.generatedTokens) / work.seconds))
    }
    if let left = work.secondsLeft, work.done < work.total { parts.append("\(NumberText.duration(left)) left") }
    return parts.joined(separator: "  ")
  }

  private static func time(_ work: EvaluationWork) -> String {
    let resumed = work.resumed > 0 ? "  (\(work.resumed) rows were there)" : ""
    return NumberText.duration(work.seconds) + "  \(work.promptTokens) prompt tokens, \(work.generatedTokens) written"
      + resumed
  }

  static func render(_ comparison: RunComparison) -> String {
    let lines = [
      ("metric", comparison.metric), ("items", "\(comparison.n)"),
      ("first", String(format: "%.4f", comparison.first)), ("second", String(format: "%.4f", comparison.second)),
      (
        "difference",
        String(format: "%+.4f  [%+.4f, %+.4f]", comparison.difference, comparison.low, comparison.high)
      ),
      ("better", "first on \(comparison.onlyFirst) items, second on \(comparison.onlySecond)"),
      ("p", String(format: "%.4g", comparison.p) + "  (\(comparison.test.rawValue), two-sided)"),
    ]
    return lines.map { label($0.0, 10) + $0.1 }.joined(separator: "\n")
  }

  private static func value(_ figure: Figure) -> String {
    guard figure.successes == nil else {
      return
        "\(NumberText.percent(figure.value))  [\(NumberText.percent(figure.low)), \(NumberText.percent(figure.high))]"
    }
    return String(format: "%.4f  [%.4f, %.4f]", figure.value, figure.low, figure.high)
  }

  private static func label(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count) + 2)
  }
}
