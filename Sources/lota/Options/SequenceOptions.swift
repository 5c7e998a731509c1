public import Adaptation
public import ArgumentParser

/// Earlier tickets that a new one keeps clear of.
struct ExclusionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Mask file or adapter directory: its weights stay as they are and get into no new ticket; may be repeated.",
      valueName: "ticket"))
  var exclude: [String] = []

  func validate(_ method: TrainingMethod) throws {
    if method == .lora, !exclude.isEmpty {
      throw ValidationError("--exclude is for single weights: leave it out with --method lora")
    }
  }
}

/// What a run takes over from earlier tasks.
struct SequenceOptions: ParsableArguments {
  @OptionGroup var exclusion: ExclusionOptions

  @Option(
    name: .customLong("adapter"),
    help: ArgumentHelp(
      "Begin with this adapter applied; a ticket and its calibration exclude its weights; may be repeated.",
      valueName: "dir"))
  var adapters: [String] = []

  @Option(help: ArgumentHelp("Rows of an earlier task to mix in; may be repeated.", valueName: "file"))
  var replay: [String] = []

  @Option(help: "Share of each replayed file's rows. Default: 0.1.")
  var replayFraction: Double?

  func validate() throws {
    if let replayFraction {
      guard !replay.isEmpty else { throw ValidationError("--replay-fraction needs --replay") }
      guard replayFraction > 0, replayFraction <= 1 else {
        throw ValidationError("--replay-fraction is \(replayFraction): use above 0 and at most 1")
      }
    }
  }

  func apply(to configuration: inout RunConfiguration) {
    configuration.exclude = exclusion.exclude
    configuration.adapters = adapters
    configuration.replay.files = replay
    if let replayFraction { configuration.replay.fraction = replayFraction }
  }
}

/// Held-out rows scored on the way.
struct ValidationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Held-out rows to score while the result trains (validation.jsonl); may be repeated.", valueName: "file"))
  var validation: [String] = []

  @Option(help: "Steps from one such score to the next; the last step is scored in any case. Default: 10.")
  var validateEvery: Int?

  @Option(
    help: ArgumentHelp(
      "End training after N scores in turn of the first --validation file that are no better than the best.",
      valueName: "n"))
  var earlyStopping: Int?

  @Flag(help: "Do not keep what is trained at its best score (adapter-best or model-best) beside the last.")
  var noKeepBest = false

  func validate() throws {
    let given = [
      ("--validate-every", validateEvery != nil), ("--early-stopping", earlyStopping != nil),
      ("--no-keep-best", noKeepBest),
    ]
    if validation.isEmpty, let option = given.first(where: \.1)?.0 {
      throw ValidationError("\(option) needs --validation")
    }
    if let validateEvery, validateEvery < 1 {
      throw ValidationError("--validate-every is \(validateEvery): use at least 1")
    }
    if let earlyStopping, earlyStopping < 1 {
      throw ValidationError("--early-stopping is \(earlyStopping): use at least 1")
    }
  }

  func apply(to configuration: inout RunConfiguration) {
    configuration.validation.files = validation
    if let validateEvery { configuration.validation.every = validateEvery }
    configuration.validation.patience = earlyStopping
    configuration.validation.keepsBest = !noKeepBest
  }
}

/// Which layers a baseline trains.
struct LayerOptions: ParsableArguments {
  @Option(help: "Layers to train, with --method lora or fft: all, even or odd, counted from 0. Default: all.")
  var layers: LayerSelection?

  func validate(_ method: TrainingMethod) throws {
    if method == .lota, layers != nil { throw ValidationError("--layers needs --method lora or fft") }
  }

  func apply(to configuration: inout RunConfiguration) {
    if let layers { configuration.layers = layers }
  }
}

extension LayerSelection: ExpressibleByArgument {}
