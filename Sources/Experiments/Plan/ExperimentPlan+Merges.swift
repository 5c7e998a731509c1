internal import Merging

extension ExperimentPlan {
  /// The prefix of a setting that is the weight of one input: `weight-STAGE`.
  static let weightPrefix = "weight-"

  /// The task that a stage trains, or those of the stages that it merges, each once.
  public func tasks(of stage: Stage) -> [String] {
    switch stage.action {
    case .train(let task, _): return [task]
    case .merge:
      var seen: Set<String> = [stage.name]
      var names: [String] = []
      collectTasks(of: stage, &seen, &names)
      return names
    }
  }

  /// Each stage once, in order: merges of merges reach the same stages by very many ways.
  private func collectTasks(of stage: Stage, _ seen: inout Set<String>, _ names: inout [String]) {
    if let task = stage.task, !names.contains(task) { names.append(task) }
    for name in stage.merged where seen.insert(name).inserted {
      if let input = self.stage(name) { collectTasks(of: input, &seen, &names) }
    }
  }

  /// What can be wrong with a stage that merges others, nil where all is well.
  func problem(ofMerge stage: Stage, _ inputs: [String], overFullModels: Set<String>) -> String? {
    if inputs.isEmpty { return "merges no stages: name at least one" }
    var seen: Set<String> = []
    if let twice = inputs.first(where: { !seen.insert($0).inserted }) { return "merges '\(twice)' twice" }
    if stage.curveInterval != nil { return "merges others and has no steps: leave out 'curve'" }
    if let name = inputs.first(where: overFullModels.contains) {
      return
        "merges '\(name)', whose adapter belongs to the model that full fine-tuning wrote before it, not to the base"
    }
    return methodProblem(stage, inputs)
      ?? stage.settings.lazy.compactMap { setting -> String? in
        if setting.name.hasPrefix(Self.weightPrefix) {
          let name = String(setting.name.dropFirst(Self.weightPrefix.count))
          if !inputs.contains(name) { return "weighs '\(name)', which it does not merge" }
          if let text = setting.value.given.first(where: { Double($0) == nil }) {
            return "has \(setting.name) '\(text)', which is no number"
          }
        }
        if case .fixed(let values) = setting.value, values.count > 1 {
          return "\(setting.name) takes one value, 'vary: [...]' or 'choose: [...]'"
        }
        guard case .choose = setting.value else { return nil }
        return tasks(of: stage).first { self.task($0)?.development == nil }.map {
          "chooses \(setting.name), but task \($0) has no 'dev' rows"
        }
      }.first
  }

  private func methodProblem(_ stage: Stage, _ inputs: [String]) -> String? {
    let known = MergeMethod.all.map(\.name).joined(separator: ", ")
    guard let method = stage.settings.first(where: { $0.name == "method" })?.value.given, !method.isEmpty else {
      return "merges others, but no method is named: add 'method', one of \(known)"
    }
    for name in method {
      guard let found = MergeMethod(name: name) else { return "merges by '\(name)': use \(known)" }
      if !found.takesSeveral, inputs.count > 1 {
        return "merges \(inputs.count) stages, but \(name) goes from the base to one other model"
      }
    }
    return nil
  }

  /// The stages that train an adapter over a model that full fine-tuning wrote.
  func stagesOverFullModels() -> Set<String> {
    // Of a stage and all before it.
    var writing: Set<String> = []
    var found: Set<String> = []
    for stage in stages {
      let isOver = stage.from.map(writing.contains) ?? false
      let writes = writesModel(stage)
      if isOver || writes { writing.insert(stage.name) }
      if isOver, stage.task != nil, !writes { found.insert(stage.name) }
    }
    return found
  }

  private func writesModel(_ stage: Stage) -> Bool {
    guard stage.task != nil else { return false }
    return settings(of: stage).first { $0.name == "method" }?.value == .fixed(["fft"])
  }
}

extension ExperimentPlan.Setting.Value {
  /// All values that it may take.
  var given: [String] {
    switch self {
    case .fixed(let values), .vary(let values), .choose(let values): values
    case .off: []
    }
  }
}

extension MergeMethod {
  /// Whether it takes more than one model beside the base.
  fileprivate var takesSeveral: Bool { name != "slerp" }
}
