/// A stage with one seed and one value for each setting that varies, its own and those of the stages before it.
public struct StageInstance: Equatable, Sendable {
  public let stage: ExperimentPlan.Stage
  public let seed: UInt64
  /// Values of settings that vary along the way, outermost first.
  public let variant: [Variation]
  /// Position of the instance that it goes on from; nil: the base.
  public let parent: Int?

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
      for stage in plan.stages {
        let parents: [Int?] =
          stage.from.map { name in
            instances.indices.filter { instances[$0].stage.name == name && instances[$0].seed == seed }
          } ?? [nil]
        for parent in parents {
          let inherited = parent.map { instances[$0].variant } ?? []
          for own in Self.variations(of: stage, plan) {
            instances.append(
              StageInstance(stage: stage, seed: seed, variant: inherited + own, parent: parent))
          }
        }
      }
    }
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

  /// The instance of another stage that belongs to the same seed, and to the same variant where there are several.
  func instance(of stage: String, for instance: StageInstance) -> Int? {
    let same = instances.indices.filter { instances[$0].stage.name == stage && instances[$0].seed == instance.seed }
    return same.first { other in instances[other].variant.allSatisfy(instance.variant.contains) } ?? same.first
  }
}
