import Experiments
import Reports

/// A plan and its run as lines of text.
enum ExperimentText {
  static func stages(_ graph: StageGraph) -> String {
    graph.instances.map { instance in
      let origin =
        instance.inputs.isEmpty
        ? "from \(instance.parent.map { graph.instances[$0].label } ?? "base")"
        : "of \(instance.inputs.map { graph.instances[$0].label }.joined(separator: ", "))"
      return "\(instance.label)  seed \(instance.seed)  \(origin)"
    }.joined(separator: "\n")
  }

  static func show(_ event: ExperimentEvent) {
    switch event {
    case .began(let stage, let seed, let number, let count):
      Output.note("[\(number) of \(count)] \(stage), seed \(seed)")
    case .unchanged(let stage, let seed): Output.note("\(stage), seed \(seed): unchanged")
    case .finished(let stage, let seed, let seconds):
      Output.note("\(stage), seed \(seed): done in \(NumberText.duration(seconds))")
    case .chosen(let stage, let setting, let value, let losses):
      let others = losses.sorted { $0.value < $1.value }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
      Output.note("\(stage): \(setting) \(value) (\(others))")
    case .scoring(let stage, let seed, let task): Output.note("\(stage), seed \(seed): scoring \(task)")
    case .progress(let line): Output.progress(line)
    }
  }
}
