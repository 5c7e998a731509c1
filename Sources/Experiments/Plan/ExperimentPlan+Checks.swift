internal import Checkpoints

extension ExperimentPlan {
  /// Names, order and files: what can be wrong before anything runs.
  func check(path: String) throws {
    func refuse(_ line: Int, _ reason: String) -> ExperimentError {
      .invalidPlan(path: path, line: line, reason: reason)
    }
    guard !tasks.isEmpty else { throw refuse(1, "tasks is empty") }
    guard !stages.isEmpty else { throw refuse(1, "stages is empty") }
    var known: Set<String> = []
    let overFullModels = stagesOverFullModels()
    for stage in stages {
      for name in [stage.from].compactMap({ $0 }) + stage.references where !known.contains(name) {
        let reason = self.stage(name) == nil ? "there is no such stage" : "it must stand before"
        let what = stage.merged.contains(name) ? "merges" : "goes on from"
        throw refuse(stage.line, "stage \(stage.name) \(what) '\(name)': \(reason)")
      }
      known.insert(stage.name)
      if case .train(let name, let settings) = stage.action {
        guard let task = task(name) else {
          let names = tasks.map(\.name).joined(separator: ", ")
          throw refuse(stage.line, "stage \(stage.name) trains '\(name)', but the tasks are \(names)")
        }
        guard task.train != nil else { throw refuse(stage.line, "task \(name) has no rows to train on: add 'train'") }
        for setting in self.settings(of: stage) where task.development == nil {
          guard case .choose = setting.value else { continue }
          throw refuse(stage.line, "stage \(stage.name) chooses \(setting.name), but task \(name) has no 'dev' rows")
        }
        for case .fixed(let values) in settings.filter({ $0.name == "replay" }).map(\.value) {
          for value in values where self.task(value)?.train == nil {
            throw refuse(stage.line, "stage \(stage.name) replays '\(value)', which is no task with rows to train on")
          }
        }
      } else if let problem = problem(ofMerge: stage, stage.merged, overFullModels: overFullModels) {
        throw refuse(stage.line, "stage \(stage.name) \(problem)")
      }
    }
    for row in table {
      guard let second = stage(row.second), stage(row.first) != nil else {
        throw refuse(1, "table: there is no stage '\(stage(row.first) == nil ? row.first : row.second)'")
      }
      guard second.from == row.first else {
        throw refuse(second.line, "table: stage \(row.second) does not go on from \(row.first)")
      }
    }
    try checkRunCount(path: path)
    try checkFiles(path: path)
  }

  /// Runs of all seeds, stages and varied values that a plan may have.
  static let maximumRunCount = 10_000

  /// Counts runs without making them: a few lines can stand for very many.
  private func checkRunCount(path: String) throws {
    func product(_ factors: [Int]) -> Int {
      factors.reduce(1) { min($0 * min($1, Self.maximumRunCount + 1), Self.maximumRunCount + 1) }
    }
    var counts: [String: Int] = [:]
    var total = 0
    for stage in stages {
      let own = settings(of: stage).map { setting in
        if case .vary(let values) = setting.value { values.count } else { 1 }
      }
      // Of a merge's inputs not all pairs fit; as a limit their product will do.
      let count = product(own + (stage.merged + [stage.from].compactMap { $0 }).map { counts[$0] ?? 1 })
      counts[stage.name] = count
      total += count
      guard product([total, seeds.count]) <= Self.maximumRunCount else {
        throw ExperimentError.invalidPlan(
          path: path, line: stage.line,
          reason:
            "with stage \(stage.name) the plan has more than \(Self.maximumRunCount) runs: vary fewer values or seeds")
      }
    }
  }

  private func checkFiles(path: String) throws {
    var files = [FileSystem.join(model, "config.json")]
    for task in tasks {
      files += [task.train, task.development, task.test, task.evaluation?.data].compactMap { $0 }
    }
    if let missing = files.first(where: { !FileSystem.exists($0) }) {
      throw ExperimentError.missingFile(path: missing, plan: path)
    }
  }

  /// The plan's for every stage, and the stage's own, which win.
  func settings(of stage: Stage) -> [Setting] {
    guard case .train(_, let own) = stage.action else { return stage.settings }
    return training.filter { general in !own.contains { $0.name == general.name } } + own
  }

  /// Refuses settings that are no options of the stage's command, before anything runs.
  ///
  /// - Parameter check: throws for a command that `lota` does not take.
  /// - Throws: ``ExperimentError/invalidStage(name:plan:line:reason:)``
  public func checkOptions(path: String, _ check: ([String]) throws -> Void) throws {
    for stage in stages {
      do {
        try check(example(of: stage))
      } catch {
        throw ExperimentError.invalidStage(name: stage.name, plan: path, line: stage.line, reason: "\(error)")
      }
    }
  }

  /// A stage's command with stand-ins for what is not there yet.
  private func example(of stage: Stage) -> [String] {
    switch stage.action {
    case .train:
      let options = settings(of: stage).flatMap { setting -> [String] in
        switch setting.value {
        case .off: []
        case .fixed(let values): values.isEmpty ? ["--\(setting.name)"] : values.flatMap { ["--\(setting.name)", $0] }
        case .vary(let values), .choose(let values): ["--\(setting.name)", values[0]]
        }
      }
      return ["train", "--model", "m", "--data", "d", "--out", "o"] + options
    case .merge(let inputs, _):
      let values = Dictionary(
        stage.settings.compactMap { setting in setting.value.given.first.map { (setting.name, $0) } },
        uniquingKeysWith: { first, _ in first })
      return ["merge", "--base", "m", "--out", "o"]
        + MergeSettings(stage, values: values).arguments(inputs.map { (name: $0, path: $0) })
    }
  }
}
