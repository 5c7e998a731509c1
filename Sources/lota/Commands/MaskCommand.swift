import Adaptation
import ArgumentParser
import Checkpoints
import Tickets

struct MaskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mask", abstract: "Extract, inspect and combine masks.",
    subcommands: [
      MaskExtract.self, Random.self, Inspect.self, Overlap.self, Complement.self, Union.self, Capacity.self,
    ])

  static func scopedNames(of model: Checkpoint, _ options: ScopeOptions) throws -> [String] {
    try (options.scope ?? .projections).names(in: model.tensors.map(\.name))
  }

  static func shapes(of names: [String], in model: Checkpoint) throws -> [String: [Int]] {
    Dictionary(uniqueKeysWithValues: try names.map { ($0, try model.shape(of: $0)) })
  }

  static func write(_ mask: Mask, to path: String) throws {
    try mask.write(to: path)
    Output.result("\(path): \(mask.keptCount) of \(mask.scopedCount) weights")
  }

  struct Random: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "A ticket drawn at random.",
      discussion: "Example: lota mask random --model models/smollm2 --sparsity 0.9 --seed 1 --out random.mask")

    @Option(help: ArgumentHelp("Model directory.", valueName: "dir")) var model: String
    @Option(help: "Fraction of the scoped weights that stays frozen, in [0, 1).") var sparsity = 0.9
    @Option(help: "Seed of the draw.") var seed: UInt64 = 0
    @OptionGroup var exclusion: ExclusionOptions
    @OptionGroup var scope: ScopeOptions
    @Option(help: ArgumentHelp("Mask file to write.", valueName: "file")) var out: String

    func run() throws {
      let model = try Checkpoint(directory: model)
      let names = try MaskCommand.scopedNames(of: model, scope)
      let shapes = try MaskCommand.shapes(of: names, in: model)
      let excluded = try Mask.union(
        of: exclusion.exclude, shapes: try MaskCommand.shapes(of: model.tensors.map(\.name), in: model))
      let mask = try TicketSelection.random(
        shapes: shapes, amount: .sparsity(sparsity), quota: scope.quota ?? .global, seed: seed, excluding: excluded,
        baseFingerprint: try ModelFingerprint(model).value)
      try MaskCommand.write(mask, to: out)
    }
  }

  struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Density of a mask by layer and projection.", discussion: "Example: lota mask inspect sql.mask")

    @Argument(help: "Mask file.") var file: String
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
      let mask = try Mask(path: file)
      let figures = MaskFigures(mask)
      if json { try Output.json(figures) } else { Output.result(figures.text) }
    }
  }

  struct Overlap: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "How far two masks agree.", discussion: "Example: lota mask overlap sql.mask math.mask")

    @Argument(help: "First mask file.") var first: String
    @Argument(help: "Second mask file.") var second: String
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
      let overlap = try Mask(path: first).overlap(with: Mask(path: second))
      let figures = OverlapFigures(overlap)
      if json { try Output.json(figures) } else { Output.result(figures.text) }
    }
  }

  struct Complement: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The scoped weights that are not in a mask.",
      discussion: "Example: lota mask complement sql.mask --out rest.mask")

    @Argument(help: "Mask file.") var file: String
    @Option(help: ArgumentHelp("Mask file to write.", valueName: "file")) var out: String

    func run() throws {
      let mask = try Mask(path: file).complement()
      try MaskCommand.write(mask, to: out)
    }
  }

  struct Union: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The weights that are in any of several tickets: mask files and adapter directories.",
      discussion: "Example: lota mask union sql.mask math.mask --out both.mask")

    @Argument(help: "Two tickets or more.") var files: [String]
    @Option(help: ArgumentHelp("Mask file to write.", valueName: "file")) var out: String

    func validate() throws {
      guard files.count >= 2 else { throw ValidationError("give at least two tickets") }
    }

    func run() throws {
      if let union = try Mask.union(of: files) { try MaskCommand.write(union, to: out) }
    }
  }

  struct Capacity: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "How many weights tickets leave free, by layer and projection, and whether another one fits.",
      discussion: "Example: lota mask capacity --model models/smollm2 --ticket runs/sql/adapter --sparsity 0.9")

    @Option(help: ArgumentHelp("Model directory.", valueName: "dir")) var model: String
    @Option(help: ArgumentHelp("Mask file or adapter directory; may be repeated.", valueName: "ticket"))
    var ticket: [String] = []
    @Option(help: "Whether another ticket of this sparsity fits.") var sparsity: Double?
    @OptionGroup var scope: ScopeOptions
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
      let model = try Checkpoint(directory: model)
      let taken = try Mask.union(
        of: ticket, shapes: try MaskCommand.shapes(of: model.tensors.map(\.name), in: model))
      let names = try MaskCommand.scopedNames(of: model, scope)
      let capacity = try TicketCapacity(shapes: try MaskCommand.shapes(of: names, in: model), taken: taken)
      let figures = try CapacityFigures(capacity, sparsity: sparsity, quota: scope.quota ?? .global)
      if json { try Output.json(figures) } else { Output.result(figures.text) }
    }
  }
}
