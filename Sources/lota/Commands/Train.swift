import Adaptation
import ArgumentParser

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train an adapter: calibrate, extract the ticket, adapt.",
    discussion: """
      Example: lota train --method lota --model models/smollm2 --data rows.jsonl --out runs/sql

      The run directory holds config.yaml, metrics.jsonl, mask.safetensors, the adapter and report.html.
      """)

  @Option(help: "lota, or fft for full fine-tuning.")
  var method = TrainingMethod.lota

  @OptionGroup var options: ModelOptions
  @OptionGroup var training: TrainingOptionGroup

  @Option(help: ArgumentHelp("Run directory to create.", valueName: "dir"))
  var out: String

  @Option(help: "Fraction of the scoped weights that stays frozen. Default: 0.9.")
  var sparsity: Double?

  @Option(help: "Calibrate for N steps; 0 draws the ticket at random.")
  var calibrationSteps: Int?

  @Option(help: "Calibrate on this share of the rows, in epochs. Default: 1.")
  var calibrationFraction: Double?

  @Option(help: ArgumentHelp("Mask file to use instead of calibrating.", valueName: "file"))
  var mask: String?

  @Flag(help: "Print one JSON object with the run's figures.")
  var json = false

  func validate() throws {
    if calibrationSteps != nil, calibrationFraction != nil {
      throw ValidationError("--calibration-steps and --calibration-fraction exclude each other")
    }
    if mask != nil, calibrationSteps != nil || calibrationFraction != nil {
      throw ValidationError("--mask replaces calibration: leave out --calibration-steps and --calibration-fraction")
    }
  }

  func run() throws {
    try options.compute.apply()
    var configuration = try training.configuration(model: options.model, compute: options.compute)
    configuration.method = method
    if let sparsity { configuration.sparsity = sparsity }
    if let calibrationSteps { configuration.calibration = .steps(calibrationSteps) }
    if let calibrationFraction { configuration.calibration = .epochs(calibrationFraction) }
    configuration.mask = mask
    let renderer = RunRenderer()
    let run = try TrainingRun(configuration, output: out) { renderer.show($0) }
    let outcome = try run.run()
    let summary = try RunSummary(outcome, run: run)
    if json { try Output.json(summary) } else { Output.result(summary.text) }
  }
}
