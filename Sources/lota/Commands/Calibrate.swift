import Adaptation
import ArgumentParser

struct Calibrate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train all parameters and keep the model, to extract a ticket from.",
    discussion: """
      Example: lota calibrate --model models/smollm2 --data rows.jsonl --epochs 1 --out runs/calibration
               lota mask extract --base models/smollm2 --tuned runs/calibration/model --out sql.mask
               lota train --model models/smollm2 --data rows.jsonl --mask sql.mask --out runs/sql
      """)

  @OptionGroup var options: ModelOptions
  @OptionGroup var training: TrainingOptionGroup

  @Option(help: ArgumentHelp("Run directory to create; the model goes to its folder 'model'.", valueName: "dir"))
  var out: String

  @OptionGroup var sequence: SequenceOptions

  func run() throws {
    try options.compute.apply()
    var configuration = try training.configuration(model: options.model, compute: options.compute)
    configuration.method = .fft
    sequence.apply(to: &configuration)
    configuration.exclude += sequence.adapters
    if training.schedule.steps == nil, training.schedule.epochs == nil { configuration.training.length = .epochs(1) }
    let renderer = RunRenderer()
    let outcome = try TrainingRun(configuration, output: out) { renderer.show($0) }.run()
    Output.result(outcome.modelPath ?? out)
  }
}
