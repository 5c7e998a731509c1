import Adaptation
import ArgumentParser
import Checkpoints
import Tickets

struct MaskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mask", abstract: "Extract, inspect and combine masks.",
    subcommands: [Extract.self, Random.self, Inspect.self, Overlap.self, Complement.self, Union.self])

  fileprivate static func scopedNames(of model: Checkpoint) throws -> [String] {
    let names = TicketScope.scopedNames(of: model.tensors.map(\.name))
    guard !names.isEmpty else { throw TicketsError.noScopedWeights(found: model.tensors.count) }
    return names
  }

  fileprivate static func shapes(of names: [String], in model: Checkpoint) throws -> [String: [Int]] {
    Dictionary(uniqueKeysWithValues: try names.map { ($0, try model.shape(of: $0)) })
  }

  fileprivate static func write(_ mask: Mask, to path: String) throws {
    try mask.write(to: path)
    Output.result("\(path): \(mask.keptCount) of \(mask.scopedCount) weights")
  }

  struct Extract: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The weights that a fine-tune changed most, ranked over the whole model.",
      discussion: "Example: lota mask extract --base models/smollm2 --tuned runs/calibration/model --out sql.mask")

    @Option(help: ArgumentHelp("Base model directory.", valueName: "dir")) var base: String
    @Option(help: ArgumentHelp("Fine-tuned model directory.", valueName: "dir")) var tuned: String
    @Option(help: "Fraction of the scoped weights that stays frozen, in [0, 1).") var sparsity = 0.9
    @Option(help: ArgumentHelp("Mask file to write.", valueName: "file")) var out: String
    @OptionGroup var exclusion: ExclusionOptions
    @Flag(help: "When too few weights changed, fill up with unchanged ones in canonical order.") var fill = false
    @Flag(help: "Print one JSON object with counts and times.") var json = false

    func run() throws {
      let clock = ContinuousClock()
      let start = clock.now
      let base = try Checkpoint(directory: base)
      let tuned = try Checkpoint(directory: tuned)
      let names = try MaskCommand.scopedNames(of: base)
      let excluded = try Mask.union(
        of: exclusion.exclude, shapes: try MaskCommand.shapes(of: base.tensors.map(\.name), in: base))
      let fingerprint = try ModelFingerprint(base).value
      let identified = clock.now
      let mask = try TicketSelection.select(
        base: base, tuned: tuned, names: names, amount: .sparsity(sparsity),
        excluding: excluded,
        unchanged: fill ? .fillInOrder : .refuse, baseFingerprint: fingerprint)
      let selected = clock.now
      guard json else { return try MaskCommand.write(mask, to: out) }
      try mask.write(to: out)
      try Output.json(
        Figures(
          mask: out, kept: mask.keptCount, scoped: mask.scopedCount, seconds: (selected - identified) / .seconds(1),
          fingerprintSeconds: (identified - start) / .seconds(1)))
    }

    private struct Figures: Encodable {
      let mask: String
      let kept: Int
      let scoped: Int
      /// Of the selection alone.
      let seconds: Double
      /// Of reading and hashing the base.
      let fingerprintSeconds: Double
    }
  }

  struct Random: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "A ticket drawn at random.",
      discussion: "Example: lota mask random --model models/smollm2 --sparsity 0.9 --seed 1 --out random.mask")

    @Option(help: ArgumentHelp("Model directory.", valueName: "dir")) var model: String
    @Option(help: "Fraction of the scoped weights that stays frozen, in [0, 1).") var sparsity = 0.9
    @Option(help: "Seed of the draw.") var seed: UInt64 = 0
    @OptionGroup var exclusion: ExclusionOptions
    @Option(help: ArgumentHelp("Mask file to write.", valueName: "file")) var out: String

    func run() throws {
      let model = try Checkpoint(directory: model)
      let names = try MaskCommand.scopedNames(of: model)
      let shapes = try MaskCommand.shapes(of: names, in: model)
      let excluded = try Mask.union(
        of: exclusion.exclude, shapes: try MaskCommand.shapes(of: model.tensors.map(\.name), in: model))
      let mask = try TicketSelection.random(
        shapes: shapes, amount: .sparsity(sparsity), seed: seed, excluding: excluded,
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
      abstract: "The weights that are in any of several masks.",
      discussion: "Example: lota mask union sql.mask math.mask --out both.mask")

    @Argument(help: "Two mask files or more.") var files: [String]
    @Option(help: ArgumentHelp("Mask file to write.", valueName: "file")) var out: String

    func validate() throws {
      guard files.count >= 2 else { throw ValidationError("give at least two mask files") }
    }

    func run() throws {
      var union = try Mask(path: files[0])
      for file in files.dropFirst() { union = try union.union(Mask(path: file)) }
      try MaskCommand.write(union, to: out)
    }
  }
}
