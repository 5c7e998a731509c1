import Adaptation
import ArgumentParser

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train an adapter: calibrate, extract the ticket, adapt; or a baseline.",
    discussion: """
      Example: lota train --method lota --model models/smollm2 --data rows.jsonl --out runs/sql

      The run directory holds config.yaml, metrics.jsonl, mask.safetensors, the adapter and report.html.
      With --method lora the adapter is in PEFT's format.

      A run that was interrupted, by Ctrl-C or a crash, goes on with the same command and --resume.

      The next task of a sequence, whose ticket shares no weight with the first one's:
               lota train --model models/smollm2 --adapter runs/a/adapter --data b.jsonl --out runs/b
      """)

  @Option(help: "lota; lora for low-rank adaptation; fft for full fine-tuning.")
  var method = TrainingMethod.lota

  @OptionGroup var options: ModelOptions
  @OptionGroup var training: TrainingOptionGroup

  @Option(help: ArgumentHelp("Run directory to create.", valueName: "dir"))
  var out: String

  @OptionGroup var ticket: TicketOptions
  @OptionGroup var sequence: SequenceOptions
  @OptionGroup var validation: ValidationOptions
  @OptionGroup var layers: LayerOptions
  @OptionGroup var lora: LoRAOptions
  @OptionGroup var checkpoints: CheckpointOptions

  @Flag(help: "Print one JSON object with the run's figures.")
  var json = false

  func validate() throws {
    try lora.validate(method, ticket)
    try ticket.validate(method)
    try sequence.exclusion.validate(method)
    try layers.validate(method)
  }

  func run() throws {
    try options.compute.apply()
    let configuration = try configuration()
    let summary: RunSummary
    if checkpoints.resume, let finished = try FinishedRun(configuration, directory: out) {
      Output.note("the run in \(out) has ended already")
      summary = try RunSummary(finished.outcome, configuration: finished.configuration, directory: finished.directory)
    } else {
      Interruption.endStep()
      let renderer = RunRenderer()
      let run = try TrainingRun(
        configuration, output: out, checkpoints: checkpoints.schedule, resumes: checkpoints.resume
      ) { renderer.show($0) }
      summary = try RunSummary(try run.run(), configuration: run.configuration, directory: run.directory)
    }
    if json { try Output.json(summary) } else { Output.result(summary.text) }
  }

  private func configuration() throws -> RunConfiguration {
    var configuration = try training.configuration(model: options.model, compute: options.compute)
    configuration.method = method
    ticket.apply(to: &configuration)
    sequence.apply(to: &configuration)
    validation.apply(to: &configuration)
    layers.apply(to: &configuration)
    lora.apply(to: &configuration)
    return configuration
  }
}
