/// A merge beside the stages that it merges, over the plan's seeds.
public struct MergeOutcome: Equatable, Sendable {
  public struct Task: Equatable, Sendable {
    public let name: String
    /// Of the stage that trains it, right after it.
    public let alone: SeedFigure
    public let merged: SeedFigure
    /// By how much worse the merge is.
    public let drop: SeedFigure
  }

  public let label: String
  /// A position of it in the graph: of its first seed.
  public let instance: Int
  /// Those that it merges, in the plan's order.
  public let tasks: [Task]
  /// Over the tasks.
  public let mean: SeedFigure
  public let meanDrop: SeedFigure

  /// All merges of a plan that have figures, in its order.
  public static func all(_ results: ExperimentResults, _ measure: Retention.Measure) -> [MergeOutcome] {
    var seen: Set<String> = []
    return results.graph.instances.filter { !$0.inputs.isEmpty && seen.insert($0.label).inserted }.compactMap {
      MergeOutcome(results, label: $0.label, measure)
    }
  }

  private init?(_ results: ExperimentResults, label: String, _ measure: Retention.Measure) {
    let graph = results.graph
    let instances = graph.instances.indices.filter { graph.instances[$0].label == label }
    guard let first = instances.first else { return nil }
    func value(_ instance: Int, _ task: String) -> Double? {
      let score = results.score(instance, task)
      return measure == .loss ? score?.tokenLoss : score?.metric?.value
    }
    typealias Pair = (alone: Double, merged: Double)
    let rows: [(task: String, pairs: [Pair])] = results.plan.tasks(of: graph.instances[first].stage).compactMap {
      task in
      let pairs = instances.compactMap { instance -> Pair? in
        guard let source = graph.source(of: task, in: instance), let alone = value(source, task),
          let merged = value(instance, task)
        else { return nil }
        return (alone, merged)
      }
      return pairs.isEmpty ? nil : (task, pairs)
    }
    func drop(_ pair: Pair) -> Double { measure == .loss ? pair.merged - pair.alone : pair.alone - pair.merged }
    func means(_ body: (Pair) -> Double) -> SeedFigure? {
      let count = rows.map(\.pairs.count).min() ?? 0
      return SeedFigure((0..<count).map { seed in rows.reduce(0) { $0 + body($1.pairs[seed]) } / Double(rows.count) })
    }
    tasks = rows.compactMap { name, pairs in
      guard let alone = SeedFigure(pairs.map(\.alone)), let merged = SeedFigure(pairs.map(\.merged)),
        let drop = SeedFigure(pairs.map(drop))
      else { return nil }
      return Task(name: name, alone: alone, merged: merged, drop: drop)
    }
    guard let mean = means({ $0.merged }), let meanDrop = means(drop) else { return nil }
    self.label = label
    instance = first
    self.mean = mean
    self.meanDrop = meanDrop
  }
}
