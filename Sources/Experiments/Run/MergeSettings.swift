internal import Merging

/// A merging stage's settings, each with one value, as options of `lota merge`.
struct MergeSettings {
  /// Without the weights of single inputs; sorted by name.
  private let options: [(name: String, value: String)]
  /// By stage.
  private let weights: [String: String]

  /// - Parameter values: of the settings that vary or are chosen.
  init(_ stage: ExperimentPlan.Stage, values: [String: String]) {
    var options: [String: String] = [:]
    for setting in stage.settings {
      options[setting.name] =
        switch setting.value {
        case .off: "false"
        case .fixed(let given): given.first ?? "true"
        case .vary, .choose: values[setting.name]
        }
    }
    let own = options.filter { $0.key.hasPrefix(ExperimentPlan.weightPrefix) }
    weights = Dictionary(
      own.map { (String($0.key.dropFirst(ExperimentPlan.weightPrefix.count)), $0.value) }, uniquingKeysWith: { $1 })
    self.options = options.filter { own[$0.key] == nil }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  private subscript(_ name: String) -> String? { options.first { $0.name == name }?.value }

  func weight(of stage: String) -> String { weights[stage] ?? "" }

  /// - Parameter inputs: names of stages, and where what they made lies.
  func arguments(_ inputs: [(name: String, path: String)]) -> [String] {
    inputs.flatMap { name, path in ["--input", weights[name].map { "\(path):\($0)" } ?? path] }
      + options.map { "--\($0.name)=\($0.value)" }
  }

  /// What counts for the result, beside the inputs.
  var identity: [String] { options.map { "\($0.name) \($0.value)" } }

  /// Whether tickets merge into a ticket.
  var keepsTickets: Bool {
    guard let method = self["method"].flatMap(MergeMethod.init(name:)), self["dtype"] == nil else { return false }
    return method.obstacleToSparse(normalizes: self["normalize"].map { $0 == "true" } ?? method.normalizes) == nil
  }
}
