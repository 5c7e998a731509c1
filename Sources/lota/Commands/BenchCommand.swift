import Adaptation
import ArgumentParser
import Checkpoints
import Decoder
import Torch

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure this machine with a model's shapes.",
    subcommands: [Step.self, AdapterSwitch.self])

  struct Step: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Time training steps with random weights, random rows and a random ticket; no files are needed.",
      discussion: """
        Example: lota bench step --shape smollm2-135m --batch-size 16 --length 256
        On a GPU: lota bench step --shape llama-3-8b --device cuda --phase adaptation --peak-tflops 989
        """)

    @Option(
      help: ArgumentHelp(
        "\(ModelShape.allCases.map(\.rawValue).joined(separator: ", ")), or a model directory, of which only config.json is read.",
        valueName: "name or dir"))
    var shape = ModelShape.smolLM2With135M.rawValue

    @OptionGroup var compute: ComputeOptions

    @Option(help: "calibration (all weights) or adaptation (a ticket).")
    var phase = "adaptation"

    @Option(help: "Fraction of the scoped weights that stays frozen, in [0, 1); for adaptation.")
    var sparsity = 0.9

    @Option(help: "Sequences a step.")
    var batchSize = 32

    @Option(help: "Time low-rank adaptation of this rank instead of a phase of tickets.")
    var rank: Int?

    @Option(help: "Tokens a sequence.")
    var length = 512

    @Option(help: "Tokens at the beginning of a sequence that are no labels.")
    var promptLength = 1

    @Option(help: "Largest number of tokens run at once; 0: never split a step. Default: 8192.")
    var microBatchTokens: Int?

    @Flag(help: "Compute activations again in the backward pass: less memory, more time.")
    var recompute = false

    @OptionGroup var optimizer: OptimizerOption

    @Option(help: "A ticket's gradient: auto, dense or sampled. Default: auto.")
    var ticketGradient: TicketGradient?

    @Option(help: "Steps that count.")
    var steps = 5

    @Option(help: "Steps before those that count.")
    var warmup = 1

    @Option(help: "What the device can do, in 10^12 operations a second, to print the share reached.")
    var peakTflops: Double?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
      if Phase(rawValue: phase) != .calibration, Phase(rawValue: phase) != .adaptation {
        throw ValidationError("--phase is '\(phase)': use calibration or adaptation")
      }
      if let rank { try LoRAOptions.validate(rank: rank) }
      if let peakTflops, !(peakTflops > 0) {
        throw ValidationError("--peak-tflops is \(peakTflops): use a positive number")
      }
    }

    func run() throws {
      try compute.apply()
      let model = try ModelShape(rawValue: shape)?.configuration() ?? ModelConfiguration(directory: shape)
      var benchmark = StepBenchmark(model)
      benchmark.device = compute.resolvedDevice
      benchmark.dtype = compute.resolvedType
      benchmark.phase = Phase(rawValue: phase) ?? .adaptation
      if let rank { (benchmark.phase, benchmark.lora.rank) = (.training, rank) }
      (benchmark.sparsity, benchmark.length, benchmark.promptLength) = (sparsity, length, promptLength)
      (benchmark.steps, benchmark.warmupSteps) = (steps, warmup)
      benchmark.training.batchSize = batchSize
      if let microBatchTokens { benchmark.training.microBatchTokens = microBatchTokens == 0 ? nil : microBatchTokens }
      if recompute { benchmark.training.activations = .recompute }
      if let ticketGradient { benchmark.training.ticketGradient = ticketGradient }
      if let settings = optimizer.settings { benchmark.training.optimizer = settings }
      let report = try benchmark.run { Output.progress("step \($0.record.step) of \($0.stepCount)") }
      Output.clearLine()
      let figures = StepFigures(report, shape: shape, peakTeraflopPerSecond: peakTflops)
      if json { try Output.json(figures) } else { Output.result(figures.text) }
    }
  }
}
