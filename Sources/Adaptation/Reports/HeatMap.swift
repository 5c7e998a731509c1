/// A matrix of fractions as coloured cells with their figures, in percent.
struct HeatMap {
  var density: RunReport.Density

  private let cellWidth = 82.0
  private let cellHeight = 20.0
  private let left = 92.0
  private let top = 26.0

  var svg: String {
    let values = density.values.joined().compactMap { $0 }.filter(\.isFinite)
    guard let low = values.min(), let high = values.max() else { return "<p>No densities.</p>\n" }
    let width = left + cellWidth * Double(density.columns.count) + 2
    let height = top + cellHeight * Double(density.rows.count) + 48
    return """
      <figure class="wide">
      <svg viewBox="0 0 \(Self.text(width)) \(Self.text(height))" style="max-width:\(Self.text(width))px" role="img" \
      aria-label="Density per layer and projection">
      \(columnLabels)\(cells(low, high))\(scale(low, high, y: height - 34))</svg>
      </figure>

      """
  }

  private var columnLabels: String {
    density.columns.enumerated().map { index, name in
      let x = left + cellWidth * (Double(index) + 0.5)
      return
        "<text class=\"tick\" x=\"\(Self.text(x))\" y=\"\(top - 9)\" text-anchor=\"middle\">\(escaped(name))</text>\n"
    }.joined()
  }

  private func cells(_ low: Double, _ high: Double) -> String {
    var text = ""
    for (row, name) in density.rows.enumerated() {
      let y = top + cellHeight * Double(row)
      let middle = Self.text(y + cellHeight / 2)
      text += "<text class=\"tick\" x=\"\(left - 8)\" y=\"\(middle)\" dy=\".34em\" text-anchor=\"end\">"
      text += "\(escaped(name))</text>\n"
      for (column, value) in density.values[row].enumerated() {
        guard let value, value.isFinite else { continue }
        let x = left + cellWidth * Double(column)
        let strength = high > low ? (value - low) / (high - low) : 0.5
        text += rectangle(x: x + 1, y: y + 1, width: cellWidth - 2, height: cellHeight - 2, strength)
        text +=
          "<text class=\"cell\(strength > 0.55 ? " on" : "")\" x=\"\(Self.text(x + cellWidth / 2))\" y=\"\(middle)\" "
        text += "dy=\".34em\" text-anchor=\"middle\">\(NumberText.fixed(100 * value, 1))</text>\n"
      }
    }
    return text
  }

  private func scale(_ low: Double, _ high: Double, y: Double) -> String {
    let (steps, width) = (20, 10.0)
    let bar = (0..<steps).map { step in
      let strength = Double(step) / Double(steps - 1)
      return rectangle(x: left + width * Double(step), y: y, width: width, height: 10, strength)
    }.joined()
    let end = left + width * Double(steps)
    return bar
      + "<text class=\"tick\" x=\"\(left)\" y=\"\(y + 25)\">\(NumberText.percent(low))</text>"
      + "<text class=\"tick\" x=\"\(end)\" y=\"\(y + 25)\" text-anchor=\"end\">\(NumberText.percent(high))</text>"
      + "<text class=\"tick\" x=\"\(end + 14)\" y=\"\(y + 9)\">share of weights in the ticket, %</text>\n"
  }

  private func rectangle(x: Double, y: Double, width: Double, height: Double, _ strength: Double) -> String {
    "<rect class=\"heat\" x=\"\(Self.text(x))\" y=\"\(Self.text(y))\" width=\"\(Self.text(width))\" "
      + "height=\"\(Self.text(height))\" fill-opacity=\"\(NumberText.fixed(0.06 + 0.94 * strength, 3))\"/>"
  }

  private static func text(_ value: Double) -> String { NumberText.fixed(value, 1) }
}
