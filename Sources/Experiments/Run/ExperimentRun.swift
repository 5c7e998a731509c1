internal import Checkpoints
internal import Foundation

/// What a run of a plan tells its observer.
public enum ExperimentEvent: Sendable {
  case began(stage: String, seed: UInt64, number: Int, count: Int)
  /// The result of an earlier run stands.
  case unchanged(stage: String, seed: UInt64)
  case finished(stage: String, seed: UInt64, seconds: Double)
  case chosen(stage: String, setting: String, value: String, losses: [String: Double])
  case scoring(stage: String, seed: UInt64, task: String)
  /// The latest line of what runs.
  case progress(String)
}

/// Runs a plan's stages and scores, and leaves out what an earlier run has finished.
public struct ExperimentRun {
  public let plan: ExperimentPlan
  public let graph: StageGraph
  private let store: ExperimentStore
  private let runner: any CommandRunner
  private let observe: (ExperimentEvent) -> Void
  private var builder: CommandBuilder
  private var states: [Int: ModelState] = [:]
  private var records: [Int: StageRecord] = [:]
  /// Values found with the first seed, by stage, variant and setting.
  private var choices: [String: [String: String]] = [:]
  private var candidates: [CandidateResult] = []

  /// - Parameters:
  ///   - output: the experiment's directory; what it holds of an earlier run is used.
  public init(
    _ plan: ExperimentPlan, output: String, runner: any CommandRunner,
    observe: @escaping (ExperimentEvent) -> Void = { _ in }
  ) throws {
    self.plan = plan
    graph = StageGraph(plan)
    self.runner = runner
    self.observe = observe
    builder = CommandBuilder(plan)
    store = try ExperimentStore(output)
  }

  /// - Parameter progress: called with what there is after each stage.
  /// - Throws: ``ExperimentError``; what is finished by then stays.
  public mutating func run(progress: (ExperimentResults) throws -> Void = { _ in }) throws -> ExperimentResults {
    let base = try builder.base()
    var scores = [ModelScores(instance: nil, tasks: try score(base, stage: "base", seed: plan.seeds[0]))]
    for index in graph.instances.indices {
      let instance = graph.instances[index]
      let state = instance.parent.flatMap { states[$0] } ?? base
      let record = try perform(index, from: state)
      let reached = self.state(after: record, from: state)
      records[index] = record
      states[index] = reached
      scores.append(
        ModelScores(instance: index, tasks: try score(reached, stage: instance.label, seed: instance.seed)))
      try progress(try results(scores))
    }
    return try results(scores)
  }

  private func results(_ scores: [ModelScores]) throws -> ExperimentResults {
    ExperimentResults(
      plan: plan, graph: graph, records: records, candidates: candidates, scores: scores,
      overlaps: try TicketOverlap.all(graph, masks: masks))
  }

  private var masks: [Int: String] {
    records.compactMapValues { record in
      store.directory(record.key).map { FileSystem.join($0, "run/mask.safetensors") }
    }.filter { FileSystem.exists($0.value) }
  }

  // MARK: - Stages

  private mutating func perform(_ index: Int, from state: ModelState) throws -> StageRecord {
    let instance = graph.instances[index]
    guard case .train(let name, _) = instance.stage.action, let task = plan.task(name), let data = task.train else {
      return try merge(index)
    }
    var values = Dictionary(
      instance.variant.filter { $0.stage == instance.stage.name }.map { ($0.setting, $0.value) },
      uniquingKeysWith: { $1 })
    for (setting, value) in try chosen(index, task: task, data: data, values: values, from: state) {
      values[setting] = value
    }
    return try train(index, task: task, data: data, values: values, from: state)
  }

  private mutating func train(
    _ index: Int, task: ExperimentPlan.Task, data: String, values: [String: String], from state: ModelState
  ) throws -> StageRecord {
    let instance = graph.instances[index]
    let (graph, records, store) = (graph, records, store)
    let command = try builder.train(
      instance.stage, task: task, data: data, seed: instance.seed, values: values, state: state
    ) { reference in
      guard let other = graph.instance(of: reference.stage, for: instance), let record = records[other],
        let directory = store.directory(record.key)
      else { throw ExperimentError.unreadableResult(name: reference.stage, reason: "it has not been run") }
      let name = reference.part == .mask ? "mask.safetensors" : reference.part.rawValue
      return (FileSystem.join(directory, "run/" + name), record.key)
    }
    let files = Dictionary(
      builder.developmentRows(besides: task).map { ($0.rows, $0.name) }, uniquingKeysWith: { first, _ in first })
    return try execute(command, instance, chosen: values) { directory, output in
      try StageRecord(
        trainOutput: output, directory: directory, command: command, instance: instance, chosen: values, tasks: files)
    }
  }

  /// Runs the command unless its result is there.
  private func execute(
    _ command: StageCommand, _ instance: StageInstance, chosen: [String: String],
    _ record: (String, String) throws -> StageRecord
  ) throws -> StageRecord {
    if let finished = try store.record(command.key) {
      observe(.unchanged(stage: instance.label, seed: instance.seed))
      return finished
    }
    let number = (graph.instances.firstIndex(of: instance) ?? 0) + 1
    observe(.began(stage: instance.label, seed: instance.seed, number: number, count: graph.instances.count))
    let name = "\(instance.stage.name).seed\(instance.seed)"
    let finished = try store.run(command.key, name: name) { directory in
      let log = FileSystem.join(directory, "log.txt")
      let arguments = command.arguments + ["--out", FileSystem.join(directory, "run")]
      let output = try runner.run(arguments, log: log) { observe(.progress($0)) }
      guard output.status == 0 else {
        let kept = FileSystem.join(store.path, "\(name).failed.txt")
        if FileSystem.exists(kept) { try FileSystem.remove(kept) }
        try FileSystem.copyFile(from: log, to: kept)
        throw ExperimentError.stageFailed(
          name: instance.label, command: "lota " + arguments.joined(separator: " "), status: output.status,
          reason: output.lastLine, log: kept)
      }
      return try record(FileSystem.join(directory, "run"), output.text)
    }
    observe(.finished(stage: instance.label, seed: instance.seed, seconds: finished.seconds))
    return finished
  }

  private func merge(_ index: Int) throws -> StageRecord {
    let instance = graph.instances[index]
    throw ExperimentError.unreadableResult(name: instance.label, reason: "merging is not a stage yet")
  }

  private func state(after record: StageRecord, from state: ModelState) -> ModelState {
    let run = FileSystem.join(store.directory(record.key) ?? "", "run")
    switch record.made {
    case .model: return ModelState(key: record.key, model: FileSystem.join(run, "model"))
    case .adapter:
      return ModelState(
        key: record.key, model: state.model, adapters: state.adapters + [FileSystem.join(run, "adapter")])
    }
  }

  // MARK: - Choices

  /// Values of the settings to be chosen: those of the first seed, for which every combination is trained.
  private mutating func chosen(
    _ index: Int, task: ExperimentPlan.Task, data: String, values: [String: String], from state: ModelState
  ) throws -> [String: String] {
    let instance = graph.instances[index]
    let combinations = Self.combinations(plan.settings(of: instance.stage))
    guard combinations.count > 1 else { return [:] }
    if let known = choices[instance.label] { return known }
    var losses: [(values: [String: String], loss: Double)] = []
    for combination in combinations {
      let record = try train(
        index, task: task, data: data, values: values.merging(combination) { $1 }, from: state)
      guard let loss = record.finalLoss(of: task.name) else {
        throw ExperimentError.unreadableResult(name: instance.label, reason: "it has no loss on development rows")
      }
      candidates.append(CandidateResult(instance: index, values: combination, record: record))
      losses.append((combination, loss))
    }
    guard let best = losses.filter({ $0.loss.isFinite }).min(by: { $0.loss < $1.loss }) else {
      throw ExperimentError.unreadableResult(name: instance.label, reason: "no value has a finite loss")
    }
    for (setting, value) in best.values.sorted(by: { $0.key < $1.key }) {
      let table = Dictionary(losses.map { ($0.values[setting] ?? "", $0.loss) }, uniquingKeysWith: min)
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

  // MARK: - Scores

  private mutating func score(_ state: ModelState, stage: String, seed: UInt64) throws -> [String: TaskScore] {
    var scores: [String: TaskScore] = [:]
    for task in plan.tasks {
      var score = try loss(state, task, stage, seed)
      if let evaluation = task.evaluation {
        let command = try builder.evaluate(state, evaluation)
        score.metric = try store.score(command.key) {
          observe(.scoring(stage: stage, seed: seed, task: task.name))
          return try MetricValue(evalOutput: try output(of: command, stage), metric: evaluation.metric, stage: stage)
        }
      }
      scores[task.name] = score
    }
    return scores
  }

  private mutating func loss(
    _ state: ModelState, _ task: ExperimentPlan.Task, _ stage: String, _ seed: UInt64
  ) throws -> TaskScore {
    let command = try builder.score(state, rows: task.test)
    return try store.score(command.key) {
      observe(.scoring(stage: stage, seed: seed, task: task.name))
      return try TaskScore(scoreOutput: try output(of: command, stage), stage: stage)
    }
  }

  private func output(of command: StageCommand, _ stage: String) throws -> String {
    let log = FileSystem.join(store.path, "scoring.log")
    let output = try runner.run(command.arguments, log: log) { observe(.progress($0)) }
    guard output.status == 0 else {
      throw ExperimentError.stageFailed(
        name: stage, command: "lota " + command.arguments.joined(separator: " "), status: output.status,
        reason: output.lastLine, log: log)
    }
    return output.text
  }
}
