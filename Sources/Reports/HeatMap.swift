/// A matrix of numbers as coloured cells with their figures.
///
/// One colour from the least to the largest value; with a `middle`, one colour above it and another one below, both of
/// the strength of the distance.
package struct HeatMap {
  package var columns: [String]
  package var rows: [String]
  /// `values[row][column]`; nil: the cell is left out.
  package var values: [[Double?]]
  /// What the drawing shows, for readers who do not see it.
  package var title: String
  /// Stands beside the scale.
  package var unit: String
  package var middle: Double?
  /// A value as its cell has it.
  package var text: (Double) -> String

  private let cellWidth = 82.0
  private let cellHeight = 20.0
  private let top = 26.0

  package init(
    columns: [String], rows: [String], values: [[Double?]], title: String, unit: String, middle: Double? = nil,
    text: @escaping (Double) -> String
  ) {
    self.columns = columns
    self.rows = rows
    self.values = values
    self.title = title
    self.unit = unit
    self.middle = middle
    self.text = text
  }

  /// As wide as the longest name of a row needs.
  private var left: Double { max(92, 16 + 6.6 * Double(rows.map(\.count).max() ?? 0)) }

  package var svg: String {
    let values = values.joined().compactMap { $0 }.filter(\.isFinite)
    guard let low = values.min(), let high = values.max() else { return "<p>No values.</p>\n" }
    let width = left + max(cellWidth * Double(columns.count), 420) + 2
    let height = top + cellHeight * Double(rows.count) + 48
    return """
      <figure class="wide">
      <svg viewBox="0 0 \(Self.text(width)) \(Self.text(height))" style="max-width:\(Self.text(width))px" role="img" \
      aria-label="\(escaped(title))">
      \(columnLabels)\(cells(low, high))\(scale(low, high, y: height - 34))</svg>
      </figure>

      """
  }

  private var columnLabels: String {
    columns.enumerated().map { index, name in
      let x = left + cellWidth * (Double(index) + 0.5)
      return
        "<text class=\"tick\" x=\"\(Self.text(x))\" y=\"\(top - 9)\" text-anchor=\"middle\">\(escaped(name))</text>\n"
    }.joined()
  }

  private func cells(_ low: Double, _ high: Double) -> String {
    var result = ""
    for (row, name) in rows.enumerated() {
      let y = top + cellHeight * Double(row)
      let middle = Self.text(y + cellHeight / 2)
      result += "<text class=\"tick\" x=\"\(Self.text(left - 8))\" y=\"\(middle)\" dy=\".34em\" text-anchor=\"end\">"
      result += "\(escaped(name))</text>\n"
      for (column, value) in values[row].enumerated() {
        guard let value, value.isFinite else { continue }
        let x = left + cellWidth * Double(column)
        let (strength, style) = paint(value, low, high)
        result += rectangle(x: x + 1, y: y + 1, width: cellWidth - 2, height: cellHeight - 2, strength, style)
        result +=
          "<text class=\"cell\(strength > 0.55 ? " on" : "")\" x=\"\(Self.text(x + cellWidth / 2))\" y=\"\(middle)\" "
        result += "dy=\".34em\" text-anchor=\"middle\">\(escaped(text(value)))</text>\n"
      }
    }
    return result
  }

  /// Strength from 0 to 1, and the colour's class.
  private func paint(_ value: Double, _ low: Double, _ high: Double) -> (strength: Double, style: String) {
    guard let middle else { return (high > low ? (value - low) / (high - low) : 0.5, "heat") }
    let reach = max(abs(high - middle), abs(low - middle))
    return (reach > 0 ? abs(value - middle) / reach : 0, value < middle ? "cold" : "heat")
  }

  private func scale(_ low: Double, _ high: Double, y: Double) -> String {
    let (steps, width) = (20, 10.0)
    let bar = (0..<steps).map { step in
      let value = low + (high - low) * Double(step) / Double(steps - 1)
      let (strength, style) = paint(value, low, high)
      return rectangle(x: left + width * Double(step), y: y, width: width, height: 10, strength, style)
    }.joined()
    let end = left + width * Double(steps)
    return bar
      + "<text class=\"tick\" x=\"\(Self.text(left))\" y=\"\(y + 25)\">\(escaped(text(low)))</text>"
      + "<text class=\"tick\" x=\"\(Self.text(end))\" y=\"\(y + 25)\" text-anchor=\"end\">\(escaped(text(high)))</text>"
      + "<text class=\"tick\" x=\"\(Self.text(end + 14))\" y=\"\(y + 9)\">\(escaped(unit))</text>\n"
  }

  private func rectangle(
    x: Double, y: Double, width: Double, height: Double, _ strength: Double, _ style: String
  ) -> String {
    "<rect class=\"\(style)\" x=\"\(Self.text(x))\" y=\"\(Self.text(y))\" width=\"\(Self.text(width))\" "
      + "height=\"\(Self.text(height))\" fill-opacity=\"\(NumberText.fixed(0.06 + 0.94 * strength, 3))\"/>"
  }

  private static func text(_ value: Double) -> String { NumberText.fixed(value, 1) }
}
