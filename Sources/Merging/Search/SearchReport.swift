internal import Checkpoints
internal import Reports

/// The pages of a search: `report.html` with a drawing, `results.md` with the table alone.
public struct SearchReport {
  private let search: MergeSearch
  private let records: [SearchRecord]
  private let measure: String

  /// - Parameter measure: what is scored, for people: `loss a label`.
  public init(_ search: MergeSearch, records: [SearchRecord], measure: String) {
    self.search = search
    self.records = records
    self.measure = measure
  }

  /// - Returns: the page's path.
  @discardableResult
  public func write(to directory: String) throws -> String {
    try FileSystem.createDirectory(directory)
    try FileSystem.writeAtomically("# \(title)\n\n" + table.markdown, to: FileSystem.join(directory, "results.md"))
    let path = FileSystem.join(directory, "report.html")
    let content = lead + HTMLPage.section(measure, drawing) + HTMLPage.section(table.title, table.html)
    try FileSystem.writeAtomically(HTMLPage(title: title, content: content).html, to: path)
    return path
  }

  private var title: String { "Search: \(search.recipe.method.title)" }

  private var lead: String {
    let inputs = search.names.joined(separator: ", ")
    return "<p class=\"lead\">\(escaped("\(records.count) of \(search.candidates.count) merges of \(inputs)."))</p>\n"
  }

  private var labels: [String] { Set(records.flatMap(\.scores.keys)).sorted() }
  private var searched: [MergeSearch.Axis] { search.axes.filter { $0.values.count > 1 } }

  private var table: ResultTable {
    let best = search.best(of: records)
    let order = records.sorted { left, right in
      guard let one = left.objective else { return false }
      guard let other = right.objective else { return true }
      return search.goal == .least ? one < other : one > other
    }
    let rows = order.map { record in
      search.axes.map { Self.text(record.settings[$0.name] ?? .nan) }
        + (labels.count > 1 ? labels.map { Self.score(record.scores[$0]) } : [])
        + [
          Self.score(record.objective), NumberText.duration(record.mergeSeconds + record.scoreSeconds),
          record == best ? "best" : "",
        ]
    }
    return ResultTable(
      title: "Candidates",
      head: search.axes.map(\.name) + (labels.count > 1 ? labels + ["Mean"] : labels) + ["Time", ""], rows: rows,
      note: "\(measure); \(search.goal == .least ? "less" : "more") is better. Best first.")
  }

  // MARK: - Drawing

  /// Over one number a line a label, over two a map of the mean, over more the best over the others.
  private var drawing: String {
    guard let first = searched.first, !records.isEmpty else { return "" }
    guard searched.count > 1 else { return chart(first) }
    let second = searched[1]
    let rows = first.values.sorted()
    let columns = second.values.sorted()
    let values = rows.map { row in
      columns.map { column in
        search.best(of: records.filter { $0.settings[first.name] == row && $0.settings[second.name] == column })?
          .objective
      }
    }
    let map = HeatMap(
      columns: columns.map { "\(second.name) \(Self.text($0))" }, rows: rows.map { "\(first.name) \(Self.text($0))" },
      values: values, title: "\(measure) by \(first.name) and \(second.name)", unit: measure
    ) { NumberText.fixed($0, 4) }
    let others = searched.dropFirst(2).map(\.name).joined(separator: ", ")
    return map.svg + (others.isEmpty ? "" : "<p class=\"note\">\(escaped("The best over \(others)."))</p>\n")
  }

  private func chart(_ axis: MergeSearch.Axis) -> String {
    let order = records.sorted { ($0.settings[axis.name] ?? 0) < ($1.settings[axis.name] ?? 0) }
    let x = order.map { $0.settings[axis.name] ?? 0 }
    var lines = labels.map { label in LineChart.Line(name: label, x: x, y: order.map { $0.scores[label] }) }
    if labels.count > 1 { lines.append(LineChart.Line(name: "mean", x: x, y: order.map(\.objective))) }
    return LineChart(
      title: "\(measure) by \(axis.name)", yLabel: measure, xAxis: .values(label: axis.name), lines: lines
    ).svg
  }

  private static func text(_ value: Double) -> String { "\(value)" }
  private static func score(_ value: Double?) -> String { value.map { NumberText.fixed($0, 4) } ?? "not finite" }
}
