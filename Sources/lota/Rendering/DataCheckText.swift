import Adaptation
import Foundation

/// A check of rows as lines of text.
enum DataCheckText {
  static func render(_ check: DataCheck) -> String {
    let share = { (count: Int) in
      check.usable == 0 ? "none" : "\(count) of \(check.usable) rows"
    }
    let lengths = check.lengths
    var lines = [
      "rows    \(check.rows), usable \(check.usable)" + (check.format.map { ", format \($0)" } ?? ""),
      "tokens  \(check.tokens), of which learned \(check.labels)",
      "end     learned in \(share(check.endLearned)); begins with the beginning token: \(share(check.beginningSet))",
    ]
    if check.usable > 0 {
      lines.append(
        "length  \(lengths.shortest) to \(lengths.longest), median \(lengths.median), "
          + "95 % at most \(lengths.percentile95); limit \(check.maximumLength)")
      lines += histogram(lengths)
    }
    lines += check.findings.map { finding in
      "\(finding.severity.rawValue.rightPadded(to: 8))" + summary(finding)
        + (finding.detail.map { "\n        \($0)" } ?? "")
    }
    if check.findings.isEmpty { lines.append("nothing to complain about") }
    return lines.joined(separator: "\n")
  }

  /// `over-length: rows 3, 7-9: longer than ...`
  static func summary(_ finding: DataFinding) -> String {
    let rows = finding.rows.isEmpty ? "" : ": \(list(finding.rows))"
    return "\(finding.kind.rawValue)\(rows): \(finding.explanation)"
  }

  /// Runs of numbers as ranges, the first twelve of them.
  private static func list(_ rows: [Int]) -> String {
    var ranges: [ClosedRange<Int>] = []
    for row in rows {
      if let last = ranges.last, last.upperBound + 1 == row {
        ranges[ranges.count - 1] = last.lowerBound...row
      } else {
        ranges.append(row...row)
      }
    }
    let shown = ranges.prefix(12)
    let text = shown.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
    let rest = rows.count - shown.reduce(0) { $0 + $1.count }
    return (rows.count == 1 ? "row " : "\(rows.count) rows, ") + text.joined(separator: ", ")
      + (rest > 0 ? " and \(rest) more" : "")
  }

  private static func histogram(_ lengths: LengthHistogram) -> [String] {
    let most = max(1, lengths.bins.map(\.rows).max() ?? 1)
    return lengths.bins.map { bin in
      let bar = String(repeating: "#", count: (bin.rows * 40 + most - 1) / most)
      let range = "\(bin.from)-\(bin.through)"
      return "        " + range.rightPadded(to: 14) + "\(bin.rows)".rightPadded(to: 8) + bar
    }
  }
}

/// A row's tokens as a line of text.
enum TokenText {
  static func render(_ view: TokenView, isColoured: Bool) -> String {
    let head = "row \(view.row): \(view.tokens.count) tokens, \(view.tokens.count { $0.isLabel }) learned\n"
    return head + (isColoured ? coloured(view.tokens) : bracketed(view.tokens))
  }

  private static func bracketed(_ tokens: [TokenView.Token]) -> String {
    var text = ""
    var followsPlain = false
    for token in tokens {
      let shown = visible(token.text, escaping: "[]|\\")
      text += token.isLabel ? "[\(shown)]" : (followsPlain ? "|" : "") + shown
      followsPlain = !token.isLabel
    }
    return text
  }

  /// Green for what is learned, grey for what is not; every second token underlined.
  private static func coloured(_ tokens: [TokenView.Token]) -> String {
    tokens.enumerated().map { index, token in
      let style = (token.isLabel ? "32" : "90") + (index % 2 == 1 ? ";4" : "")
      return "\u{1B}[\(style)m\(visible(token.text, escaping: "\\"))\u{1B}[0m"
    }.joined()
  }

  /// Control characters, and others that a terminal would act on, written out.
  private static func visible(_ text: String, escaping special: String) -> String {
    guard !text.isEmpty else { return "…" }
    var shown = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n": shown += "\\n"
      case "\r": shown += "\\r"
      case "\t": shown += "\\t"
      case _ where special.unicodeScalars.contains(scalar): shown += "\\\(scalar)"
      case _ where [.control, .format, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory):
        shown += "\\u{\(String(scalar.value, radix: 16))}"
      default: shown.unicodeScalars.append(scalar)
      }
    }
    return shown
  }
}
