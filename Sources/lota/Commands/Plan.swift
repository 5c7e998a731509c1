import Adaptation
import ArgumentParser
import Checkpoints
import Torch

struct Plan: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Memory and time of a training run, before it.",
    discussion: """
      Takes the options of train. Of the model only config.json is read, and the tokenizer for --data;
      the weights need not be there. The time comes from matrix products that are timed for a second
      on the device, or from --flops.

      Example: lota plan --method lota --model models/smollm2 --data rows.jsonl --batch-size 32
               lota plan --method fft --model models/llama --rows 7473 --mean-length 210
      """)

  @Option(help: "lota; lora for low-rank adaptation; fft for full fine-tuning.")
  var method = TrainingMethod.lota

  @OptionGroup var options: ModelOptions

  @Option(help: ArgumentHelp("Rows to plan for: JSON Lines.", valueName: "file"))
  var data: String?

  @Option(help: "Plan for N rows of --mean-length tokens each, without a file.")
  var rows: Int?

  @Option(help: "Tokens of each row.")
  var meanLength: Int?

  @Option(help: "Those of them that are learned. Default: all but the first.")
  var meanLabels: Int?

  @OptionGroup var reading: RowOptions
  @OptionGroup var schedule: ScheduleOptions
  @OptionGroup var ticket: TicketOptions
  @OptionGroup var sequence: SequenceOptions
  @OptionGroup var validation: ValidationOptions
  @OptionGroup var layers: LayerOptions
  @OptionGroup var lora: LoRAOptions

  @Option(help: "Floating-point operations a second of the device's matrix products, instead of timing them.")
  var flops: Double?

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    let counts = [rows, meanLength].compactMap { $0 }
    try lora.validate(method, ticket)
    try ticket.validate(method)
    try sequence.exclusion.validate(method)
    try layers.validate(method)
    guard data != nil || sequence.replay.isEmpty else { throw ValidationError("--replay needs --data") }
    guard data != nil || validation.validation.isEmpty else { throw ValidationError("--validation needs --data") }
    guard data == nil ? counts.count == 2 : counts.isEmpty && meanLabels == nil else {
      throw ValidationError("give either --data, or --rows and --mean-length")
    }
    guard counts.allSatisfy({ (1...1_000_000_000).contains($0) }) else {
      throw ValidationError("--rows and --mean-length must be from 1 to 1000000000")
    }
    if let meanLength, meanLength < 2 { throw ValidationError("--mean-length is \(meanLength): use at least 2") }
    if let meanLabels, let meanLength, !(1..<meanLength).contains(meanLabels) {
      throw ValidationError("--mean-labels is \(meanLabels): use 1 to \(meanLength - 1)")
    }
    if let flops, !(flops > 0 && flops.isFinite) { throw ValidationError("--flops is \(flops): use a positive number") }
  }

  func run() throws {
    try options.compute.apply()
    var run = RunConfiguration(model: options.model, data: data ?? "")
    run.method = method
    run.device = options.compute.device
    run.dtype = options.compute.dtype
    reading.apply(to: &run)
    schedule.apply(to: &run)
    ticket.apply(to: &run)
    sequence.apply(to: &run)
    validation.apply(to: &run)
    layers.apply(to: &run)
    lora.apply(to: &run)
    let model = try ModelConfiguration(directory: options.model)
    let (rows, validation) = try rowSizes(run)
    let plan = try TrainingPlan(run, model: model, rows: rows, validation: validation, rate: try rate(of: model))
    if json { try Output.json(plan) } else { Output.result(PlanText.render(plan)) }
  }

  private func rowSizes(_ run: RunConfiguration) throws -> (rows: [RowSize], validation: [[RowSize]]) {
    guard let rows, let meanLength else { return try PlannedRows.read(run) }
    return (PlannedRows.uniform(count: rows, tokens: meanLength, labels: meanLabels), [])
  }

  /// nil on a device that is not here.
  private func rate(of model: ModelConfiguration) throws -> ComputeRate? {
    if let flops { return ComputeRate(operationsPerSecond: flops) }
    let device = options.compute.resolvedDevice
    guard device.isAvailable else { return nil }
    return try ComputeRate(measuring: model, device: device, dtype: options.compute.resolvedType)
  }
}
