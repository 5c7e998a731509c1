extension ExperimentRun {
  /// Values of the settings to be chosen: those of the first seed, for which every combination is run.
  mutating func chosen(
    _ index: Int, values: [String: String], from state: ModelState
  ) throws -> [String: String] {
    let instance = graph.instances[index]
    let combinations = Self.combinations(plan.settings(of: instance.stage))
    guard combinations.count > 1 else { return [:] }
    if let known = choices[instance.label] { return known }
    var results: [CandidateResult] = []
    for combination in combinations {
      let (record, loss) = try candidate(index, values: values.merging(combination) { $1 }, from: state)
      results.append(CandidateResult(instance: index, values: combination, record: record, loss: loss))
    }
    candidates += results
    guard let best = results.filter(\.loss.isFinite).min(by: { $0.loss < $1.loss }) else {
      throw ExperimentError.unreadableResult(name: instance.label, reason: "no value has a finite loss")
    }
    if instance.stage.task == nil { try discard(results.map(\.record).filter { $0.key != best.record.key }) }
    for (setting, value) in best.values.sorted(by: { $0.key < $1.key }) {
      let table = Dictionary(results.map { ($0.values[setting] ?? "", $0.loss) }, uniquingKeysWith: min)
      observe(.chosen(stage: instance.label, setting: setting, value: value, losses: table))
    }
    choices[instance.label] = best.values
    return best.values
  }

  private static func combinations(_ settings: [ExperimentPlan.Setting]) -> [[String: String]] {
    settings.reduce([[:]]) { combinations, setting in
      guard case .choose(let values) = setting.value else { return combinations }
      return combinations.flatMap { combination in
        values.map { value in combination.merging([setting.name: value]) { $1 } }
      }
    }
  }
}
