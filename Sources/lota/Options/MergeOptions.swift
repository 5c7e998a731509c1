import ArgumentParser
import Merging
import Torch

/// What is merged and how, but for the numbers that a search varies.
struct MergeOptions: ParsableArguments {
  @Option(help: "How to merge.") var method: String?
  @Option(help: ArgumentHelp("Base model directory.", valueName: "dir")) var base: String?
  @Option(help: "Divide by the sum of weights, true or false. Default: as the method does.") var normalize: Bool?
  @Option(help: "What makes up for dropped entries: norm, probability or none. Default: as the method does.")
  var rescale: String?
  @Option(help: "Element type of the result: float32, bfloat16 or float16. Default: the base's.") var dtype: String?
  @Option(help: "Of random masks.") var seed: UInt64?

  func validate() throws {
    if let method, MergeMethod(name: method) == nil {
      throw ValidationError("--method is '\(method)': use \(MergeMethod.all.map(\.name).joined(separator: ", "))")
    }
    if let dtype, DType(configurationName: dtype) == nil {
      throw ValidationError("--dtype is '\(dtype)': use float32, bfloat16 or float16")
    }
  }

  var isEmpty: Bool { method == nil && base == nil && dtype == nil && parameters.isEmpty }

  var parameters: [String: ParameterSetting] {
    var settings: [String: ParameterSetting] = [:]
    if let normalize { settings["normalize"] = .flag(normalize) }
    switch rescale {
    case nil: break
    case "true": settings["rescale"] = .flag(true)
    case "false": settings["rescale"] = .flag(false)
    case let rescale?: settings["rescale"] = .text(rescale)
    }
    return settings
  }

  /// nil without a method.
  func recipe(_ inputs: [MergeRecipe.Input]) -> MergeRecipe? {
    method.flatMap(MergeMethod.init(name:)).map {
      MergeRecipe(
        method: $0, base: base, inputs: inputs, parameters: parameters,
        dtype: dtype.flatMap(DType.init(configurationName:)), seed: seed ?? 0)
    }
  }
}
