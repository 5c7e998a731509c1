public import Adaptation
public import ArgumentParser

/// Settings of a training phase. Defaults stand in ``TrainingOptions`` and ``RunConfiguration`` alone.
struct TrainingOptionGroup: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Training rows: JSON Lines with prompt/completion, messages, instruction or text.", valueName: "file"))
  var data: String

  @Option(help: "Row format: \(RowFormat.allCases.map(\.rawValue).joined(separator: ", ")). Default: as the first row.")
  var format: RowFormat?

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

  @Option(help: "\(OptimizerSettings.names.joined(separator: ", ")). Default: rmsprop.")
  var optimizer: String?

  @Option(help: "Largest gradient norm; 0: no clipping. Default: 1.")
  var maxGradNorm: Double?

  @Option(help: "Clip each tensor (per-tensor) or the whole ticket together (global). Default: per-tensor.")
  var clipping: Clipping?

  @Option(help: "sequence-sum (the paper's) or token-mean. Default: sequence-sum.")
  var loss: LossReduction?

  @Option(help: "Longest row, in tokens. Default: 512.")
  var maxLength: Int?

  @Option(help: "Rows that are longer: drop, truncate or error. Default: drop.")
  var overlength: OverlengthPolicy?

  @Option(help: "Largest number of tokens run at once; a step with more is split. Default: 8192.")
  var microBatchTokens: Int?

  @Option(help: "Seed of the order and of random tickets. Default: 0.")
  var seed: UInt64?

  @Flag(help: "Take the rows in file order.")
  var noShuffle = false

  func validate() throws {
    if steps != nil, epochs != nil { throw ValidationError("--steps and --epochs exclude each other") }
    if let optimizer, OptimizerSettings(name: optimizer) == nil {
      throw ValidationError("--optimizer is '\(optimizer)': use \(OptimizerSettings.names.joined(separator: ", "))")
    }
  }

  func configuration(model: String, compute: ComputeOptions) throws -> RunConfiguration {
    var configuration = RunConfiguration(model: model, data: data)
    configuration.format = format
    configuration.device = compute.device
    configuration.dtype = compute.dtype
    if let maxLength { configuration.maximumLength = maxLength }
    if let overlength { configuration.overlength = overlength }
    apply(to: &configuration.training)
    return configuration
  }

  private func apply(to training: inout TrainingOptions) {
    if let steps { training.length = .steps(steps) }
    if let epochs { training.length = .epochs(epochs) }
    if let batchSize { training.batchSize = batchSize }
    if let learningRate { training.learningRate = learningRate }
    if let warmupSteps { training.warmupSteps = warmupSteps }
    if let optimizer, let settings = OptimizerSettings(name: optimizer) { training.optimizer = settings }
    if let maxGradNorm { training.maximumGradientNorm = maxGradNorm == 0 ? nil : maxGradNorm }
    if let clipping { training.clipping = clipping }
    if let loss { training.loss = loss }
    if let microBatchTokens { training.microBatchTokens = microBatchTokens }
    if let seed { training.seed = seed }
    if noShuffle { training.shuffles = false }
  }
}

extension RowFormat: ExpressibleByArgument {}
extension OverlengthPolicy: ExpressibleByArgument {}
extension Clipping: ExpressibleByArgument {}
extension LossReduction: ExpressibleByArgument {}
extension TrainingMethod: ExpressibleByArgument {}
