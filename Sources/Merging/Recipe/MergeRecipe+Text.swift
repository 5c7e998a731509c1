internal import Primitives
internal import Torch

extension MergeRecipe {
  /// The recipe as a file; reading it gives the recipe again.
  public var yaml: String {
    var lines = ["merge_method: \(method.name)"]
    if let base { lines.append("base_model: \(JSONValue.quoted(base))") }
    lines.append("models:")
    for input in inputs {
      lines.append("  - model: \(JSONValue.quoted(input.path))")
      if !input.parameters.isEmpty { lines += ["    parameters:"] + Self.lines(input.parameters, "      ") }
    }
    if !parameters.isEmpty { lines += ["parameters:"] + Self.lines(parameters, "  ") }
    if let dtype { lines.append("dtype: \(dtype.configurationName)") }
    if let tokenizerSource { lines.append("tokenizer_source: \(JSONValue.quoted(tokenizerSource))") }
    if seed != 0 { lines.append("random_seed: \(seed)") }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func lines(_ parameters: [String: ParameterSetting], _ indent: String) -> [String] {
    parameters.sorted { $0.key < $1.key }.flatMap { name, setting -> [String] in
      guard case .conditional(let cases) = setting else { return ["\(indent)\(name): \(setting.yamlValue)"] }
      return ["\(indent)\(name):"]
        + cases.map { filter, value in
          let filter = filter.map { "filter: \(JSONValue.quoted($0)), " } ?? ""
          return "\(indent)  - {\(filter)value: \(value.yamlValue)}"
        }
    }
  }
}

extension ParameterSetting {
  fileprivate var yamlValue: String {
    switch self {
    case .number(let value): "\(value)"
    case .flag(let value): "\(value)"
    case .text(let value): JSONValue.quoted(value)
    case .gradient(let values): "[\(values.map { "\($0)" }.joined(separator: ", "))]"
    case .conditional: "null"
    }
  }
}
