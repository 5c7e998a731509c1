internal import Reports

/// The tables of an experiment's report.
struct ExperimentTables {
  let results: ExperimentResults

  /// Labels of the last stages of all sequences, each once; merges have a table of their own.
  var leaves: [String] {
    var seen: Set<String> = []
    return results.graph.instances.indices
      .filter { results.graph.isLeaf($0) && results.graph.instances[$0].inputs.isEmpty }
      .map { results.graph.instances[$0].label }.filter { seen.insert($0).inserted }
  }

  var hasMetrics: Bool { results.plan.tasks.contains { $0.evaluation != nil } }

  var all: [ResultTable] {
    var tables: [ResultTable] = []
    if !results.plan.table.isEmpty {
      if hasMetrics { tables.append(sequences(.metric)) }
      tables.append(sequences(.loss))
      if let table = equalUtility { tables.append(table) }
    }
    if hasMetrics { tables += [merges(.metric)].compactMap { $0 } }
    tables += [merges(.loss)].compactMap { $0 }
    tables += leaves.map { retention($0, .loss) }
    if hasMetrics { tables += leaves.map { retention($0, .metric) } }
    if let table = choices { tables.append(table) }
    if let table = overlaps { tables.append(table) }
    return tables + [costs]
  }

  // MARK: - The paper's form

  /// Method on A, method on B, utility and drop of both.
  func sequences(_ measure: Retention.Measure) -> ResultTable {
    let rows = results.plan.table.flatMap { row in
      labels(of: row.second).map { label -> [String] in
        let retention = Retention(results, leaf: label, measure: measure)
        let (first, second) = (results.plan.stage(row.first), results.plan.stage(row.second))
        let last = retention.rows.last
        let tasks = [first?.task, second?.task].map { $0 ?? "" }
        let title = label == row.second ? row.title : "\(row.title) \(label.dropFirst(row.second.count))"
        return [
          title, method(first), method(second), text(last?.values[tasks[0]], measure),
          text(last?.drops[tasks[0]], measure, signed: true), text(last?.values[tasks[1]], measure),
          text(shortfall(last?.values[tasks[1]], tasks[1], measure), measure, signed: true),
        ]
      }
    }
    let first = results.plan.table.first.flatMap { results.plan.stage($0.first)?.task } ?? "A"
    let second = results.plan.table.first.flatMap { results.plan.stage($0.second)?.task } ?? "B"
    let what = measure == .loss ? "held-out loss" : metricName
    return ResultTable(
      title: "Sequences of two tasks: \(what)",
      head: ["Sequence", "On \(first)", "On \(second)", "\(first)", "Drop", "\(second)", "Drop"], rows: rows,
      note: (measure == .loss ? "Nats a label on test rows; less is better. " : "On test rows; more is better. ")
        + "The drop of \(first): by how much worse than right after its own stage. The drop of \(second): by how much worse "
        + "than the best stage that trains it straight from the base, where the plan has one. " + seedNote)
  }

  var metricName: String {
    let names = results.plan.tasks.compactMap { task in
      results.score(nil, task.name)?.metric.map { "\(task.name) \($0.name)" }
    }
    return names.joined(separator: ", ")
  }

  var seedNote: String {
    let count = results.plan.seeds.count
    return count > 1 ? "Mean over \(count) seeds, with Student's interval of 95 %." : "One seed."
  }

  private func labels(of stage: String) -> [String] {
    var seen: Set<String> = []
    return results.graph.instances.filter { $0.stage.name == stage }.map(\.label).filter { seen.insert($0).inserted }
  }

  func method(_ stage: ExperimentPlan.Stage?) -> String {
    guard let stage else { return "-" }
    let settings = results.plan.settings(of: stage)
    guard case .fixed(let values)? = settings.first(where: { $0.name == "method" })?.value else { return "lota" }
    return values.first ?? "lota"
  }

  private func shortfall(_ figure: SeedFigure?, _ task: String, _ measure: Retention.Measure) -> SeedFigure? {
    guard let figure else { return nil }
    let straight = results.graph.instances.filter { $0.parent == nil && $0.stage.task == task }.map(\.label)
    let means = Set(straight).compactMap {
      Retention(results, leaf: $0, measure: measure).rows.last?.values[task]?.mean
    }
    guard let best = measure == .loss ? means.min() : means.max() else { return nil }
    return SeedFigure(figure.values.map { measure == .loss ? $0 - best : best - $0 })
  }

  // MARK: - Retention

  func retention(_ leaf: String, _ measure: Retention.Measure) -> ResultTable {
    let matrix = Retention(results, leaf: leaf, measure: measure)
    let tasks = results.plan.tasks.map(\.name)
    let rows = matrix.rows.map { row in
      [row.stage ?? "base", row.task ?? "-"]
        + tasks.map { task in
          let value = text(row.values[task], measure)
          return row.drops[task].map { "\(value) (\(text($0, measure, signed: true)))" } ?? value
        }
    }
    return ResultTable(
      title: "Retention, \(leaf): \(measure == .loss ? "held-out loss" : "task metric")",
      head: ["After", "Trained on"] + tasks, rows: rows,
      note: "In brackets: by how much worse than right after the task's own stage. " + seedNote)
  }

  /// `0.1234 ± 0.0021`, percent for metrics.
  func text(_ figure: SeedFigure?, _ measure: Retention.Measure, signed: Bool = false) -> String {
    guard let figure else { return "-" }
    let (scale, digits) = measure == .loss ? (1.0, 4) : (100.0, 1)
    let sign = signed && figure.mean >= 0 ? "+" : ""
    let mean = sign + NumberText.fixed(scale * figure.mean, digits)
    return figure.halfWidth.map { "\(mean) ± \(NumberText.fixed(scale * $0, digits))" } ?? mean
  }

  // MARK: - At equal utility

  var equalUtility: ResultTable? {
    let comparison = EqualUtility(results)
    let levels = comparison.levels
    guard let first = comparison.sequences.first, !levels.isEmpty else { return nil }
    let rows = comparison.sequences.map { sequence in
      [sequence.title]
        + levels.map { level in
          guard let found = sequence.firstLoss(at: level) else { return "-" }
          let sign = found.rise >= 0 ? "+" : ""
          return "\(NumberText.fixed(found.loss, 4)) (\(sign)\(NumberText.fixed(found.rise, 4)))"
        }
    }
    return ResultTable(
      title: "Loss of \(first.firstTask) at equal loss of \(first.secondTask)",
      head: ["Sequence"] + levels.map { "\(first.secondTask) at \(NumberText.fixed($0, 4))" }, rows: rows,
      note:
        "Development rows, nats a label; in brackets the rise since \(first.secondTask)'s training began. Every run counts, "
        + "all values of chosen settings and all scores on the way; between scores it is interpolated. The columns go to "
        + "the lowest loss of \(first.secondTask) that all sequences reach.")
  }

  // MARK: - Choices, tickets, costs

  var choices: ResultTable? {
    guard !results.candidates.isEmpty else { return nil }
    let rows = results.candidates.map { candidate in
      let instance = results.graph.instances[candidate.instance]
      let values = candidate.values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
      let isBest = results.records[candidate.instance]?.key == candidate.record.key
      return [instance.label, values, NumberText.fixed(candidate.loss, 4), isBest ? "chosen" : ""]
    }
    return ResultTable(
      title: "Chosen settings", head: ["Stage", "Value", "Development loss", ""], rows: rows,
      note:
        "The value with the least loss a label on the task's development rows (of a merge: the mean over its tasks), with the "
        + "first seed; other seeds take it over."
    )
  }

  var overlaps: ResultTable? {
    guard !results.overlaps.isEmpty else { return nil }
    let rows = results.overlaps.map { overlap in
      let (first, second) = (results.graph.instances[overlap.first], results.graph.instances[overlap.second])
      return [
        first.label, second.label, "\(first.seed)", NumberText.grouped(overlap.shared),
        NumberText.fixed(overlap.jaccard, 4),
      ]
    }
    return ResultTable(
      title: "Overlap of tickets", head: ["Ticket", "Ticket", "Seed", "Shared weights", "Jaccard"], rows: rows)
  }

  var costs: ResultTable {
    let rows = results.records.sorted { $0.key < $1.key }.map { _, record in
      [
        record.label, "\(record.seed)", NumberText.duration(record.seconds),
        NumberText.bytes(record.peakMemoryBytes), NumberText.bytes(record.bytes),
        record.trained.map(NumberText.grouped) ?? "all",
        record.chosen.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "),
      ]
    }
    return ResultTable(
      title: "Stages", head: ["Stage", "Seed", "Time", "Peak memory", "On disk", "Trained", "Chosen"], rows: rows)
  }
}
