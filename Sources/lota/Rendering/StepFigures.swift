import Adaptation
import Foundation
import Reports

/// What `bench step` reports.
struct StepFigures: Encodable {
  let shape: String
  let report: StepBenchmark.Report
  /// nil where the peak was not given.
  let shareOfPeak: Double?

  init(_ report: StepBenchmark.Report, shape: String, peakTeraflopPerSecond: Double?) {
    self.shape = shape
    self.report = report
    shareOfPeak = peakTeraflopPerSecond.map { report.teraflopPerSecond / $0 }
  }

  private enum Key: String, CodingKey { case shape, shareOfPeak }

  func encode(to encoder: any Encoder) throws {
    try report.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(shape, forKey: .shape)
    try container.encodeIfPresent(shareOfPeak, forKey: .shareOfPeak)
  }

  var text: String {
    let share = shareOfPeak.map { ", \(NumberText.percent($0)) of the peak" } ?? ""
    return """
      model    \(shape), \(report.parameters) weights in \(report.dtype) on \(report.device)
      phase    \(report.phase.rawValue), \(report.trained) weights trained, state \(NumberText.bytes(report.stateBytes))
      step     \(report.tokensPerStep) tokens, \(report.labelsPerStep) labels, \(String(format: "%.3f", report.medianSeconds)) s (median of \(report.seconds.count))
      speed    \(String(format: "%.0f", report.tokensPerSecond)) tokens/s, \(String(format: "%.3f", report.teraflopPerSecond)) TFLOP/s\(share)
      memory   \(NumberText.bytes(report.peakMemoryBytes)) at the peak
      """
  }
}
