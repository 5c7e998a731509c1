import Adaptation
import ArgumentParser

struct Calibrate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Calibrate alone: keep the model, or scores of its weights, to extract a ticket from.",
    discussion: """
      Trains all parameters and keeps the model; with --rank-by gradient, snip or squared-gradient the weights stay, and
      scores.safetensors holds what to rank them by.

      Example: lota calibrate --model models/smollm2 --data rows.jsonl --epochs 1 --out runs/calibration
               lota mask extract --base models/smollm2 --tuned runs/calibration/model --out sql.mask
               lota train --model models/smollm2 --data rows.jsonl --mask sql.mask --out runs/sql

               lota calibrate --model models/smollm2 --data rows.jsonl --steps 8 --rank-by snip --out runs/snip
               lota mask extract --scores runs/snip/scores.safetensors --out snip.mask
      """)

  @OptionGroup var options: ModelOptions
  @OptionGroup var training: TrainingOptionGroup

  @Option(help: ArgumentHelp("Run directory to create; the model goes to its folder 'model'.", valueName: "dir"))
  var out: String

  @OptionGroup var sequence: SequenceOptions
  @OptionGroup var calibration: CalibrationOptions

  @OptionGroup var checkpoints: CheckpointOptions

  @Option(help: "Sparsity of the tickets that are compared when calibration ends by itself. Default: 0.9.")
  var sparsity: Double?

  func validate() throws {
    if sparsity != nil, !calibration.selfStopping, calibration.stopOverlap == nil {
      throw ValidationError(
        "--sparsity needs --self-stopping or --stop-overlap: the ticket's own is given to mask extract")
    }
  }

  func run() throws {
    try options.compute.apply()
    var configuration = try training.configuration(model: options.model, compute: options.compute)
    sequence.apply(to: &configuration)
    calibration.apply(to: &configuration)
    if let sparsity { configuration.sparsity = sparsity }
    configuration.calibration = training.schedule.steps.map { .steps($0) } ?? .epochs(training.schedule.epochs ?? 1)
    if checkpoints.resume, let finished = try FinishedRun(configuration, directory: out) {
      Output.note("the run in \(out) has ended already")
      return Output.result(finished.outcome.modelPath ?? finished.outcome.scoresPath ?? out)
    }
    Interruption.endStep()
    let renderer = RunRenderer()
    let outcome = try TrainingRun(
      configuration, output: out, checkpoints: checkpoints.schedule, resumes: checkpoints.resume
    ) { renderer.show($0) }.calibrate()
    Output.result(outcome.modelPath ?? outcome.scoresPath ?? out)
  }
}
