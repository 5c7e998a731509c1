import Adaptation
import Foundation
import Primitives
import Testing

@Suite struct ReportPage {
  /// A run like the quickstart's; the figures are invented.
  static func example() -> RunReport {
    var report = RunReport(title: "Quickstart: text to SQL with SmolLM2-135M")
    report.summary =
      "Calibrated, extracted and adapted a ticket of 10 % of the weights; compared on questions about unseen tables."
    report.configuration = [
      ("model", "models/SmolLM2-135M-Instruct"), ("method", "lota"), ("sparsity", "0.9"), ("seed", "0"),
    ]
    .map { .init(name: $0.0, value: $0.1) }
    var stream = RandomStream(seed: 1, purpose: "example")
    func curve(_ name: String, _ count: Int, _ phase: MetricsRecord.Phase) -> RunReport.Curve {
      .init(
        name: name,
        records: (1...count).map { step in
          let noise = 0.8 + 0.4 * Double(stream.below(1000)) / 1000
          let loss = (0.12 + 2.4 * exp(-Double(step) / 14)) * noise
          return MetricsRecord(
            phase: phase, step: step, loss: loss * 12.6, tokenLoss: loss, tokens: 680, labels: 200, seconds: 2,
            learningRate: 1e-5)
        })
    }
    report.curves = [curve("calibration", 57, .calibration), curve("adaptation", 114, .adaptation)]
    let projections = ["q", "k", "v", "o", "gate", "up", "down"]
    report.density = .init(
      columns: projections, rows: (0..<30).map { "layer \($0)" },
      values: (0..<30).map { layer in
        projections.indices.map { 0.04 + 0.004 * Double(layer) + 0.02 * Double($0) * Double(stream.below(100)) / 100 }
      })
    report.sizes = [("Base model", 538_090_408), ("Mask", 13_271_300), ("Adapter", 84_934_656)].map {
      .init(name: $0.0, bytes: $0.1)
    }
    report.durations = [
      .init(name: "Set-up", seconds: 48.2), .init(name: "Calibration", seconds: 161.4, tokens: 38_038),
      .init(name: "Extraction", seconds: 2.31), .init(name: "Adaptation", seconds: 301.8, tokens: 76_076),
      .init(name: "Evaluation", seconds: 39),
    ]
    report.peakMemoryBytes = 3_412_000_000
    report.scores = [
      .init(name: "Base model", tokenLoss: 1.9312, exact: 3, total: 120),
      .init(name: "With adapter", tokenLoss: 0.1604, exact: 91, total: 120),
    ]
    report.samples = [
      .init(
        prompt:
          "Table: cakes (flavor, size, price, layers)\nQuestion: How many cakes cost < 20 & size \"large\"?\nSQL:",
        expected: "SELECT COUNT(*) FROM cakes WHERE price < 20 AND size = 'large'",
        before: "The number of cakes is 3.\n<script>alert(1)</script>",
        after: "SELECT COUNT(*) FROM cakes WHERE price < 20 AND size = 'large'", beforeIsExact: false,
        afterIsExact: true),
      .init(
        prompt: "Table: gyms (name, district, members, monthly_fee)\nQuestion: Count the gyms per district.\nSQL:",
        expected: "SELECT district, COUNT(*) FROM gyms GROUP BY district", before: "",
        after: "SELECT district, COUNT(*) FROM gyms", beforeIsExact: false, afterIsExact: false),
    ]
    return report
  }

  @Test func isSelfContainedAndWhole() throws {
    let html = Self.example().html
    for outside in ["http:", "https:", "<script", "src=", "@import", "url(", "<link"] {
      #expect(!html.contains(outside), "\(outside)")
    }
    #expect(!html.contains("NaN") && !html.contains("Optional(") && !html.contains("not a number"))
    for part in [
      "75.8 %", "+73.3 points", "91 of 120", "67.4 to 82.6 %", "1.9312", "538 MB", "84,934,656", "9 min 13 s",
      "3.41 GB", "layer 29",
      "calibration", "adaptation", "236", "cost &lt; 20 &amp; size &quot;large&quot;", "&lt;script&gt;alert(1)",
    ] { #expect(html.contains(part), "\(part)") }
    if let path = ProcessInfo.processInfo.environment["LOTA_REPORT_EXAMPLE"] { try Self.example().write(to: path) }
  }

  @Test func elementsBalance() throws {
    let html = Self.example().html
    for element in [
      "section", "table", "tr", "td", "th", "svg", "text", "figure", "div", "pre", "dl", "dd", "dt", "code", "span",
    ] {
      let opened = html.matches(of: try Regex("<\(element)[ >]")).count
      let closed = html.components(separatedBy: "</\(element)>").count - 1
      #expect(opened == closed && opened > 0, "\(element): \(opened) opened, \(closed) closed")
    }
  }

  @Test func everythingIsEscaped() {
    let nasty = "<b>&\"'\u{1}"
    var report = RunReport(title: nasty)
    report.summary = nasty
    report.configuration = [.init(name: nasty, value: nasty)]
    report.curves = [
      .init(
        name: nasty,
        records: (1...2).map {
          MetricsRecord(
            phase: .training, step: $0, loss: 1, tokenLoss: 1, tokens: 1, labels: 1, seconds: 1, learningRate: 1)
        })
    ]
    report.density = .init(columns: [nasty], rows: [nasty], values: [[0.1]])
    report.sizes = [.init(name: nasty, bytes: 1), .init(name: nasty, bytes: 2)]
    report.durations = [.init(name: nasty, seconds: 1)]
    report.scores = [.init(name: nasty, tokenLoss: nil, exact: 0, total: 0)]
    report.samples = [
      .init(prompt: nasty, expected: nasty, before: nasty, after: nasty, beforeIsExact: true, afterIsExact: false)
    ]
    let html = report.html
    #expect(!html.contains("<b>&") && !html.contains("\u{1}"))
    #expect(html.components(separatedBy: "&lt;b&gt;&amp;&quot;&#39;\u{FFFD}").count > 14)
  }

  /// Curves with gaps, of one step, flat, and without any finite value.
  @Test func oddCurves() {
    func report(_ losses: [Double]) -> String {
      var report = RunReport(title: "t")
      report.curves = [
        .init(
          name: "training",
          records: losses.enumerated().map {
            MetricsRecord(
              phase: .training, step: $0 + 1, loss: $1, tokenLoss: $1, tokens: 1, labels: 1, seconds: 1, learningRate: 1
            )
          })
      ]
      return report.html
    }
    #expect(report([.nan, .infinity]).contains("No finite values"))
    #expect(report([2]).contains("<circle"))
    for losses in [[2, 2, 2], [1, .nan, 3], [0, 0], [1e-9, 2e-9], [1e12, 3e12], [-1, -2]] {
      let html = report(losses)
      #expect(html.contains("class=\"line") && !html.contains("nan") && !html.contains("inf"), "\(losses)")
    }
  }

  @Test func emptyReportAndCoding() throws {
    #expect(!RunReport(title: "t").html.contains("<section>"))
    let report = Self.example()
    #expect(try JSONDecoder().decode(RunReport.self, from: JSONEncoder().encode(report)) == report)
    #expect(throws: ReportError.self) { try report.write(to: "/nonexistent/report.html") }
  }
}
