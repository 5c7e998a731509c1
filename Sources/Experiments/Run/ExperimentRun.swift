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
  let store: ExperimentStore
  private let runner: any CommandRunner
  let observe: (ExperimentEvent) -> Void
  var builder: CommandBuilder
  var states: [Int: ModelState] = [:]
  var records: [Int: StageRecord] = [:]
  /// Values found with the first seed, by stage, variant and setting.
  var choices: [String: [String: String]] = [:]
  var candidates: [CandidateResult] = []

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
    try store.removeUnfinished()
    return try results(scores)
  }

  private func results(_ scores: [ModelScores]) throws -> ExperimentResults {
    ExperimentResults(
      plan: plan, graph: graph, records: records, candidates: candidates, scores: scores,
      overlaps: try StageOverlap.all(graph, masks: masks))
  }

  private var masks: [Int: String] {
    records.compactMapValues { record in
      store.directory(record.key).map { FileSystem.join($0, "run/mask.safetensors") }
    }.filter { FileSystem.exists($0.value) }
  }

  // MARK: - Stages

  private mutating func perform(_ index: Int, from state: ModelState) throws -> StageRecord {
    var values = Dictionary(
      graph.instances[index].variant.filter { $0.stage == graph.instances[index].stage.name }
        .map { ($0.setting, $0.value) }, uniquingKeysWith: { $1 })
    for (setting, value) in try chosen(index, values: values, from: state) { values[setting] = value }
    return try make(index, values: values, from: state)
  }

  /// - Parameter values: of the settings that vary or are chosen.
  private mutating func make(_ index: Int, values: [String: String], from state: ModelState) throws -> StageRecord {
    let instance = graph.instances[index]
    guard case .train(let name, _) = instance.stage.action else { return try merge(index, values: values, over: state) }
    guard let task = plan.task(name), let data = task.train else {
      throw ExperimentError.unreadableResult(name: instance.label, reason: "there are no rows to train on")
    }
    return try train(index, task: task, data: data, values: values, from: state)
  }

  /// A stage with one of the combinations of values to choose from, and its loss on development rows.
  mutating func candidate(
    _ index: Int, values: [String: String], from state: ModelState
  ) throws -> (record: StageRecord, loss: Double) {
    let instance = graph.instances[index]
    guard let task = instance.stage.task else { return try mergeCandidate(index, values: values, over: state) }
    let record = try make(index, values: values, from: state)
    guard let loss = record.finalLoss(of: task) else {
      throw ExperimentError.unreadableResult(name: instance.label, reason: "it has no loss on development rows")
    }
    return (record, loss)
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
    return try execute(command, instance) { directory, output in
      try StageRecord(
        trainOutput: output, directory: directory, command: command, instance: instance, chosen: values, tasks: files)
    }
  }

  /// Runs the command unless its result is there.
  func execute(
    _ command: StageCommand, _ instance: StageInstance, _ record: (String, String) throws -> StageRecord
  ) throws -> StageRecord {
    if let finished = try store.record(command.key), isWhole(finished, command) {
      observe(.unchanged(stage: instance.label, seed: instance.seed))
      return finished
    }
    let number = (graph.instances.firstIndex(of: instance) ?? 0) + 1
    observe(.began(stage: instance.label, seed: instance.seed, number: number, count: graph.instances.count))
    let name = "\(instance.stage.name).seed\(instance.seed)"
    let finished = try store.run(command.key, name: name, resumes: command.resumes) { directory in
      let log = FileSystem.join(directory, "log.txt")
      try FileSystem.createDirectory(FileSystem.parent(of: command.place(in: directory)))
      let arguments = command.arguments(in: directory)
      let output = try run(arguments, log: log, stage: instance.label)
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

  func state(after record: StageRecord, from state: ModelState) -> ModelState {
    let run = FileSystem.join(store.directory(record.key) ?? "", "run")
    switch record.made {
    case .model: return ModelState(key: record.key, model: FileSystem.join(run, "model"))
    case .adapter:
      return ModelState(
        key: record.key, model: state.model, adapters: state.adapters + [FileSystem.join(run, "adapter")])
    }
  }

  // MARK: - Scores

  private mutating func score(_ state: ModelState, stage: String, seed: UInt64) throws -> [String: TaskScore] {
    var scores: [String: TaskScore] = [:]
    for task in plan.tasks {
      var score = try loss(state, rows: task.test, of: task, stage, seed)
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

  mutating func loss(
    _ state: ModelState, rows: String, of task: ExperimentPlan.Task, _ stage: String, _ seed: UInt64
  ) throws -> TaskScore {
    let command = try builder.score(state, rows: rows)
    return try store.score(command.key) {
      observe(.scoring(stage: stage, seed: seed, task: task.name))
      return try TaskScore(scoreOutput: try output(of: command, stage), stage: stage)
    }
  }

  private func run(_ arguments: [String], log: String, stage: String) throws -> CommandOutput {
    do {
      return try runner.run(arguments, log: log) { observe(.progress($0)) }
    } catch is CommandInterruption {
      throw ExperimentError.interrupted(name: stage)
    }
  }

  private func output(of command: StageCommand, _ stage: String) throws -> String {
    let log = FileSystem.join(store.path, "scoring.log")
    let output = try run(command.arguments, log: log, stage: stage)
    guard output.status == 0 else {
      throw ExperimentError.stageFailed(
        name: stage, command: "lota " + command.arguments.joined(separator: " "), status: output.status,
        reason: output.lastLine, log: log)
    }
    return output.text
  }
}
