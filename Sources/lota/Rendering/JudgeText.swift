import Evaluation
import Foundation
import Reports

/// A judgement as lines of text.
enum JudgeText {
  static func render(_ result: JudgeResult) -> String {
    var lines = [
      ("judge", result.judge), ("judged", "\(result.judged) of \(result.items) answers"),
      ("win rate", rate(result.winRate)), ("at equal length", rate(result.lengthControlledWinRate)),
      (
        "length",
        String(
          format: "%.0f characters on average, reference %.0f", result.meanAnswerLength, result.meanReferenceLength)
      ),
    ]
    if let first = result.firstPreferred {
      lines.append(("order", "what stood first is preferred in \(NumberText.percent(first))"))
    }
    let left = [("malformed", result.malformed), ("empty", result.empty), ("unanswered", result.unanswered)]
      .filter { $0.1 > 0 }
    if !left.isEmpty { lines.append(("unusable", left.map { "\($0.1) \($0.0)" }.joined(separator: ", "))) }
    if result.unanswered > 0 { lines.append(("", "run the same command again to ask what got no answer")) }
    return lines.map { $0.0.rightPadded(to: 17) + $0.1 }.joined(separator: "\n")
  }

  private static func rate(_ rate: JudgeResult.Rate?) -> String {
    guard let rate else { return "no verdict" }
    return
      "\(NumberText.percent(rate.value))  [\(NumberText.percent(rate.low)), \(NumberText.percent(rate.high))]  (\(rate.interval))"
  }
}
