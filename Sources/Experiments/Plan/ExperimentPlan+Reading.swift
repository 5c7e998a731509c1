internal import Checkpoints
internal import Settings

extension ExperimentPlan {
  /// Reads a plan and checks that all it names is there.
  ///
  /// - Parameters:
  ///   - model: in place of the plan's own.
  ///   - locate: gives the directory of the plan's model where that is named otherwise, and leaves directories as they are.
  ///   - data: the directory that holds the tasks' files, in place of the plan's own.
  /// - Throws: ``ExperimentError/invalidPlan(path:line:reason:)``, ``ExperimentError/missingFile(path:plan:)``,
  ///   `CheckpointError` for a file that cannot be read.
  public init(
    path: String, model: String? = nil, data: String? = nil, locate: (String) throws -> String = { $0 }
  ) throws {
    let yaml = String(decoding: try FileSystem.read(path), as: UTF8.self)
    let folder = FileSystem.parent(of: path)
    do {
      try self.init(
        node: SettingsNode(yaml: yaml, path: path, name: "plan"), folder: folder, model: model, data: data ?? folder,
        locate: locate)
      try check(path: path)
    } catch let error as SettingsError {
      throw ExperimentError.invalidPlan(path: error.path, line: error.line, reason: error.reason)
    }
  }

  private init(
    node: SettingsNode, folder: String, model given: String?, data: String, locate: (String) throws -> String
  ) throws {
    let members = try node.members(known: [
      "name", "model", "seeds", "tasks", "train", "curve", "stages", "table",
    ])
    func file(_ node: SettingsNode) throws -> String { Self.resolve(try node.string(), in: data) }
    name = try members["name"]?.string() ?? "experiment"
    guard let model = try given ?? members["model"].map({ try Self.model($0, in: folder, locate) }) else {
      throw node.invalid("the plan names no model: add the key 'model', or use --model")
    }
    self.model = model
    seeds = try (members["seeds"]?.elements() ?? []).map { UInt64(try $0.integer()) }
    if seeds.isEmpty { seeds = [0] }
    guard Set(seeds).count == seeds.count else { throw node.invalid("seeds holds a number twice") }
    tasks = try members.required("tasks", of: node).orderedMembers().map { name, node in
      try Task(name: name, node: node, file: file)
    }
    training = try members["train"]?.orderedMembers().map { try Setting(name: $0.name, node: $0.value, folder) } ?? []
    curveInterval = try members["curve"]?.integer(atLeast: 1)
    stages = try members.required("stages", of: node).orderedMembers().map { name, node in
      try Stage(name: name, node: node, folder)
    }
    table = try members["table"]?.elements().map(TableRow.init) ?? []
  }

  private static func model(
    _ node: SettingsNode, in folder: String, _ locate: (String) throws -> String
  ) throws -> String {
    let name = try node.string()
    do {
      let located = try locate(name)
      return located == name ? resolve(name, in: folder) : located
    } catch {
      throw node.invalid("\(error)")
    }
  }

  static func resolve(_ path: String, in folder: String) -> String {
    path.hasPrefix("/") || folder.isEmpty || folder == "." ? path : FileSystem.join(folder, path)
  }
}

extension ExperimentPlan.Task {
  fileprivate init(name: String, node: SettingsNode, file: (SettingsNode) throws -> String) throws {
    let members = try node.members(known: ["train", "dev", "test", "eval"])
    self.name = name
    train = try members["train"].map(file)
    development = try members["dev"].map(file)
    test = try file(members.required("test", of: node))
    evaluation = try members["eval"].map { try ExperimentPlan.Evaluation($0, file: file) }
  }
}

extension ExperimentPlan.Evaluation {
  fileprivate init(_ node: SettingsNode, file: (SettingsNode) throws -> String) throws {
    let members = try node.members(known: ["recipe", "data", "limit", "metric"])
    let recipe = try members.required("recipe", of: node)
    let name = try recipe.string()
    self.recipe = name.hasSuffix(".yaml") || name.hasSuffix(".yml") ? try file(recipe) : name
    data = try file(members.required("data", of: node))
    limit = try members["limit"]?.integer(atLeast: 1)
    metric = try members["metric"]?.string()
  }
}

extension ExperimentPlan.Stage {
  fileprivate init(name: String, node: SettingsNode, _ folder: String) throws {
    guard !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber || "-_+".contains($0) }) else {
      throw node.invalid("the stage's name '\(name)' may hold letters, digits, '-', '_' and '+' alone")
    }
    self.name = name
    line = node.line
    var from: String?
    var task: String?
    var inputs: [String]?
    var settings: [ExperimentPlan.Setting] = []
    for (key, value) in try node.orderedMembers() {
      switch key {
      case "from": from = try value.string()
      case "train": task = try value.string()
      case "curve": curveInterval = try value.integer(atLeast: 1)
      case "merge": inputs = try value.elements().map { try $0.string() }
      default: settings.append(try ExperimentPlan.Setting(name: key, node: value, folder))
      }
    }
    self.from = from
    switch (task, inputs) {
    case (let task?, nil): action = .train(task: task, settings: settings)
    case (nil, let inputs?):
      guard from == nil else { throw node.invalid("stage \(name) merges others: leave out 'from'") }
      action = .merge(inputs: inputs, settings: settings)
    default: throw node.invalid("stage \(name) needs either 'train: TASK' or 'merge: [STAGES]'")
    }
  }
}

extension ExperimentPlan.Setting {
  /// Options whose values are files.
  private static let files: Set<String> = ["mask", "exclude"]
  /// Given by the plan itself.
  private static let reserved: Set<String> = [
    "model", "data", "adapter", "seed", "out", "json", "validation", "validate-every", "base", "input", "adapter-out",
  ]

  fileprivate init(name: String, node: SettingsNode, _ folder: String) throws {
    guard !Self.reserved.contains(name) else { throw node.invalid("\(name) is set by the plan itself; leave it out") }
    self.name = name
    func resolved(_ text: String) -> String {
      Self.files.contains(name) && StageReference(text) == nil ? ExperimentPlan.resolve(text, in: folder) : text
    }
    guard node.isMapping else {
      if let flag = node.optionalBool {
        value = flag ? .fixed([]) : .off
      } else {
        value = .fixed(try node.strings().map(resolved))
      }
      return
    }
    let members = try node.members(known: ["vary", "choose"])
    guard members.count == 1, let (kind, list) = members.first else {
      throw node.invalid("\(name) needs one value, a list, 'vary: [...]' or 'choose: [...]'")
    }
    let values = try list.elements().map { resolved(try $0.string()) }
    guard values.count > 1, Set(values).count == values.count else {
      throw list.invalid("\(name): \(kind) needs at least two values, none twice")
    }
    value = kind == "vary" ? .vary(values) : .choose(values)
  }
}

extension ExperimentPlan.TableRow {
  fileprivate init(_ node: SettingsNode) throws {
    let members = try node.members(known: ["title", "first", "second"])
    first = try members.required("first", of: node).string()
    second = try members.required("second", of: node).string()
    title = try members["title"]?.string() ?? "\(first), \(second)"
  }
}
