internal import Checkpoints

/// The command of a stage, and what tells its result from all others.
struct StageCommand {
  /// Verb and options, but for where the result goes.
  var arguments: [String]
  /// Digest of everything that decides the result.
  var key: String
  /// The option that says where the result goes, and its place in the stage's directory.
  var destination = (option: "--out", place: "run")

  /// Training that was interrupted goes on; a merge begins anew.
  var resumes: Bool { arguments.first == "train" }

  /// Where the result goes, in the directory of the stage.
  func place(in directory: String) -> String { FileSystem.join(directory, destination.place) }

  /// All of it, with the directory of the stage.
  func arguments(in directory: String) -> [String] {
    arguments + [destination.option, place(in: directory)] + (resumes ? ["--resume"] : [])
  }
}

/// Makes the commands of a plan's stages.
struct CommandBuilder {
  let plan: ExperimentPlan
  var digests = FileDigests()

  init(_ plan: ExperimentPlan) { self.plan = plan }

  mutating func base() throws -> ModelState {
    ModelState(key: try digests.base(plan.model), model: plan.model)
  }

  /// - Parameters:
  ///   - values: of the settings that vary or are chosen.
  ///   - state: the model that the stage goes on from.
  ///   - product: resolves what other stages have made: its path, and the digest that stands for it.
  mutating func train(
    _ stage: ExperimentPlan.Stage, task: ExperimentPlan.Task, data: String, seed: UInt64, values: [String: String],
    state: ModelState, product: (StageReference) throws -> (path: String, key: String)
  ) throws -> StageCommand {
    var options: [String] = []
    var identity = ["lota-stage 1", "train", state.key, "data \(try digests.digest(of: data))", "seed \(seed)"]
    for setting in plan.settings(of: stage) {
      let given: [String]
      switch setting.value {
      case .off: continue
      case .fixed(let fixed): given = fixed
      case .vary, .choose: given = values[setting.name].map { [$0] } ?? []
      }
      var parts: [String] = []
      for value in given {
        let (text, digest) = try resolve(value, of: setting.name, product: product)
        options += ["--\(setting.name)", text]
        parts.append(digest)
      }
      if case .fixed([]) = setting.value { options.append("--\(setting.name)") }
      identity.append("\(setting.name) \(parts.joined(separator: ","))")
    }
    let validation = developmentRows(besides: task)
    for task in validation {
      identity.append("validation \(try digests.digest(of: task.rows))")
      options += ["--validation", task.rows]
    }
    if !validation.isEmpty {
      let every = stage.curveInterval ?? plan.curveInterval ?? 1_000_000
      identity.append("every \(every)")
      options += ["--validate-every", "\(every)", "--no-keep-best"]
    }
    return StageCommand(
      arguments: ["train"] + state.arguments + ["--data", data, "--seed", "\(seed)"] + options + ["--json"],
      key: FileDigests.digest(lines: identity.prefix(5) + identity.dropFirst(5).sorted()))
  }

  /// What a stage made, as an input of a merge.
  struct MergeSource {
    let stage: String
    let record: StageRecord
    let path: String
    let isTicket: Bool
  }

  /// Tickets merge into an adapter where the method allows it, everything else into a model.
  func merge(
    _ stage: ExperimentPlan.Stage, seed: UInt64, values: [String: String], base: ModelState, sources: [MergeSource]
  ) -> StageCommand {
    let settings = MergeSettings(stage, values: values)
    let identity = ["lota-stage 1", "merge", base.key, "seed \(seed)"]
    let inputs = sources.map {
      "input \($0.record.key)/\($0.record.made.rawValue) \(settings.weight(of: $0.stage))"
    }
    let isSparse = settings.keepsTickets && sources.allSatisfy(\.isTicket)
    return StageCommand(
      arguments: ["merge", "--base", base.model] + settings.arguments(sources.map { ($0.stage, $0.path) })
        + ["--seed", "\(seed)", "--json"],
      key: FileDigests.digest(lines: identity + inputs + settings.identity),
      destination: isSparse ? ("--adapter-out", "run/adapter") : ("--out", "run/model"))
  }

  /// Those of all tasks where a curve is wanted, else those of the stage's own.
  func developmentRows(besides task: ExperimentPlan.Task) -> [(name: String, rows: String)] {
    plan.tasks.filter { plan.curveInterval != nil || $0.name == task.name }.compactMap { task in
      task.development.map { (task.name, $0) }
    }
  }

  mutating func score(_ state: ModelState, rows: String) throws -> StageCommand {
    StageCommand(
      arguments: ["score"] + state.arguments + ["--data", rows, "--json"],
      key: FileDigests.digest(lines: ["lota-score 1", state.key, try digests.digest(of: rows)]))
  }

  mutating func evaluate(_ state: ModelState, _ evaluation: ExperimentPlan.Evaluation) throws -> StageCommand {
    var arguments = ["eval"] + state.arguments + ["--task", "\(evaluation.recipe)=\(evaluation.data)", "--json"]
    var identity = ["lota-eval 1", state.key, try digests.digest(of: evaluation.data)]
    identity.append(evaluation.recipe.hasSuffix("l") ? try digests.digest(of: evaluation.recipe) : evaluation.recipe)
    if let limit = evaluation.limit {
      arguments += ["--limit", "\(limit)"]
      identity.append("limit \(limit)")
    }
    return StageCommand(arguments: arguments, key: FileDigests.digest(lines: identity))
  }

  /// A value as the command gets it, and as it counts for the result.
  private mutating func resolve(
    _ value: String, of name: String, product: (StageReference) throws -> (path: String, key: String)
  ) throws -> (text: String, digest: String) {
    if let reference = StageReference(value) {
      let (path, key) = try product(reference)
      return (path, "\(key)/\(reference.part.rawValue)")
    }
    if name == "replay", let rows = plan.task(value)?.train { return (rows, try digests.digest(of: rows)) }
    if name == "mask" || name == "exclude" { return (value, try digests.digest(of: value)) }
    return (value, value)
  }
}
