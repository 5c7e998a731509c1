/// A stage with one seed and one value for each setting that varies, its own and those of the stages before it.
public struct StageInstance: Equatable, Sendable {
  public let stage: ExperimentPlan.Stage
  public let seed: UInt64
  /// Values of settings that vary along the way, outermost first.
  public let variant: [Variation]
  /// Position of the instance that it goes on from; nil: the base.
  public let parent: Int?
  /// Positions of the instances that it merges, in the plan's order.
  public let inputs: [Int]

  public struct Variation: Equatable, Hashable, Sendable {
    public let stage: String
    public let setting: String
    public let value: String
  }

  /// Its name without the seed: `b-fft[learning-rate=1e-5]`.
  public var label: String {
    variant.isEmpty
      ? stage.name : "\(stage.name)[\(variant.map { "\($0.setting)=\($0.value)" }.joined(separator: ","))]"
  }
}

/// All instances of a plan's stages, parents before children, a seed after the other.
public struct StageGraph: Equatable, Sendable {
  public private(set) var instances: [StageInstance] = []

  public init(_ plan: ExperimentPlan) {
    for seed in plan.seeds {
      var positions: [String: [Int]] = [:]
      for stage in plan.stages {
        for origin in origins(of: stage, positions) {
          for own in Self.variations(of: stage, plan) {
            positions[stage.name, default: []].append(instances.count)
            instances.append(
              StageInstance(
                stage: stage, seed: seed, variant: origin.variant + own, parent: origin.parent, inputs: origin.inputs))
          }
        }
      }
    }
  }

  /// What an instance begins with.
  private struct Origin {
    var parent: Int?
    var inputs: [Int] = []
    var variant: [StageInstance.Variation] = []

    /// With one more input; nil where the two come from different values of the same setting of a stage.
    func merging(_ position: Int, _ other: [StageInstance.Variation]) -> Origin? {
      let own = variant
      let isContradiction = other.contains { new in
        own.contains { $0.stage == new.stage && $0.setting == new.setting && $0.value != new.value }
      }
      guard !isContradiction else { return nil }
      return Origin(inputs: inputs + [position], variant: own + other.filter { !own.contains($0) })
    }
  }

  /// - Parameter positions: of the seed's instances, by stage.
  private func origins(of stage: ExperimentPlan.Stage, _ positions: [String: [Int]]) -> [Origin] {
    if case .merge(let names, _) = stage.action {
      return names.reduce([Origin()]) { origins, name in
        origins.flatMap { origin in (positions[name] ?? []).compactMap { origin.merging($0, instances[$0].variant) } }
      }
    }
    guard let from = stage.from else { return [Origin()] }
    return (positions[from] ?? []).map { Origin(parent: $0, variant: instances[$0].variant) }
  }

  /// Every combination of the values that the stage's own settings run through.
  private static func variations(
    of stage: ExperimentPlan.Stage, _ plan: ExperimentPlan
  ) -> [[StageInstance.Variation]] {
    plan.settings(of: stage).reduce([[]]) { combinations, setting in
      guard case .vary(let values) = setting.value else { return combinations }
      return combinations.flatMap { combination in
        values.map { combination + [.init(stage: stage.name, setting: setting.name, value: $0)] }
      }
    }
  }

  /// Positions of the instances from the first stage to this one.
  public func chain(to index: Int) -> [Int] {
    var chain = [index]
    while let parent = instances[chain[0]].parent { chain.insert(parent, at: 0) }
    return chain
  }

  /// Whether no instance goes on from it.
  public func isLeaf(_ index: Int) -> Bool { !instances.contains { $0.parent == index } }

  /// Among what an instance merges, the one that trains a task; nil where none does.
  public func source(of task: String, in index: Int) -> Int? {
    instances[index].inputs.lazy.compactMap { input in
      instances[input].stage.task == task ? input : source(of: task, in: input)
    }.first
  }

  /// The instance of another stage that belongs to the same seed, and to the same variant where there are several.
  func instance(of stage: String, for instance: StageInstance) -> Int? {
    let same = instances.indices.filter { instances[$0].stage.name == stage && instances[$0].seed == instance.seed }
    return same.first { other in instances[other].variant.allSatisfy(instance.variant.contains) } ?? same.first
  }
}
