import Foundation

/// Round numbers along an axis.
package struct AxisTicks: Equatable {
  package let values: [Double]
  let decimals: Int

  /// About `count` multiples of 1, 2 or 5 times a power of ten within `low...high`.
  package init(low: Double, high: Double, count: Int, wholeNumbers: Bool = false) {
    let span = high - low
    guard span > 0, span.isFinite else {
      values = [low]
      decimals = wholeNumbers || low == low.rounded() ? 0 : 2
      return
    }
    let rough = span / Double(max(count, 1))
    let power = pow(10, log10(rough).rounded(.down))
    var step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough * 0.999 } ?? power
    if wholeNumbers { step = max(1, step.rounded()) }
    let first = (low / step - 1e-9).rounded(.up)
    let last = (high / step + 1e-9).rounded(.down)
    values = first > last ? [] : stride(from: first, through: last, by: 1).map { $0 * step }
    decimals = max(0, -Int((log10(step) + 1e-9).rounded(.down)))
  }

  package func label(_ value: Double) -> String { NumberText.fixed(value, decimals) }
}
