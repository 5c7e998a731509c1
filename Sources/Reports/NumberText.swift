import Foundation

/// Numbers for people: the same text whatever the locale.
package enum NumberText {
  package static func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite else { return nonFinite(value) }
    let text = String(format: "%.\(decimals)f", value)
    return text.hasPrefix("-") && !text.contains(where: { "123456789".contains($0) }) ? String(text.dropFirst()) : text
  }

  /// At least `digits` significant digits, and no more decimals than that needs.
  package static func significant(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return nonFinite(value) }
    guard value != 0 else { return "0" }
    var exponent = Int(log10(abs(value)).rounded(.down))
    // 0.9996 to three digits is 1.00, not 1.000.
    let scale = pow(10, Double(digits - 1 - exponent))
    if scale.isFinite, (abs(value) * scale).rounded() >= pow(10, Double(digits)) { exponent += 1 }
    guard exponent > -5 else { return String(format: "%.\(max(0, digits - 1))e", value) }
    return fixed(value, max(0, digits - 1 - exponent))
  }

  /// `1.5 MB`, in powers of a thousand.
  package static func bytes(_ count: Int) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"]
    var value = Double(count)
    var unit = 0
    while value >= 999.5, unit < units.count - 1 {
      value /= 1000
      unit += 1
    }
    return unit == 0 ? "\(count) B" : "\(significant(value, 3)) \(units[unit])"
  }

  /// `0.42 s`, `12 s`, `4 min 12 s`, `1 h 03 min`
  package static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return nonFinite(seconds) }
    if seconds < 9.95 { return "\(significant(max(seconds, 0), 2)) s" }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(twoDigits(whole % 60)) s" }
    return "\(whole / 3600) h \(twoDigits(whole % 3600 / 60)) min"
  }

  /// `12.3 %`
  package static func percent(_ fraction: Double, decimals: Int = 1) -> String {
    fraction.isFinite ? "\(fixed(100 * fraction, decimals)) %" : nonFinite(fraction)
  }

  /// `1,234,567`
  package static func grouped(_ value: Int) -> String {
    var text = ""
    for (index, digit) in String(value.magnitude).reversed().enumerated() {
      if index > 0, index % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return (value < 0 ? "-" : "") + String(text.reversed())
  }

  private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
  private static func nonFinite(_ value: Double) -> String {
    value.isNaN ? "not a number" : value < 0 ? "-infinite" : "infinite"
  }
}
