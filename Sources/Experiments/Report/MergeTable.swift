internal import Reports

extension ExperimentTables {
  /// Merges in the paper's form: what is merged, how, and for each task its figure alone, after the merge, and the drop. nil for a
  /// plan without merges.
  func merges(_ measure: Retention.Measure) -> ResultTable? {
    let outcomes = MergeOutcome.all(results, measure)
    guard !outcomes.isEmpty else { return nil }
    let names = results.plan.tasks.map(\.name).filter { name in
      outcomes.contains { $0.tasks.contains { $0.name == name } }
    }
    let rows = outcomes.map { outcome -> [String] in
      let figures = names.flatMap { name -> [String] in
        guard let task = outcome.tasks.first(where: { $0.name == name }) else { return ["-", "-", "-"] }
        return [text(task.alone, measure), text(task.merged, measure), text(task.drop, measure, signed: true)]
      }
      return [outcome.label, merged(outcome.instance), recipe(outcome.instance)] + figures
        + [text(outcome.mean, measure), text(outcome.meanDrop, measure, signed: true)]
    }
    return ResultTable(
      title: "Merges: \(measure == .loss ? "held-out loss" : metricName)",
      head: ["Merge", "Of", "By"] + names.flatMap { ["\($0) alone", "\($0) merged", "Drop"] } + ["Mean", "Mean drop"],
      rows: rows,
      note: (measure == .loss ? "Nats a label on test rows; less is better. " : "On test rows; more is better. ")
        + "Alone: right after the task's own stage. The means are over the tasks that were merged. " + seedNote)
  }

  /// `sql fft + arithmetic lota`
  private func merged(_ instance: Int) -> String {
    results.graph.instances[instance].inputs.map { input in
      let stage = results.graph.instances[input].stage
      return stage.task.map { "\($0) \(method(stage))" } ?? stage.name
    }.joined(separator: " + ")
  }

  /// `ties, density 0.1`
  private func recipe(_ instance: Int) -> String {
    let stage = results.graph.instances[instance].stage
    let chosen = results.records[instance]?.chosen ?? [:]
    let values = stage.settings.map { setting -> (name: String, value: String) in
      let fixed =
        switch setting.value {
        case .off: "false"
        case .fixed(let given): given.first ?? "true"
        case .vary, .choose: chosen[setting.name] ?? "-"
        }
      return (setting.name, fixed)
    }
    let method = values.first { $0.name == "method" }?.value
    return ([method].compactMap { $0 } + values.filter { $0.name != "method" }.map { "\($0.name) \($0.value)" })
      .joined(separator: ", ")
  }
}
