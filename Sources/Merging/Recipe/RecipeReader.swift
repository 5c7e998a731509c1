internal import Checkpoints
internal import Foundation
internal import Settings
internal import Torch

extension MergeRecipe {
  /// Reads a recipe in mergekit's YAML, of which it takes `models` (or one slice of whole models), `merge_method`, `base_model`,
  /// `parameters`, `dtype`, `out_dtype`, `tokenizer_source` and `random_seed`.
  ///
  /// - Throws: ``MergeError`` with file and line.
  public init(path: String) throws {
    try self.init(yaml: String(decoding: try FileSystem.read(path), as: UTF8.self), path: path)
  }

  /// - Parameter path: for messages.
  public init(yaml: String, path: String) throws {
    do {
      self = try RecipeReader.recipe(SettingsNode(yaml: yaml, path: path, name: "the recipe"))
    } catch let error as SettingsError {
      throw MergeError.invalidRecipe(path: error.path, line: error.line, reason: error.reason)
    }
  }
}

private enum RecipeReader {
  private static let keys = [
    "merge_method", "base_model", "models", "slices", "parameters", "dtype", "out_dtype", "tokenizer_source",
    "random_seed",
  ]
  /// Keys of mergekit's that mean something else than a merge of whole models.
  private static let refused = [
    "modules": "list whole models under 'models'", "tokenizer": "use tokenizer_source with a model directory",
    "chat_template": "copy the template into the result",
  ]

  static func recipe(_ root: SettingsNode) throws -> MergeRecipe {
    for (name, value) in try root.orderedMembers() {
      if let advice = refused[name] { throw value.unsupported(name, advice) }
    }
    let members = try root.members(known: keys)
    let name = try members.required("merge_method", of: root).text()
    guard let method = MergeMethod(name: name) else {
      throw MergeError.unknownMethod(name, known: MergeMethod.all.map(\.name))
    }
    let base = try members["base_model"]?.text()
    var recipe = MergeRecipe(method: method, base: base, inputs: try inputs(members, root, base: base))
    recipe.parameters = try members["parameters"].map(parameters) ?? [:]
    // mergekit computes in `dtype` too; here it is the result's alone.
    recipe.dtype = try (members["out_dtype"] ?? members["dtype"]).map(dtype)
    if let node = members["tokenizer_source"], case let source = try node.text(), source != "base" {
      guard source != "union" else {
        throw node.unsupported("tokenizer_source: union", "use models of one vocabulary")
      }
      recipe.tokenizerSource = source
    }
    recipe.seed = try members["random_seed"].map { UInt64(try $0.integer()) } ?? 0
    return recipe
  }

  // MARK: - Inputs

  private static func inputs(
    _ members: [String: SettingsNode], _ root: SettingsNode, base: String?
  ) throws -> [MergeRecipe.Input] {
    switch (members["models"], members["slices"]) {
    case (let models?, nil):
      return try models.elements().map { try input($0, known: ["model", "parameters"], base) }
    case (nil, let slices?):
      let advice = "only one slice of whole models is merged: list the models under 'models'"
      let elements = try slices.elements()
      guard elements.count == 1 else { throw slices.unsupported("a merge of several slices", advice) }
      let slice = try elements[0].members(known: ["sources"])
      return try slice.required("sources", of: elements[0]).elements().map { source in
        let known = ["model", "layer_range", "parameters"]
        if let layers = try source.members(known: known)["layer_range"] {
          guard layers.isList, try layers.elements().first?.integer() == 0 else {
            throw layers.unsupported("layer_range", advice)
          }
        }
        return try input(source, known: known, base)
      }
    default: throw root.invalid("it needs 'models', and not 'slices' beside them")
    }
  }

  private static func input(_ node: SettingsNode, known: [String], _ base: String?) throws -> MergeRecipe.Input {
    let members = try node.members(known: known)
    var path = try members.required("model", of: node).text()
    // mergekit's way to write an adapter: BASE+ADAPTER.
    if let base, path.hasPrefix(base + "+") { path = String(path.dropFirst(base.count + 1)) }
    return MergeRecipe.Input(path, parameters: try members["parameters"].map(parameters) ?? [:])
  }

  // MARK: - Parameters

  private static func parameters(_ node: SettingsNode) throws -> [String: ParameterSetting] {
    var settings: [String: ParameterSetting] = [:]
    // mergekit's int8_mask says how masks are stored; here they never are.
    for (name, value) in try node.orderedMembers() where name != "int8_mask" {
      settings[name] = try setting(value)
    }
    return settings
  }

  private static func setting(_ node: SettingsNode) throws -> ParameterSetting {
    if node.isList {
      let elements = try node.elements()
      if elements.isEmpty { throw node.invalid("\(node.key) is an empty list") }
      if elements.contains(where: \.isMapping) { return .conditional(try elements.map(condition)) }
      return .gradient(
        try elements.map { element in
          guard let number = element.optionalNumber else {
            throw element.invalid("\(node.key): a gradient is a list of numbers")
          }
          return number
        })
    }
    if node.isMapping { return .conditional([try condition(node)]) }
    if let number = node.optionalNumber { return .number(number) }
    if let flag = node.optionalBool { return .flag(flag) }
    return .text(try node.text())
  }

  private static func condition(_ node: SettingsNode) throws -> (filter: String?, value: ParameterSetting) {
    let members = try node.members(known: ["filter", "value"])
    return (try members["filter"]?.text(), try setting(members.required("value", of: node)))
  }

  private static func dtype(_ node: SettingsNode) throws -> DType {
    let name = try node.text()
    guard let dtype = DType(configurationName: name), dtype.isFloatingPoint, dtype != .float64 else {
      throw node.invalid("dtype is '\(name)': use float32, bfloat16 or float16")
    }
    return dtype
  }
}

extension SettingsNode {
  fileprivate func text() throws -> String {
    let text = try string()
    guard !text.isEmpty else { throw invalid("\(key) is empty") }
    return text
  }

  fileprivate func unsupported(_ what: String, _ advice: String) -> SettingsError {
    invalid("\(what) is not supported: \(advice)")
  }
}
