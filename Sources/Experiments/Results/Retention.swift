/// What is left of each task after each stage of a sequence (the retention matrix), over the plan's seeds.
public struct Retention: Equatable, Sendable {
  /// What is measured.
  public enum Measure: Equatable, Sendable {
    /// Mean of -log p over the test rows' labels: less is better.
    case loss
    /// The task recipe's figure: more is better.
    case metric
  }

  /// A stage's row.
  public struct Row: Equatable, Sendable {
    /// nil: the base.
    public let stage: String?
    /// The task that it trains.
    public let task: String?
    /// By task.
    public let values: [String: SeedFigure]
    /// By how much worse than right after the task's own stage; for tasks trained before.
    public let drops: [String: SeedFigure]
  }

  public let rows: [Row]

  /// - Parameter leaf: label of the sequence's last stage.
  public init(_ results: ExperimentResults, leaf: String, measure: Measure) {
    let graph = results.graph
    let chains = graph.instances.indices.filter { graph.instances[$0].label == leaf }.map(graph.chain)
    func value(_ instance: Int?, _ task: String) -> Double? {
      let score = results.score(instance, task)
      return measure == .loss ? score?.tokenLoss : score?.metric?.value
    }
    func figures(_ body: (_ chain: [Int], _ task: String) -> Double?) -> [String: SeedFigure] {
      Dictionary(
        results.plan.tasks.compactMap { task in
          SeedFigure(chains.compactMap { body($0, task.name) }).map { (task.name, $0) }
        }, uniquingKeysWith: { first, _ in first })
    }
    var rows = [
      Row(stage: nil, task: nil, values: figures { _, task in value(nil, task) }, drops: [:])
    ]
    for position in 0..<(chains.first?.count ?? 0) {
      let instance = graph.instances[chains[0][position]]
      rows.append(
        Row(
          stage: instance.label, task: instance.stage.task,
          values: figures { chain, task in value(chain[position], task) },
          drops: figures { chain, task in
            guard let own = chain[..<position].lastIndex(where: { graph.instances[$0].stage.task == task }),
              let before = value(chain[own], task), let after = value(chain[position], task)
            else { return nil }
            return measure == .loss ? after - before : before - after
          }))
    }
    self.rows = rows
  }
}
