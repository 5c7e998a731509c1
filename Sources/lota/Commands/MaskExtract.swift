import ArgumentParser
import Checkpoints
import Tickets

struct MaskExtract: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "extract",
    abstract: "The weights that a fine-tune changed most, or whose scores are highest, ranked over the whole model.",
    discussion: """
      Example: lota mask extract --base models/smollm2 --tuned runs/calibration/model --out sql.mask
               lota mask extract --scores runs/snip/scores.safetensors --sparsity 0.95 --out snip.mask
      """)

  @Option(help: ArgumentHelp("Base model directory.", valueName: "dir")) var base: String?
  @Option(help: ArgumentHelp("Fine-tuned model directory.", valueName: "dir")) var tuned: String?
  @Option(
    help: ArgumentHelp("Scores that calibrate --rank-by left, instead of --base and --tuned.", valueName: "file"))
  var scores: String?
  @Option(help: "Fraction of the scoped weights that stays frozen, in [0, 1).") var sparsity = 0.9
  @Option(help: ArgumentHelp("Mask file to write.", valueName: "file")) var out: String
  @OptionGroup var exclusion: ExclusionOptions
  @OptionGroup var scope: ScopeOptions
  @Flag(help: "When too few weights changed, fill up with unchanged ones in canonical order.") var fill = false
  @Flag(help: "Print one JSON object with counts and times.") var json = false

  func validate() throws {
    guard scores == nil ? base != nil && tuned != nil : base == nil && tuned == nil else {
      throw ValidationError("give either --base and --tuned, or --scores")
    }
    if scores != nil, scope.scope != nil {
      throw ValidationError("--scores has a scope of its own: leave out --scope, or give it to calibrate")
    }
  }

  func run() throws {
    let clock = ContinuousClock()
    let start = clock.now
    let ranked = try sources()
    let excluded = try Mask.union(
      of: exclusion.exclude, shapes: try MaskCommand.shapes(of: ranked.shaped.tensors.map(\.name), in: ranked.shaped))
    let identified = clock.now
    let mask = try TicketSelection.select(
      base: ranked.base, tuned: ranked.tuned, names: ranked.names, amount: .sparsity(sparsity),
      quota: scope.quota ?? .global, excluding: excluded, unchanged: fill ? .fillInOrder : .refuse,
      baseFingerprint: ranked.fingerprint)
    let selected = clock.now
    guard json else { return try MaskCommand.write(mask, to: out) }
    try mask.write(to: out)
    try Output.json(
      Figures(
        mask: out, kept: mask.keptCount, scoped: mask.scopedCount, seconds: (selected - identified) / .seconds(1),
        fingerprintSeconds: (identified - start) / .seconds(1)))
  }

  private struct Ranked {
    let base: any WeightSource
    let tuned: any WeightSource
    let names: [String]
    /// Has all tensors that an exclusion may name.
    let shaped: Checkpoint
    let fingerprint: String
  }

  private func sources() throws -> Ranked {
    if let scores {
      let (file, values) = try ScoreFile.open(scores)
      return Ranked(
        base: ZeroWeights(like: values), tuned: values, names: values.tensors.map(\.name), shaped: values,
        fingerprint: file.baseFingerprint)
    }
    let base = try Checkpoint(directory: base ?? "")
    return Ranked(
      base: base, tuned: try Checkpoint(directory: tuned ?? ""), names: try MaskCommand.scopedNames(of: base, scope),
      shaped: base, fingerprint: try ModelFingerprint(base).value)
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
