internal import Checkpoints
internal import Reports
internal import Tickets

extension RunReport {
  /// The report of a finished run: settings, curves, density, sizes, times and memory.
  public init(_ outcome: RunOutcome, configuration: RunConfiguration, title: String) {
    self.init(title: title)
    self.configuration = configuration.settings
    curves = outcome.records.reduce(into: [String]()) { names, record in
      if names.last != record.phaseName { names.append(record.phaseName) }
    }.map { name in Curve(name: name, records: outcome.records.filter { $0.phaseName == name }) }
    settling = outcome.settling
    heldOut = Dictionary(grouping: outcome.validations, by: \.data).sorted { $0.key < $1.key }.map { data, records in
      Curve(name: data, steps: records.map(\.step), tokenLoss: records.map(\.tokenLoss))
    }
    density = outcome.mask.map { Density($0) }
    sizes = outcome.sizes
    durations = outcome.seconds.map { part, seconds in
      let tokens = outcome.records.filter { $0.phaseName == part }.reduce(0) { $0 + $1.tokens }
      return Duration(name: part, seconds: seconds, tokens: tokens > 0 ? tokens : nil)
    }
    peakMemoryBytes = outcome.peakMemoryBytes
  }
}

extension RunReport.Density {
  /// A row a layer, a column a projection.
  init(_ mask: Mask) {
    let density = MaskDensity(mask)
    let projections = TicketScope.Projection.allCases
    self.init(
      columns: projections.map(\.shortName), rows: density.layers.map { String($0.layer) },
      values: density.layers.map { layer, _ in
        projections.map { density.weights[TicketScope.Weight(layer: layer, projection: $0)]?.density }
      })
  }
}

extension RunOutcome {
  /// Bytes on disk of what the run is about.
  public var sizes: [RunReport.Size] {
    var sizes = [RunReport.Size(name: "base model", bytes: loaded.base.tensors.reduce(0) { $0 + $1.byteCount })]
    if let mask {
      let bytes = mask.entries.reduce(0) { $0 + BitMask.packedByteCount(for: $1.bits.count) }
      sizes.append(RunReport.Size(name: "mask", bytes: bytes))
    }
    if let lora { sizes.append(RunReport.Size(name: "adapter", bytes: lora.byteCount)) }
    if let adapter { sizes.append(RunReport.Size(name: "adapter", bytes: adapter.byteCount)) }
    return sizes
  }
}

extension RunConfiguration {
  /// Names and values as the report lists them.
  var settings: [RunReport.Setting] {
    var settings = [
      RunReport.Setting(name: "method", value: method.rawValue), RunReport.Setting(name: "model", value: model),
      RunReport.Setting(name: "data", value: data),
    ]
    if method == .lota {
      settings.append(RunReport.Setting(name: "sparsity", value: "\(sparsity)"))
      settings.append(RunReport.Setting(name: "calibration", value: mask ?? calibration.text))
      if mask == nil { settings += ticketSettings }
    }
    if method == .lora {
      settings.append(RunReport.Setting(name: "rank", value: "\(lora.rank)"))
      settings.append(RunReport.Setting(name: "alpha", value: "\(lora.alpha)"))
      settings.append(RunReport.Setting(name: "dropout", value: "\(lora.dropout)"))
    }
    if !adapters.isEmpty {
      settings.append(RunReport.Setting(name: "begins with", value: adapters.joined(separator: ", ")))
    }
    if !exclude.isEmpty {
      settings.append(RunReport.Setting(name: "excluded", value: exclude.joined(separator: ", ")))
    }
    if !replay.files.isEmpty {
      let files = zip(replay.files, replay.rows).map { "\($1) rows of \($0)" }
      settings.append(RunReport.Setting(name: "replay", value: files.joined(separator: ", ")))
    }
    if layers != .all { settings.append(RunReport.Setting(name: "layers", value: layers.rawValue)) }
    return settings + training.settings
  }
}

extension RunConfiguration {
  /// How the ticket was found, where that is not the default way.
  private var ticketSettings: [RunReport.Setting] {
    var settings: [RunReport.Setting] = []
    if calibration != .steps(0) { settings.append(RunReport.Setting(name: "ranked by", value: ranking.rawValue)) }
    if quota != .global { settings.append(RunReport.Setting(name: "quota", value: quota.rawValue)) }
    if scope != .projections { settings.append(RunReport.Setting(name: "scope", value: scope.text)) }
    if !iterations.isEmpty {
      let text = sparsities.map { "\($0)" }.joined(separator: ", ")
      settings.append(RunReport.Setting(name: "tickets in turn", value: text))
    }
    if let stopping {
      let text = "once tickets \(stopping.interval) steps apart share \(NumberText.percent(stopping.overlap))"
      settings.append(RunReport.Setting(name: "calibration ends", value: text))
    }
    return settings
  }
}

extension Calibration {
  var text: String {
    switch self {
    case .steps(let steps): "\(steps) steps"
    case .epochs(let epochs): "\(epochs) epochs"
    }
  }
}

extension TrainingOptions {
  var settings: [RunReport.Setting] {
    let lengthText =
      switch length {
      case .steps(let steps): "\(steps) steps"
      case .epochs(let epochs): "\(epochs) epochs"
      }
    return [
      RunReport.Setting(name: "length", value: lengthText),
      RunReport.Setting(name: "batch size", value: "\(batchSize)"),
      RunReport.Setting(name: "optimizer", value: optimizer.name),
      RunReport.Setting(name: "learning rate", value: "\(learningRate)"),
      RunReport.Setting(name: "warm-up", value: "\(warmupSteps) steps"),
      RunReport.Setting(
        name: "gradient norm", value: maximumGradientNorm.map { "at most \($0), \(clipping.rawValue)" } ?? "not clipped"
      ),
      RunReport.Setting(name: "loss", value: loss.rawValue), RunReport.Setting(name: "seed", value: "\(seed)"),
    ]
  }
}
