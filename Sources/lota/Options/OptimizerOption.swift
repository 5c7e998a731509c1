import Adaptation
import ArgumentParser

/// Which optimizer, by name.
struct OptimizerOption: ParsableArguments {
  @Option(help: "\(OptimizerSettings.names.joined(separator: ", ")). Default: rmsprop.")
  var optimizer: String?

  var settings: OptimizerSettings? { optimizer.flatMap(OptimizerSettings.init(name:)) }

  func validate() throws {
    if let optimizer, settings == nil {
      throw ValidationError("--optimizer is '\(optimizer)': use \(OptimizerSettings.names.joined(separator: ", "))")
    }
  }
}
