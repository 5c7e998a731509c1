internal import Decoder
internal import Tickets

extension TrainingRun {
  /// Low-rank adaptation: the base weights stay as they are, and the matrices beside them are saved in PEFT's format.
  func adaptLowRank(_ recorder: inout Recorder) throws -> RunOutcome {
    let additions = try loaded.model.addLowRank(
      configuration.lora, layers: configuration.layers, seed: configuration.training.seed)
    let sink = try LowRankSink(configuration.training, additions: additions)
    func write(to path: String, overwrite: Bool) throws -> LoRAAdapter {
      try LoRAAdapter.write(
        to: path, additions, settings: configuration.lora, baseModel: configuration.model, overwrite: overwrite
      ) { sink.value(of: $0) }
    }
    try recorder.train(
      .training, options: configuration.training, rows: rows, model: loaded.model, sink: sink,
      keepBest: { _ = try write(to: directory.bestPath(.lora), overwrite: true) })
    let adapter = try recorder.measure("writing") {
      try write(to: directory.adapterPath, overwrite: keeper.resumes)
    }
    return RunOutcome(
      loaded: loaded, records: recorder.records, mask: nil, adapter: nil, lora: adapter, modelPath: nil,
      seconds: recorder.seconds)
  }
}
