import ArgumentParser
import Merging
import Tickets
import Torch

struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Merge models and adapters of one base into one.",
    discussion: """
      By a recipe in mergekit's YAML, or by flags. Inputs are fine-tuned models, LoTA adapters and PEFT's LoRA adapters, in any mix. \
      LoTA adapters alone merge into an adapter with --adapter-out, without a model in between.

      Methods: \(MergeMethod.all.map(\.name).joined(separator: ", ")).

      Example: lota merge recipe.yaml --out models/merged
               lota merge --method ties --base models/smollm2 \\
                 --input models/sql --input models/math:0.5 --density 0.1 --out models/merged
               lota merge --method task_arithmetic --base models/smollm2 \\
                 --input runs/sql/adapter --input runs/math/adapter --adapter-out both
      """)

  @Argument(help: ArgumentHelp("Recipe, instead of flags.", valueName: "file")) var recipe: String?

  @Option(help: ArgumentHelp("Model directory to create.", valueName: "dir")) var out: String?
  @Option(help: ArgumentHelp("Adapter directory to create, from LoTA adapters.", valueName: "dir")) var adapterOut:
    String?
  @Flag(help: "Replace an existing directory.") var overwrite = false

  @Option(help: "How to merge.") var method: String?
  @Option(help: ArgumentHelp("Base model directory.", valueName: "dir")) var base: String?
  @Option(
    help: ArgumentHelp(
      "Model or adapter directory, with its weight if that is not 1; may be repeated.", valueName: "dir[:weight]"))
  var input: [String] = []
  @Option(help: "Share of a task vector's entries that stay; LoTA adapters are not thinned out.") var density: Double?
  @Option(help: "What the merged task vector is multiplied by.") var lambda: Double?
  @Option(help: "Divide by the sum of weights, true or false. Default: as the method does.") var normalize: Bool?
  @Option(help: "From 0, the base, to 1, the other model; for slerp.") var t: Double?
  @Option(help: "Element type of the result: float32, bfloat16 or float16. Default: the base's.") var dtype: String?
  @Option(help: "Of random masks.") var seed: UInt64?
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    guard out != nil || adapterOut != nil else { throw ValidationError("name what to create: --out or --adapter-out") }
    if recipe == nil, method == nil { throw ValidationError("give a recipe file, or --method and --input") }
    if recipe != nil, method != nil || base != nil || !input.isEmpty || !parameters.isEmpty || dtype != nil {
      throw ValidationError("a recipe file says all: leave out the flags that describe the merge")
    }
    if let method, MergeMethod(name: method) == nil {
      throw ValidationError("--method is '\(method)': use \(MergeMethod.all.map(\.name).joined(separator: ", "))")
    }
    if method != nil, input.isEmpty { throw ValidationError("--input is missing: name the models to merge") }
    if let dtype, DType(configurationName: dtype) == nil {
      throw ValidationError("--dtype is '\(dtype)': use float32, bfloat16 or float16")
    }
  }

  func run() throws {
    let clock = ContinuousClock()
    let start = clock.now
    let merge = try Merge(try described())
    var figures = MergeFigures()
    if let adapterOut {
      let adapter = try merge.writeAdapter(to: adapterOut, overwrite: overwrite)
      figures.adapterSeconds = (clock.now - start) / .seconds(1)
      figures.trained = adapter.configuration.trainedCount
      figures.overlap = try merge.ticketOverlap()
    }
    if let out {
      figures.memoryBudget = merge.memoryByteCount
      Output.note("memory: at most \(Format.bytes(merge.memoryByteCount))")
      figures.model = try merge.writeModel(to: out, overwrite: overwrite) {
        Output.progress("\(Format.percent(Double($0.done) / Double($0.total), digits: 0)) \($0.tensor)")
      }
      Output.clearLine()
    }
    figures.peakMemory = Engine.peakMemoryInBytes
    if json { try Output.json(figures) } else { Output.result(figures.text(out: out, adapter: adapterOut)) }
  }

  private var parameters: [String: ParameterSetting] {
    var settings: [String: ParameterSetting] = [:]
    for (name, value) in [("density", density), ("lambda", lambda), ("t", t)] {
      if let value { settings[name] = .number(value) }
    }
    if let normalize { settings["normalize"] = .flag(normalize) }
    return settings
  }

  private func described() throws -> MergeRecipe {
    guard let method = method.flatMap(MergeMethod.init(name:)) else {
      var described = try MergeRecipe(path: recipe ?? "")
      if let seed { described.seed = seed }
      return described
    }
    return MergeRecipe(
      method: method, base: base, inputs: input.map(Self.input), parameters: parameters,
      dtype: dtype.flatMap(DType.init(configurationName:)), seed: seed ?? 0)
  }

  /// `DIR` or `DIR:WEIGHT`.
  static func input(_ text: String) -> MergeRecipe.Input {
    guard let colon = text.lastIndex(of: ":"), let weight = Double(text[text.index(after: colon)...]) else {
      return MergeRecipe.Input(text)
    }
    return MergeRecipe.Input(String(text[..<colon]), parameters: ["weight": .number(weight)])
  }
}
