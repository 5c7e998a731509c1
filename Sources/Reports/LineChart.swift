/// Lines as inline SVG. Over whole steps: the values faint, their running mean strong.
package struct LineChart {
  package struct Line {
    package var name: String
    package var x: [Double]
    package var y: [Double?]
    /// Number of its colour, from zero; nil: that of its place. Lines without a name share another one's key.
    package var series: Int?

    package init(name: String, x: [Double], y: [Double?], series: Int? = nil) {
      self.series = series
      self.name = name
      self.x = x
      self.y = y
    }
  }

  package enum XAxis {
    /// Whole numbers, from one.
    case steps
    /// Any numbers; points are marked, and joined in the order given.
    case values(label: String)
  }

  package var title: String
  package var yLabel: String
  package var xAxis: XAxis
  package var lines: [Line]

  package init(title: String, yLabel: String, xAxis: XAxis = .steps, lines: [Line]) {
    self.title = title
    self.yLabel = yLabel
    self.xAxis = xAxis
    self.lines = lines
  }

  private let width = 760.0
  private let height = 300.0
  // Margins around the plotted area.
  private let left = 64.0
  private let right = 16.0
  private let top = 14.0
  private let bottom = 46.0
  /// Points above which a running mean is drawn over the values.
  private let smoothsFrom = 20
  /// Colours of the page; later lines use them again.
  private let colourCount = 6

  package var svg: String {
    let points = lines.map { line in
      zip(line.x, line.y).compactMap { x, y in y.flatMap { $0.isFinite && x.isFinite ? (x: x, y: $0) : nil } }
    }
    let all = points.joined()
    guard let yLow = all.map(\.y).min(), let yHigh = all.map(\.y).max(), let xHigh = all.map(\.x).max(),
      let xLow = all.map(\.x).min()
    else { return "<p>No finite values to draw.</p>\n" }
    let xRange: ClosedRange<Double> =
      switch xAxis {
      case .steps: min(xLow, 1)...max(xHigh, 2)
      case .values: Self.padded(xLow, xHigh)
      }
    let scale = Scale(
      x: xRange, y: Self.padded(yLow, yHigh), left: left, right: width - right, top: top, bottom: height - bottom)
    let drawn = zip(lines.indices, points).map { draw($1, series: colour($0), scale) }.joined()
    return """
      <figure>
      <figcaption><strong>\(escaped(title))</strong>\(legend)</figcaption>
      <svg viewBox="0 0 \(Int(width)) \(Int(height))" role="img" aria-label="\(escaped(title))">
      \(axes(scale))\(drawn)</svg>
      </figure>

      """
  }

  private var legend: String {
    lines.enumerated().filter { !$1.name.isEmpty }.map { index, line in
      "<span class=\"key\"><i class=\"swatch s\(colour(index))\"></i>\(escaped(line.name))</span>"
    }.joined()
  }

  private func colour(_ index: Int) -> Int { (lines[index].series ?? index) % colourCount + 1 }

  private var isOverSteps: Bool { if case .steps = xAxis { true } else { false } }

  private var xLabel: String { if case .values(let label) = xAxis { label } else { "step" } }

  private func axes(_ scale: Scale) -> String {
    var text = ""
    let yTicks = AxisTicks(low: scale.y.lowerBound, high: scale.y.upperBound, count: 5)
    for value in yTicks.values {
      let y = Self.coordinate(scale.position(y: value))
      text += "<line class=\"grid\" x1=\"\(left)\" x2=\"\(width - right)\" y1=\"\(y)\" y2=\"\(y)\"/>"
      text += "<text class=\"tick\" x=\"\(left - 8)\" y=\"\(y)\" dy=\".32em\" text-anchor=\"end\">"
      text += "\(yTicks.label(value))</text>\n"
    }
    let xTicks = AxisTicks(low: scale.x.lowerBound, high: scale.x.upperBound, count: 8, wholeNumbers: isOverSteps)
    let bottomY = height - bottom
    for value in xTicks.values {
      let x = Self.coordinate(scale.position(x: value))
      text += "<line class=\"axis\" x1=\"\(x)\" x2=\"\(x)\" y1=\"\(bottomY)\" y2=\"\(bottomY + 5)\"/>"
      text +=
        "<text class=\"tick\" x=\"\(x)\" y=\"\(bottomY + 18)\" text-anchor=\"middle\">\(xTicks.label(value))</text>\n"
    }
    text += "<path class=\"axis\" d=\"M\(left) \(top)V\(bottomY)H\(width - right)\"/>"
    let middle = (left + width - right) / 2
    text += "<text class=\"label\" x=\"\(middle)\" y=\"\(height - 8)\" text-anchor=\"middle\">\(escaped(xLabel))</text>"
    let centre = (top + bottomY) / 2
    text += "<text class=\"label\" transform=\"translate(14 \(centre)) rotate(-90)\" text-anchor=\"middle\">"
    return text + "\(escaped(yLabel))</text>\n"
  }

  private func draw(_ points: [(x: Double, y: Double)], series: Int, _ scale: Scale) -> String {
    func path(_ values: [Double]) -> String {
      zip(points, values).enumerated().map { index, pair in
        let (point, value) = pair
        let (x, y) = (Self.coordinate(scale.position(x: point.x)), Self.coordinate(scale.position(y: value)))
        return "\(index == 0 ? "M" : "L")\(x) \(y)"
      }.joined()
    }
    let values = points.map(\.y)
    if points.count == 1 {
      let (x, y) = (scale.position(x: points[0].x), scale.position(y: values[0]))
      return "<circle class=\"dot s\(series)\" cx=\"\(Self.coordinate(x))\" cy=\"\(Self.coordinate(y))\" r=\"3.5\"/>\n"
    }
    if !isOverSteps {
      let dots = points.map { point in
        let (x, y) = (scale.position(x: point.x), scale.position(y: point.y))
        return "<circle class=\"dot s\(series)\" cx=\"\(Self.coordinate(x))\" cy=\"\(Self.coordinate(y))\" r=\"2.5\"/>"
      }
      return "<path class=\"line s\(series)\" d=\"\(path(values))\"/>\(dots.joined())\n"
    }
    guard points.count >= smoothsFrom else { return "<path class=\"line s\(series)\" d=\"\(path(values))\"/>\n" }
    return "<path class=\"line raw s\(series)\" d=\"\(path(values))\"/>\n"
      + "<path class=\"line s\(series)\" d=\"\(path(Self.runningMean(values)))\"/>\n"
  }

  /// Mean of the values around each, over about a twelfth of them; narrower towards the ends, so that both ends are
  /// kept.
  package static func runningMean(_ values: [Double]) -> [Double] {
    let reach = max(1, values.count / 24)
    return values.indices.map { index in
      let near = min(reach, index, values.count - 1 - index)
      let window = values[index - near...index + near]
      return window.reduce(0, +) / Double(window.count)
    }
  }

  /// From zero when the values reach down near it; else with a little room.
  private static func padded(_ low: Double, _ high: Double) -> ClosedRange<Double> {
    guard high > low else { return low - max(abs(low) * 0.1, 0.5)...high + max(abs(high) * 0.1, 0.5) }
    let room = (high - low) * 0.06
    let bottom = low >= 0 && low < 0.4 * high ? 0 : low - room
    return bottom...high + room
  }

  private static func coordinate(_ value: Double) -> String { NumberText.fixed(value, 1) }

  private struct Scale {
    let x: ClosedRange<Double>
    let y: ClosedRange<Double>
    let left: Double
    let right: Double
    let top: Double
    let bottom: Double

    func position(x value: Double) -> Double {
      left + (value - x.lowerBound) / (x.upperBound - x.lowerBound) * (right - left)
    }

    func position(y value: Double) -> Double {
      bottom - (value - y.lowerBound) / (y.upperBound - y.lowerBound) * (bottom - top)
    }
  }
}
