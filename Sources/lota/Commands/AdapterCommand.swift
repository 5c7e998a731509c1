import ArgumentParser
import Checkpoints
import Tickets

struct AdapterCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adapter", abstract: "Inspect, apply, remove, extract, encode, compare and verify adapters.",
    subcommands: [Inspect.self, Apply.self, Remove.self, Extract.self, Encode.self, Diff.self, Verify.self])

  struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "What an adapter holds, and where its bytes go.",
      discussion: "Example: lota adapter inspect runs/sql/adapter")

    @Argument(help: "Adapter directory.") var directory: String
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
      let adapter = try Adapter(directory: directory)
      let figures = AdapterFigures(adapter, try AdapterStatistics(adapter))
      if json { try Output.json(figures) } else { Output.result(figures.text) }
    }
  }

  struct Apply: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write the model that a base becomes with adapters.",
      discussion: "Example: lota adapter apply --model models/smollm2 --adapter runs/sql/adapter --out models/sql")

    @Option(help: ArgumentHelp("Base model directory.", valueName: "dir")) var model: String
    @OptionGroup var adapters: RequiredAdapters
    @OptionGroup var output: OutputOptions

    func run() throws {
      try Adapter.apply(
        try adapters.opened(), to: try Checkpoint(directory: model), output: output.out, overwrite: output.overwrite)
      Output.result(output.out)
    }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write the model that a tuned one is without adapters that were applied to it.",
      discussion: """
        The base's values return bit for bit, on the adapter's weights and only there. The base itself is needed only where an
        adapter's values are bfloat16 or int8.

        Example: lota adapter remove --model models/sql --adapter runs/sql/adapter --out models/base
        """)

    @Option(help: ArgumentHelp("Directory of the model that holds the adapters.", valueName: "dir")) var model: String
    @OptionGroup var adapters: RequiredAdapters
    @Option(help: ArgumentHelp("Base model directory, for adapters with bfloat16 or int8 values.", valueName: "dir"))
    var base: String?
    @OptionGroup var output: OutputOptions

    func run() throws {
      try Adapter.remove(
        try adapters.opened(), from: try Checkpoint(directory: model),
        base: try base.map { try Checkpoint(directory: $0) }, output: output.out, overwrite: output.overwrite)
      Output.result(output.out)
    }
  }

  struct Extract: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The adapter that a fine-tuned model is, relative to its base.",
      discussion: """
        Exact when at most half of the weights changed; else, or with --sparsity when more changed than it leaves, the projection
        weights of largest change, ranked over the whole model.

        Example: lota adapter extract --base models/smollm2 --tuned models/sql --out sql-adapter
        """)

    @Option(help: ArgumentHelp("Base model directory.", valueName: "dir")) var base: String
    @Option(help: ArgumentHelp("Fine-tuned model directory.", valueName: "dir")) var tuned: String
    @Option(
      help: "Fraction of the projection weights to leave out, in [0, 1). Default: none, or 0.9 for a dense fine-tune.")
    var sparsity: Double?
    @Option(help: "How to store values; bfloat16 and int8 round the updates.") var values = ValueCoding.exact
    @OptionGroup var output: OutputOptions
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
      let (adapter, summary) = try Adapter.extract(
        base: try Checkpoint(directory: base), tuned: try Checkpoint(directory: tuned), output: output.out,
        amount: sparsity.map { .sparsity($0) }, coding: values, overwrite: output.overwrite)
      if json { return try Output.json(summary) }
      var notes: [String] = []
      if summary.kept < summary.changed { notes.append("the others keep the base's values") }
      if let error = adapter.configuration.valueError { notes.append(AdapterFigures.text(values, error)) }
      let kept = "\(summary.kept) of \(summary.changed) changed weights (of \(summary.total))"
      Output.result(
        "\(output.out): \(kept); \(notes.isEmpty ? "exact" : "NOT exact: " + notes.joined(separator: "; "))")
    }
  }

  struct Encode: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "A smaller adapter with rounded updates, made from an exact one.",
      discussion: """
        The trained weights are then others than those that were trained; the error is printed and kept in the adapter. For bfloat16
        and float16 bases the exact adapter is usually the smallest already.

        Example: lota adapter encode runs/sql/adapter --model models/smollm2 --values int8 --out sql-int8
        """)

    @Argument(help: "Adapter directory.") var directory: String
    @Option(help: ArgumentHelp("Base model directory.", valueName: "dir")) var model: String
    @Option(help: "How to round the updates, bfloat16 or int8.") var values: ValueCoding
    @OptionGroup var output: OutputOptions
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
      if !values.isLossy { throw ValidationError("--values is exact: use bfloat16 or int8, or copy the adapter") }
    }

    func run() throws {
      let exact = try Adapter(directory: directory)
      let encoded = try exact.encode(
        as: values, base: try Checkpoint(directory: model), output: output.out, overwrite: output.overwrite)
      let figures = EncodingFigures(exact: exact, encoded: encoded)
      if json { try Output.json(figures) } else { Output.result("\(output.out): \(figures.text)") }
    }
  }

  struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "How two adapters of one base agree: shared weights, sign conflicts, cosine.",
      discussion: "Example: lota adapter diff runs/sql/adapter runs/math/adapter --model models/smollm2")

    @Argument(help: "First adapter directory.") var first: String
    @Argument(help: "Second adapter directory.") var second: String
    @Option(help: ArgumentHelp("Base model directory; the cosine needs it.", valueName: "dir")) var model: String?
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
      let comparison = try AdapterComparison(
        try Adapter(directory: first), try Adapter(directory: second),
        base: try model.map { try Checkpoint(directory: $0) })
      let figures = ComparisonFigures(comparison)
      if json { try Output.json(figures) } else { Output.result(figures.text) }
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check that an adapter is intact and belongs to a base.",
      discussion: "Example: lota adapter verify --model models/smollm2 --adapter runs/sql/adapter")

    @Option(help: ArgumentHelp("Base model directory.", valueName: "dir")) var model: String
    @Option(help: ArgumentHelp("Adapter directory.", valueName: "dir")) var adapter: String

    func run() throws {
      let opened = try Adapter(directory: adapter)
      let base = try Checkpoint(directory: model)
      try opened.checkEntries()
      try opened.verify(base: base)
      try opened.checkTrainedWeights(base: base)
      Output.result("\(adapter) is intact and belongs to \(model)")
    }
  }
}

/// The adapters that a command works on: at least one.
struct RequiredAdapters: ParsableArguments {
  @Option(help: ArgumentHelp("Adapter directory; may be repeated.", valueName: "dir"))
  var adapter: [String]

  func opened() throws -> [Adapter] { try adapter.map { try Adapter(directory: $0) } }
}
