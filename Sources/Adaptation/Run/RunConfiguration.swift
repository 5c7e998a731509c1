internal import Checkpoints
public import Tickets
public import Torch

public enum TrainingMethod: String, Codable, Sendable, CaseIterable {
  /// Lottery Ticket Adaptation: calibrate, extract, adapt.
  case lota
  /// Full fine-tuning: every parameter.
  case fft
  /// Low-rank adaptation of the projections, over frozen weights.
  case lora
}

/// Everything that decides a run's result; written to the run directory as `config.yaml`.
public struct RunConfiguration: Codable, Equatable, Sendable {
  public var method = TrainingMethod.lota
  /// Model directory.
  public var model: String
  /// Training rows.
  public var data: String
  /// nil: taken from the first row.
  public var format: RowFormat?
  /// In tokens.
  public var maximumLength = TrainingData.defaultMaximumLength
  public var overlength = TrainingData.defaultOverlengthPolicy
  /// `cpu`, `cuda`, `cuda:N` or `mps`.
  public var device = "cpu"
  /// Type to compute in; nil: float32 on the CPU, the checkpoint's elsewhere.
  public var dtype: String?
  /// Fraction of the scoped weights that stays frozen.
  public var sparsity = 0.9
  public var calibration = Calibration.epochs(1)
  /// nil: by update, after a single step by gradient.
  public var rankBy: Ranking?
  public var quota = TicketSelection.Quota.global
  /// Which weights a ticket may have.
  public var scope = ScopeParts.projections
  /// Sparsities of tickets that are trained in turn, each to find the next, the last of them that of `sparsity`.
  public var iterations: [Double] = []
  /// nil: calibration has the length that `calibration` says.
  public var stopping: CalibrationStopping?
  /// A mask file to use instead of calibrating.
  public var mask: String?
  /// Earlier tickets, mask files and adapter directories: their weights stay as they are, and no new ticket gets them.
  public var exclude: [String] = []
  /// Adapters over the base that the run begins with. Their tickets are excluded too where a ticket is trained.
  public var adapters: [String] = []
  public var replay = ReplaySettings()
  public var validation = ValidationSettings()
  /// Layers that full fine-tuning and low-rank adaptation train.
  public var layers = LayerSelection.all
  /// For low-rank adaptation.
  public var lora = LoRASettings()
  /// Bytes that the run may hold; sizes its micro-batches. nil: they have the size that `training` says.
  public var memoryBudget: Int?
  /// Settings of the phase that trains the result; calibration takes all but their length.
  public var training = TrainingOptions()

  public init(model: String, data: String) {
    self.model = model
    self.data = data
  }

  /// - Throws: ``TrainingError/invalidOption(name:value:expected:)``
  public func validate() throws {
    func require(_ condition: Bool, _ name: String, _ value: Any, _ expected: String) throws {
      guard condition else { throw TrainingError.invalidOption(name: name, value: "\(value)", expected: expected) }
    }
    try require(sparsity >= 0 && sparsity < 1, "sparsity", sparsity, "at least 0 and below 1")
    try require(maximumLength >= 2, "max-length", maximumLength, "at least 2")
    switch calibration {
    case .steps(let steps): try require(steps >= 0, "calibration-steps", steps, "at least 0")
    case .epochs(let epochs):
      try require(epochs > 0 && epochs < 1e6, "calibration-fraction", epochs, "above 0 and below 1000000")
    }
    try require(
      method != .fft || training.clipping == .perTensor, "clipping", training.clipping.rawValue,
      "per-tensor: full fine-tuning holds one gradient at a time")
    try require(
      method != .lora || exclude.isEmpty, "exclude", exclude.joined(separator: ", "),
      "left out with low-rank adaptation, which changes whole matrices")
    try require(
      method != .lota || layers == .all, "layers", layers.rawValue, "all where a ticket is trained")
    if method == .lota { try validateTicket() }
    try validation.validate()
    try replay.validate(shuffles: training.shuffles)
    try require((memoryBudget ?? 1) >= 1, "memory-budget", memoryBudget ?? 0, "a positive number of bytes")
    try training.validate()
    try lora.validate()
    _ = try computeDevice()
    _ = try computeType()
  }

  public func computeDevice() throws -> Device {
    guard let device = Device(device) else {
      throw TrainingError.invalidOption(name: "device", value: self.device, expected: "cpu, cuda, cuda:N or mps")
    }
    return device
  }

  public func computeType() throws -> DType? {
    guard let dtype else { return nil }
    guard let type = DType(configurationName: dtype), type.isFloatingPoint else {
      throw TrainingError.invalidOption(name: "dtype", value: dtype, expected: "float32, bfloat16, float16 or float64")
    }
    return type
  }

  /// Every ticket whose weights may not change.
  var excludedTickets: [String] { method == .lota ? exclude + adapters.filter { !exclude.contains($0) } : exclude }

  var calibrationOptions: TrainingOptions {
    var options = training
    switch calibration {
    case .steps(let steps): options.length = .steps(steps)
    case .epochs(let epochs): options.length = .epochs(epochs)
    }
    options.clipping = .perTensor
    return options
  }
}
