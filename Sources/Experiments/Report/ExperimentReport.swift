internal import Checkpoints
internal import Foundation
internal import Reports

/// The pages of an experiment: `report.html` with drawings, `results.md` with the tables alone.
public struct ExperimentReport {
  private let results: ExperimentResults

  public init(_ results: ExperimentResults) { self.results = results }

  /// - Returns: the page's path.
  /// - Throws: `CheckpointError`.
  @discardableResult
  public func write(to directory: String) throws -> String {
    try FileSystem.writeAtomically(markdown, to: FileSystem.join(directory, "results.md"))
    let path = FileSystem.join(directory, "report.html")
    try FileSystem.writeAtomically(html, to: path)
    return path
  }

  var markdown: String {
    "# \(results.plan.name)\n\n" + ExperimentTables(results: results).all.map(\.markdown).joined(separator: "\n")
  }

  var html: String {
    let tables = ExperimentTables(results: results)
    let sections = tables.all.map { HTMLPage.section($0.title, $0.html) }.joined()
    return HTMLPage(
      title: results.plan.name,
      content: lead + HTMLPage.section("Retention", heatMap + Self.heatNote) + frontier + curves + sections
    ).html
  }

  private var lead: String {
    let plan = results.plan
    let seeds = plan.seeds.map(String.init).joined(separator: ", ")
    return
      "<p class=\"lead\">\(escaped("\(plan.stages.count) stages on \(plan.tasks.count) tasks, seeds \(seeds)."))</p>\n"
  }

  // MARK: - Heat map

  private static let heatNote =
    "<p class=\"note\">Change of the test rows' loss from the base, in percent; below zero is better. A row is the model "
    + "after that stage, the mean over seeds.</p>\n"

  private var heatMap: String {
    var seen: Set<String> = []
    let labels = results.graph.instances.map(\.label).filter { seen.insert($0).inserted }
    let tasks = results.plan.tasks.map(\.name)
    let values = labels.map { label in
      tasks.map { task -> Double? in
        guard let base = results.score(nil, task)?.tokenLoss else { return nil }
        let losses = results.graph.instances.indices.filter { results.graph.instances[$0].label == label }
          .compactMap { results.score($0, task)?.tokenLoss }
        return SeedFigure(losses).map { $0.mean / base - 1 }
      }
    }
    return HeatMap(
      columns: tasks, rows: labels, values: values, title: "Change of held-out loss by stage and task",
      unit: "change of loss from the base, %", middle: 0
    ) { NumberText.fixed(100 * $0, 1) }.svg
  }

  // MARK: - Curves

  /// The rise of A's loss against the fall of B's.
  private var frontier: String {
    let sequences = EqualUtility(results).sequences
    guard let first = sequences.first else { return "" }
    let lines = sequences.enumerated().flatMap { index, sequence in
      sequence.paths.enumerated().map { number, path in
        LineChart.Line(
          name: number == 0 ? sequence.title : "", x: path.map(\.second),
          y: path.map { $0.first - path[0].first }, series: index)
      }
    }
    let chart = LineChart(
      title: "What \(first.secondTask) costs \(first.firstTask)", yLabel: "rise of \(first.firstTask)'s loss",
      xAxis: .values(label: "loss of \(first.secondTask), nats a label"), lines: lines)
    let note =
      "<p class=\"note\">Development rows. A line a run, from the model that it went on from; every value of a chosen "
      + "setting is a run. Lower and further left is better.</p>\n"
    return HTMLPage.section("At equal utility", chart.svg + note)
  }

  /// A chart a task: the loss of its development rows while stages train.
  private var curves: String {
    let charts = results.plan.tasks.compactMap { task -> String? in
      let lines = results.records.sorted { $0.key < $1.key }.compactMap { _, record -> LineChart.Line? in
        let points = record.curve.filter { $0.task == task.name }
        guard points.count > 1, record.seed == results.plan.seeds[0] else { return nil }
        return LineChart.Line(
          name: record.label, x: points.map { Double($0.step) }, y: points.map { $0.tokenLoss })
      }
      guard !lines.isEmpty else { return nil }
      return LineChart(
        title: "\(task.name), by step of the stage", yLabel: "nats a label", xAxis: .values(label: "step"), lines: lines
      ).svg
    }
    return charts.isEmpty ? "" : HTMLPage.section("Development loss", charts.joined())
  }
}
