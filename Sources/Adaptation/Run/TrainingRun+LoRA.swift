internal import Decoder
internal import Tickets

extension TrainingRun {
  /// Low-rank adaptation: the base weights stay as they are, and the matrices beside them are saved in PEFT's format.
  func adaptLowRank(_ recorder: inout Recorder) throws -> RunOutcome {
    let additions = try loaded.model.addLowRank(
      configuration.lora, layers: configuration.layers, seed: configuration.training.seed)
    let sink = try LowRankSink(configuration.training, additions: additions)
    try recorder.train(.training, options: configuration.training, rows: rows, model: loaded.model, sink: sink)
    let adapter = try recorder.measure("writing") {
      try LoRAAdapter.write(
        to: directory.adapterPath, additions, settings: configuration.lora, baseModel: configuration.model
      ) { sink.value(of: $0) }
    }
    return RunOutcome(
      loaded: loaded, records: recorder.records, mask: nil, adapter: nil, lora: adapter, modelPath: nil,
      seconds: recorder.seconds)
  }
}
