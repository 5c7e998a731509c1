internal import Checkpoints
internal import Tickets

extension ExperimentRun {
  /// - Parameters:
  ///   - values: of the settings that vary or are chosen.
  ///   - base: of everything that is merged.
  mutating func merge(_ index: Int, values: [String: String], over base: ModelState) throws -> StageRecord {
    let instance = graph.instances[index]
    let command = try mergeCommand(index, values: values, over: base)
    return try execute(command, instance) { directory, output in
      try StageRecord(
        mergeOutput: output, directory: directory, command: command, instance: instance, chosen: values)
    }
  }

  /// Its loss: the mean over the merged stages' tasks. A model that lost against others is not made again while its scores stand.
  mutating func mergeCandidate(
    _ index: Int, values: [String: String], over base: ModelState
  ) throws -> (record: StageRecord, loss: Double) {
    let instance = graph.instances[index]
    let tasks = plan.tasks(of: instance.stage).compactMap(plan.task)
    let command = try mergeCommand(index, values: values, over: base)
    var record = try store.record(command.key)
    var losses: [Double] = []
    if let known = record {
      losses = try tasks.compactMap { task in
        guard let rows = task.development else { return nil }
        let key = try builder.score(state(after: known, from: base), rows: rows).key
        let score: TaskScore? = try store.cachedScore(key)
        return score?.tokenLoss
      }
      if losses.count == tasks.count { observe(.unchanged(stage: instance.label, seed: instance.seed)) }
    }
    if losses.count < tasks.count {
      let made = try merge(index, values: values, over: base)
      let reached = state(after: made, from: base)
      losses = try tasks.compactMap { task in
        try task.development.map {
          try loss(reached, rows: $0, of: task, instance.label, instance.seed).tokenLoss
        }
      }
      record = made
    }
    guard let record, !losses.isEmpty else {
      throw ExperimentError.unreadableResult(name: instance.label, reason: "it has no loss on development rows")
    }
    return (record, losses.reduce(0, +) / Double(losses.count))
  }

  private func mergeCommand(_ index: Int, values: [String: String], over base: ModelState) throws -> StageCommand {
    let instance = graph.instances[index]
    let sources = try instance.inputs.map { input -> CommandBuilder.MergeSource in
      let name = graph.instances[input].label
      guard let record = records[input], let state = states[input] else {
        throw ExperimentError.unreadableResult(name: name, reason: "it has not been run")
      }
      guard record.made == .model || state.model == base.model else {
        throw ExperimentError.notMergeable(
          name: instance.label,
          reason: "the adapter of \(name) belongs to the model that a stage before it wrote, not to the base")
      }
      let path = record.made == .model ? state.model : state.adapters.last ?? ""
      return CommandBuilder.MergeSource(
        stage: graph.instances[input].stage.name, record: record, path: path,
        isTicket: record.made == .adapter && !LoRAAdapter.isPEFT(path))
    }
    return builder.merge(instance.stage, seed: instance.seed, values: values, base: base, sources: sources)
  }

  /// Whether what a record tells of is still there: models of merges that lost are removed.
  func isWhole(_ record: StageRecord, _ command: StageCommand) -> Bool {
    guard command.arguments.first == "merge" else { return true }
    return store.directory(record.key).map { FileSystem.exists(command.place(in: $0)) }
      ?? false
  }

  /// Removes what merges made, but for stages that made the same, and keeps their records.
  func discard(_ lost: [StageRecord]) throws {
    for record in lost where !records.values.contains(where: { $0.key == record.key }) {
      guard let directory = store.directory(record.key) else { continue }
      let run = FileSystem.join(directory, "run")
      if FileSystem.exists(run) { try FileSystem.remove(run) }
    }
  }
}
