internal import Primitives
internal import Reports

extension RunReport {
  /// The report as one page without any outside resource: styles and drawings are inside, and there is no script.
  public var html: String {
    HTMLPage(
      title: title,
      content: lead + tiles + results + lossCurves + settled + sampleAnswers + densities + costs + settings
    ).html
  }

  private var lead: String { summary.isEmpty ? "" : "<p class=\"lead\">\(escaped(summary))</p>\n" }

  private var tiles: String {
    var tiles: [(name: String, value: String, note: String)] = []
    if let before = scores.first, let after = scores.last, scores.count > 1 {
      let gain = 100 * (after.rate - before.rate)
      tiles.append(
        (
          "Exact match", "\(NumberText.percent(after.rate))",
          "\(gain >= 0 ? "+" : "")\(NumberText.fixed(gain, 1)) points"
        ))
      if let from = before.tokenLoss, let to = after.tokenLoss {
        tiles.append(("Held-out loss", NumberText.fixed(to, 3), "from \(NumberText.fixed(from, 3)) per token"))
      }
    }
    if let size = sizes.last, let base = sizes.first, sizes.count > 1, base.bytes > 0 {
      let share = Double(size.bytes) / Double(base.bytes)
      tiles.append((size.name, NumberText.bytes(size.bytes), "\(NumberText.percent(share)) of \(base.name)"))
    }
    if !durations.isEmpty {
      tiles.append(("Time", NumberText.duration(durations.reduce(0) { $0 + $1.seconds }), "all phases"))
    }
    if let peakMemoryBytes { tiles.append(("Peak memory", NumberText.bytes(peakMemoryBytes), "resident")) }
    guard !tiles.isEmpty else { return "" }
    let cards = tiles.map {
      "<div class=\"tile\"><span>\(escaped($0.name))</span><b>\(escaped($0.value))</b>"
        + "<span>\(escaped($0.note))</span></div>"
    }
    return "<div class=\"tiles\">\n\(cards.joined(separator: "\n"))\n</div>\n"
  }

  private var results: String {
    guard !scores.isEmpty else { return "" }
    let rows = scores.map { score in
      let interval = WilsonInterval(successes: score.exact, trials: score.total)
      return [
        score.name, score.tokenLoss.map { NumberText.fixed($0, 4) } ?? "-", "\(score.exact) of \(score.total)",
        NumberText.percent(score.rate),
        "\(NumberText.fixed(100 * interval.low, 1)) to \(NumberText.percent(interval.high))",
      ]
    }
    let table = HTMLTable(
      head: ["Held-out rows", "Loss per token", "Exact", "Exact match", "95 % interval"], rows: rows)
    return HTMLPage.section("Results", table.html + "<p class=\"note\">Intervals are Wilson's.</p>\n")
  }

  private var lossCurves: String {
    let drawn = curves.filter { !$0.steps.isEmpty }
    guard !drawn.isEmpty else { return "" }
    let perToken = LineChart(
      title: "Loss per token", yLabel: "nats per label",
      lines: drawn.map { .init(name: $0.name, x: $0.steps.map(Double.init), y: $0.tokenLoss) })
    let objective = LineChart(
      title: "Objective", yLabel: "objective",
      lines: drawn.map { .init(name: $0.name, x: $0.steps.map(Double.init), y: $0.loss) })
    let smoothed = drawn.contains { $0.steps.count >= 20 }
    let note = smoothed ? "<p class=\"note\">Faint: every step. Strong: mean of the steps around it.</p>\n" : ""
    let heldOutChart =
      heldOut.isEmpty
      ? ""
      : LineChart(
        title: "Held-out loss per token", yLabel: "nats per label",
        lines: heldOut.map { .init(name: $0.name, x: $0.steps.map(Double.init), y: $0.tokenLoss) }
      ).svg
    return HTMLPage.section("Training", perToken.svg + objective.svg + heldOutChart + note)
  }

  /// How calibration ended by itself.
  private var settled: String {
    guard let settling else { return "" }
    let seen = settling.checks.filter { $0.overlap != nil }
    let chart =
      seen.isEmpty
      ? ""
      : LineChart(
        title: "Overlap with the ticket \(settling.stopping.interval) steps before", yLabel: "share of the weights",
        lines: [.init(name: "overlap", x: seen.map { Double($0.step) }, y: seen.map(\.overlap))]
      ).svg
    return HTMLPage.section("Calibration's end", chart + "<p class=\"note\">\(escaped(settling.text)).</p>\n")
  }

  private var sampleAnswers: String {
    guard !samples.isEmpty else { return "" }
    let cards = samples.map { sample in
      """
      <div class="sample">
      <pre class="prompt">\(escaped(sample.prompt))</pre>
      <dl>
      <dt>expected</dt><dd><code>\(escaped(sample.expected))</code></dd>
      <dt>before \(Self.mark(sample.beforeIsExact))</dt><dd><code>\(escaped(sample.before))</code></dd>
      <dt>after \(Self.mark(sample.afterIsExact))</dt><dd><code>\(escaped(sample.after))</code></dd>
      </dl>
      </div>
      """
    }
    return HTMLPage.section("Sample answers", cards.joined(separator: "\n") + "\n")
  }

  private static func mark(_ isExact: Bool) -> String {
    isExact ? "<span class=\"good\">exact</span>" : "<span class=\"bad\">differs</span>"
  }

  private var densities: String {
    guard let density, !density.rows.isEmpty else { return "" }
    let map = HeatMap(
      columns: density.columns, rows: density.rows, values: density.values, title: "Density per layer and projection",
      unit: "share of weights in the ticket, %"
    ) { NumberText.fixed(100 * $0, 1) }
    return HTMLPage.section("Where the ticket lies", map.svg)
  }

  private var costs: String {
    var parts = ""
    if !sizes.isEmpty {
      let whole = Double(sizes[0].bytes)
      let rows = sizes.map { size in
        [
          size.name, NumberText.bytes(size.bytes), NumberText.grouped(size.bytes),
          whole > 0 ? NumberText.percent(Double(size.bytes) / whole) : "-",
        ]
      }
      parts += HTMLTable(head: ["Size", "", "Bytes", "Of \(sizes[0].name)"], rows: rows).html
    }
    if !durations.isEmpty {
      var rows = durations.map { duration in
        let speed = duration.tokens.map {
          duration.seconds > 0 ? NumberText.fixed(Double($0) / duration.seconds, 0) : "-"
        }
        return [
          duration.name, NumberText.duration(duration.seconds), duration.tokens.map { NumberText.grouped($0) } ?? "",
          speed ?? "",
        ]
      }
      rows.append(["Total", NumberText.duration(durations.reduce(0) { $0 + $1.seconds }), "", ""])
      parts += HTMLTable(head: ["Phase", "Time", "Tokens", "Tokens/s"], rows: rows).html
    }
    return parts.isEmpty ? "" : HTMLPage.section("Sizes and times", "<div class=\"columns\">\n\(parts)</div>\n")
  }

  private var settings: String {
    guard !configuration.isEmpty else { return "" }
    let table = HTMLTable(head: [], rows: configuration.map { [$0.name, $0.value] }, figures: false)
    return HTMLPage.section("Configuration", table.html)
  }
}

extension RunReport.Score {
  var rate: Double { total > 0 ? Double(exact) / Double(total) : 0 }
}
