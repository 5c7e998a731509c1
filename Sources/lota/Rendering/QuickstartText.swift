import Adaptation
import Foundation
import Primitives
import Reports

/// The quickstart's result as a page of text.
enum QuickstartText {
  static func render(_ result: QuickstartResult) -> String {
    ([scores(result), samples(result), facts(result)] as [String]).joined(separator: "\n\n")
  }

  private static func scores(_ result: QuickstartResult) -> String {
    let rows = result.scores.map { score in
      let interval = WilsonInterval(successes: score.exact, trials: score.total)
      return score.name.rightPadded(to: 18) + String(format: "%8.3f", score.tokenLoss ?? .nan)
        + "\(score.exact)/\(score.total)".leftPadded(to: 12)
        + "\(NumberText.percent(Double(score.exact) / Double(max(1, score.total))))".leftPadded(to: 10)
        + "   [\(NumberText.percent(interval.low)), \(NumberText.percent(interval.high))]"
    }
    let header =
      "held-out rows".rightPadded(to: 18) + "    loss" + "exact".leftPadded(to: 12) + "".leftPadded(to: 10)
      + "   95 % interval"
    return ([header] + rows).joined(separator: "\n")
  }

  private static func samples(_ result: QuickstartResult) -> String {
    result.samples.map { sample in
      """
      \(sample.prompt)
        expected  \(sample.expected)
        before    \(sample.before)
        after     \(sample.after)\(sample.afterIsExact ? "  (exact)" : "")
      """
    }.joined(separator: "\n\n")
  }

  private static func facts(_ result: QuickstartResult) -> String {
    var lines = result.sizes.map { $0.name.rightPadded(to: 18) + NumberText.bytes($0.bytes) }
    lines += result.durations.map { duration in
      let speed = duration.tokens.map { String(format: ", %.0f tokens/s", Double($0) / duration.seconds) } ?? ""
      return duration.name.rightPadded(to: 18) + NumberText.duration(duration.seconds) + speed
    }
    lines += [
      "peak memory".rightPadded(to: 18) + NumberText.bytes(result.peakMemoryBytes),
      "total".rightPadded(to: 18) + NumberText.duration(result.totalSeconds),
      "adapter".rightPadded(to: 18) + result.adapterPath, "report".rightPadded(to: 18) + result.reportPath,
    ]
    return lines.joined(separator: "\n")
  }
}
