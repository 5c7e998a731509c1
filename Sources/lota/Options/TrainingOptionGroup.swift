public import Adaptation
public import ArgumentParser
import Decoder

/// Which rows, and how they are trained on.
struct TrainingOptionGroup: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Training rows: JSON Lines with prompt/completion, messages, instruction or text.", valueName: "file"))
  var data: String

  @OptionGroup var rows: RowOptions
  @OptionGroup var schedule: ScheduleOptions

  func configuration(model: String, compute: ComputeOptions) throws -> RunConfiguration {
    var configuration = RunConfiguration(model: model, data: data)
    configuration.device = compute.device
    configuration.dtype = compute.dtype
    rows.apply(to: &configuration)
    schedule.apply(to: &configuration)
    return configuration
  }
}

/// How rows are read.
struct RowOptions: ParsableArguments {
  @Option(help: "Row format: \(RowFormat.allCases.map(\.rawValue).joined(separator: ", ")). Default: as the first row.")
  var format: RowFormat?

  @Option(help: "Longest row, in tokens. Default: 512.")
  var maxLength: Int?

  @Option(help: "Rows that are longer: drop, truncate or error. Default: drop.")
  var overlength: OverlengthPolicy?

  func apply(to configuration: inout RunConfiguration) {
    configuration.format = format
    if let maxLength { configuration.maximumLength = maxLength }
    if let overlength { configuration.overlength = overlength }
  }
}

/// Which weights make the ticket.
struct TicketOptions: ParsableArguments {
  @Option(help: "Fraction of the scoped weights that stays frozen. Default: 0.9.")
  var sparsity: Double?

  @Option(help: "Calibrate for N steps; 0 draws the ticket at random.")
  var calibrationSteps: Int?

  @Option(help: "Calibrate on this share of the rows, in epochs. Default: 1.")
  var calibrationFraction: Double?

  @Option(
    help: ArgumentHelp(
      "Tickets in turn, 0.9,0.99 for example: train one, take the next from what it changed most, train that.",
      valueName: "sparsities"))
  var iterate: IteratedSparsities?

  @Option(help: ArgumentHelp("Mask file to use instead of calibrating.", valueName: "file"))
  var mask: String?

  @OptionGroup var calibration: CalibrationOptions

  /// Names of those given that say how a ticket is found.
  private var found: [String] { (iterate == nil ? [] : ["--iterate"]) + calibration.given }

  /// Names of the options given.
  var given: [String] {
    [
      ("--sparsity", sparsity != nil), ("--calibration-steps", calibrationSteps != nil),
      ("--calibration-fraction", calibrationFraction != nil), ("--mask", mask != nil),
    ].filter(\.1).map(\.0) + found
  }

  func validate() throws {
    if calibrationSteps != nil, calibrationFraction != nil {
      throw ValidationError("--calibration-steps and --calibration-fraction exclude each other")
    }
    if mask != nil, calibrationSteps != nil || calibrationFraction != nil {
      throw ValidationError("--mask replaces calibration: leave out --calibration-steps and --calibration-fraction")
    }
    if mask != nil, let option = found.first {
      throw ValidationError("--mask holds a ticket that is found already: leave out \(option)")
    }
    if iterate != nil, sparsity != nil {
      throw ValidationError("--iterate and --sparsity exclude each other: the last of --iterate is the sparsity")
    }
    if let steps = calibrationSteps, steps < 2 {
      let refused = calibration.given.filter {
        $0.hasPrefix("--stop") || $0.hasPrefix("--self") || ($0 == "--rank-by" && steps == 0)
      }
      if let option = refused.first {
        throw ValidationError("\(option) needs more than --calibration-steps \(steps)")
      }
    }
  }

  func validate(_ method: TrainingMethod) throws {
    if method == .fft, let option = found.first {
      throw ValidationError("\(option) is for tickets: leave it out with --method fft")
    }
  }

  func apply(to configuration: inout RunConfiguration) {
    if let sparsity { configuration.sparsity = sparsity }
    if let calibrationSteps { configuration.calibration = .steps(calibrationSteps) }
    if let calibrationFraction { configuration.calibration = .epochs(calibrationFraction) }
    configuration.mask = mask
    calibration.apply(to: &configuration)
    if let values = iterate?.values, let last = values.last {
      configuration.iterations = Array(values.dropLast())
      configuration.sparsity = last
    }
  }
}

/// Size of the low-rank matrices. Defaults stand in ``LoRASettings`` alone.
struct LoRAOptions: ParsableArguments {
  @Option(help: "Rank of the low-rank matrices, with --method lora. Default: 8.")
  var rank: Int?

  @Option(help: "Their product counts alpha / rank times, with --method lora. Default: 32.")
  var alpha: Double?

  @Option(help: "Probability that an input of theirs falls out, with --method lora. Default: 0.")
  var loraDropout: Double?

  func apply(to configuration: inout RunConfiguration) {
    if let rank { configuration.lora.rank = rank }
    if let alpha { configuration.lora.alpha = alpha }
    if let loraDropout { configuration.lora.dropout = loraDropout }
  }

  static func validate(rank: Int) throws {
    guard (1...65536).contains(rank) else { throw ValidationError("--rank is \(rank): use 1 to 65536") }
  }

  /// - Throws: `ValidationError` for options of another method.
  func validate(_ method: TrainingMethod, _ ticket: TicketOptions) throws {
    let given = [("--rank", rank != nil), ("--alpha", alpha != nil), ("--lora-dropout", loraDropout != nil)]
    if method != .lora, let option = given.first(where: \.1)?.0 {
      throw ValidationError("\(option) needs --method lora")
    }
    if method == .lora, let option = ticket.given.first {
      throw ValidationError("\(option) is for tickets: leave it out with --method lora")
    }
    if let rank { try Self.validate(rank: rank) }
    if let alpha, !(alpha > 0 && alpha.isFinite) {
      throw ValidationError("--alpha is \(alpha): use a positive number")
    }
    if let loraDropout, !(loraDropout >= 0 && loraDropout < 1) {
      throw ValidationError("--lora-dropout is \(loraDropout): use at least 0 and below 1")
    }
  }
}

/// Settings of a training phase. Defaults stand in ``TrainingOptions`` and ``RunConfiguration`` alone.
struct ScheduleOptions: ParsableArguments {
  @Option(help: "Train N steps.")
  var steps: Int?

  @Option(help: "Train E epochs; a fraction is allowed. Default: 3.")
  var epochs: Double?

  @Option(help: "Sequences a step. Default: 32.")
  var batchSize: Int?

  @Option(help: "Learning rate. Default: 1e-5.")
  var learningRate: Double?

  @Option(help: "Steps over which the rate rises linearly. Default: 0.")
  var warmupSteps: Int?

  @OptionGroup var optimizer: OptimizerOption

  @Option(
    help: "A ticket's gradient: auto, dense (gathered from the whole) or sampled (its entries alone). Default: auto.")
  var ticketGradient: TicketGradient?

  @Option(help: "Largest gradient norm; 0: no clipping. Default: 1.")
  var maxGradNorm: Double?

  @Option(help: "Clip each tensor (per-tensor) or all together (global; not with fft). Default: per-tensor.")
  var clipping: Clipping?

  @Option(help: "sequence-sum (the paper's) or token-mean. Default: sequence-sum.")
  var loss: LossReduction?

  @Option(help: "Largest number of tokens run at once; a step with more is split. Default: 8192.")
  var microBatchTokens: Int?

  @Option(
    help: ArgumentHelp(
      "Memory that the run may use, 6.5GiB for example: sizes what is run at once.", valueName: "size"))
  var memoryBudget: String?

  @Flag(help: "Compute activations again during the backward pass: less memory, about a fifth more time.")
  var recompute = false

  @Option(help: "Seed of the order and of random tickets. Default: 0.")
  var seed: UInt64?

  @Option(
    help: "Leave out up to N steps whose loss or gradient is not finite; full updates still end the run. Default: 0.")
  var skipSteps: Int?

  @Flag(help: "Take the rows in file order.")
  var noShuffle = false

  func validate() throws {
    if steps != nil, epochs != nil { throw ValidationError("--steps and --epochs exclude each other") }
    if let memoryBudget {
      guard MemorySize.bytes(memoryBudget) != nil else {
        throw ValidationError("--memory-budget is '\(memoryBudget)': use \(MemorySize.expected)")
      }
      if microBatchTokens != nil {
        throw ValidationError("--memory-budget and --micro-batch-tokens exclude each other")
      }
    }
  }

  func apply(to configuration: inout RunConfiguration) {
    configuration.memoryBudget = memoryBudget.flatMap(MemorySize.bytes)
    apply(to: &configuration.training)
  }

  private func apply(to training: inout TrainingOptions) {
    if let steps { training.length = .steps(steps) }
    if let epochs { training.length = .epochs(epochs) }
    if let batchSize { training.batchSize = batchSize }
    if let learningRate { training.learningRate = learningRate }
    if let warmupSteps { training.warmupSteps = warmupSteps }
    if let settings = optimizer.settings { training.optimizer = settings }
    if let maxGradNorm { training.maximumGradientNorm = maxGradNorm == 0 ? nil : maxGradNorm }
    if let ticketGradient { training.ticketGradient = ticketGradient }
    if let clipping { training.clipping = clipping }
    if let loss { training.loss = loss }
    if let microBatchTokens { training.microBatchTokens = microBatchTokens }
    if recompute { training.activations = .recompute }
    if let seed { training.seed = seed }
    if let skipSteps { training.maximumSkippedSteps = skipSteps }
    if noShuffle { training.shuffles = false }
  }
}

extension RowFormat: ExpressibleByArgument {}
extension OverlengthPolicy: ExpressibleByArgument {}
extension Clipping: ExpressibleByArgument {}
extension TicketGradient: ExpressibleByArgument {}
extension LossReduction: ExpressibleByArgument {}
extension TrainingMethod: ExpressibleByArgument {}
