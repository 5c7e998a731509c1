import ArgumentParser
import Hub
import Merging
import Reports
import Tickets
import Torch

struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Merge models and adapters of one base into one, or search for the numbers to do it with.",
    discussion: """
      By a recipe in mergekit's YAML, or by flags. Inputs are fine-tuned models, LoTA adapters and PEFT's LoRA adapters, in any mix. \
      LoTA adapters alone merge into an adapter with --adapter-out, without a model in between.

      Methods: \(MergeMethod.all.map(\.name).joined(separator: ", ")).

      Without a subcommand: write.

      Example: lota merge recipe.yaml --out models/merged
               lota merge --method ties --base models/smollm2 \\
                 --input models/sql --input models/math:0.5 --density 0.1 --out models/merged
               lota merge --method task_arithmetic --base models/smollm2 \\
                 --input runs/sql/adapter --input runs/math/adapter --adapter-out both
      """,
    subcommands: [Write.self, Search.self], defaultSubcommand: Write.self)

  struct Write: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Merge by a recipe or by flags, into a model, an adapter, or both.",
      discussion: "Example: lota merge write recipe.yaml --out models/merged")

    @Argument(help: ArgumentHelp("Recipe, instead of flags.", valueName: "file")) var recipe: String?

    @Option(help: ArgumentHelp("Model directory to create.", valueName: "dir")) var out: String?
    @Option(help: ArgumentHelp("Adapter directory to create, from LoTA adapters.", valueName: "dir")) var adapterOut:
      String?
    @Flag(help: "Replace an existing directory.") var overwrite = false

    @OptionGroup var options: MergeOptions

    @Option(
      help: ArgumentHelp(
        "Model or adapter directory, with its weight if it has one of its own; may be repeated.",
        valueName: "dir[:weight]"))
    var input: [String] = []
    @Option(help: "Of inputs that have no weight of their own. Default: 1.") var weight: Double?
    @Option(help: "Share of a task vector's entries that stay; LoTA adapters are not thinned out.") var density: Double?
    @Option(help: "What the merged task vector is multiplied by.") var lambda: Double?
    @Option(help: "Share of the largest entries that is dropped, for breadcrumbs. Default: 0.01.") var gamma: Double?
    @Option(help: "Spread of the probabilities to stay, for della. Default: 0.15.") var epsilon: Double?
    @Option(help: "From 0, the base, to 1, the other model; for slerp.") var t: Double?
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
      guard out != nil || adapterOut != nil else {
        throw ValidationError("name what to create: --out or --adapter-out")
      }
      if recipe == nil, options.method == nil {
        throw ValidationError("give a recipe file, or --method and --input")
      }
      if recipe != nil, !options.isEmpty || !input.isEmpty || !numbers.isEmpty {
        throw ValidationError("a recipe file says all: leave out the flags that describe the merge")
      }
      if options.method != nil, input.isEmpty {
        throw ValidationError("--input is missing: name the models to merge")
      }
    }

    func run() throws {
      let clock = ContinuousClock()
      let start = clock.now
      let merge = try Merge(try described().located(by: HubCache().resolve))
      var figures = MergeFigures()
      if let adapterOut {
        let adapter = try merge.writeAdapter(to: adapterOut, overwrite: overwrite)
        figures.adapterSeconds = (clock.now - start) / .seconds(1)
        figures.trained = adapter.configuration.trainedCount
        figures.overlap = try merge.ticketOverlap()
      }
      if let out {
        figures.memoryBudget = merge.memoryByteCount
        Output.note("memory: at most \(NumberText.bytes(merge.memoryByteCount))")
        figures.model = try merge.writeModel(to: out, overwrite: overwrite) {
          Output.progress("\(NumberText.percent(Double($0.done) / Double($0.total), decimals: 0)) \($0.tensor)")
        }
        Output.clearLine()
      }
      figures.peakMemory = Engine.peakMemoryInBytes
      if json { try Output.json(figures) } else { Output.result(figures.text(out: out, adapter: adapterOut)) }
    }

    private var numbers: [String: ParameterSetting] {
      let given = [
        "weight": weight, "density": density, "lambda": lambda, "gamma": gamma, "epsilon": epsilon, "t": t,
      ]
      return given.compactMapValues { $0.map { .number($0) } }
    }

    private func described() throws -> MergeRecipe {
      guard var described = options.recipe(input.map(MergeCommand.input)) else {
        var described = try MergeRecipe(path: recipe ?? "")
        if let seed = options.seed { described.seed = seed }
        return described
      }
      described.parameters.merge(numbers) { $1 }
      return described
    }
  }

  /// `DIR` or `DIR:WEIGHT`.
  static func input(_ text: String) -> MergeRecipe.Input {
    guard let colon = text.lastIndex(of: ":"), let weight = Double(text[text.index(after: colon)...]) else {
      return MergeRecipe.Input(text)
    }
    return MergeRecipe.Input(String(text[..<colon]), parameters: ["weight": .number(weight)])
  }
}
