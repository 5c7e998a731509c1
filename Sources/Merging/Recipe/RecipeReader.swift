internal import Checkpoints
internal import Foundation
internal import Torch
internal import Yams

extension MergeRecipe {
  /// Reads a recipe in mergekit's YAML, of which it takes `models` (or one slice of whole models), `merge_method`, `base_model`,
  /// `parameters`, `dtype`, `out_dtype`, `tokenizer_source` and `random_seed`.
  ///
  /// - Throws: ``MergeError`` with file and line.
  public init(path: String) throws {
    try self.init(yaml: String(decoding: try FileSystem.read(path), as: UTF8.self), path: path)
  }

  /// - Parameter path: for messages.
  public init(yaml: String, path: String) throws { self = try RecipeReader(path: path).recipe(yaml) }
}

private struct RecipeReader {
  let path: String

  private static let keys = [
    "merge_method", "base_model", "models", "slices", "parameters", "dtype", "out_dtype", "tokenizer_source",
    "random_seed",
  ]
  /// Keys of mergekit's that mean something else than a merge of whole models.
  private static let refused = [
    "modules": "list whole models under 'models'", "tokenizer": "use tokenizer_source with a model directory",
    "chat_template": "copy the template into the result",
  ]

  func recipe(_ yaml: String) throws -> MergeRecipe {
    let root: Node
    do {
      guard let node = try Yams.compose(yaml: yaml) else {
        throw MergeError.invalidRecipe(path: path, line: 1, reason: "the file is empty")
      }
      root = node
    } catch let error as YamlError {
      let text = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
      throw MergeError.invalidRecipe(path: path, line: 1, reason: "not valid YAML: \(text)")
    }
    let members = try members(root, "the recipe", known: Self.keys)
    guard let name = members["merge_method"] else { throw invalid(root, "merge_method is missing") }
    let methodName = try text(name, "merge_method")
    guard let method = MergeMethod(name: methodName) else {
      throw MergeError.unknownMethod(methodName, known: MergeMethod.all.map(\.name))
    }
    let base = try members["base_model"].map { try text($0, "base_model") }
    var recipe = MergeRecipe(method: method, base: base, inputs: try inputs(members, root, base: base))
    recipe.parameters = try members["parameters"].map(parameters) ?? [:]
    // mergekit computes in `dtype` too; here it is the result's alone.
    recipe.dtype = try (members["out_dtype"] ?? members["dtype"]).map(dtype)
    if let source = try members["tokenizer_source"].map({ try text($0, "tokenizer_source") }), source != "base" {
      guard source != "union" else {
        throw unsupported(
          members["tokenizer_source"] ?? root, "tokenizer_source: union", "use models of one vocabulary")
      }
      recipe.tokenizerSource = source
    }
    if let node = members["random_seed"] {
      guard let seed = node.int, seed >= 0 else { throw invalid(node, "random_seed must be a whole number from 0") }
      recipe.seed = UInt64(seed)
    }
    return recipe
  }

  // MARK: - Inputs

  private func inputs(_ members: [String: Node], _ root: Node, base: String?) throws -> [MergeRecipe.Input] {
    switch (members["models"], members["slices"]) {
    case (let models?, nil):
      return try list(models, "models").map { try input($0, known: ["model", "parameters"], base) }
    case (nil, let slices?):
      let advice = "only one slice of whole models is merged: list the models under 'models'"
      let slices = try list(slices, "slices")
      guard slices.count == 1 else { throw unsupported(slices.first ?? root, "a merge of several slices", advice) }
      let slice = try self.members(slices[0], "a slice", known: ["sources"])
      guard let sources = slice["sources"] else { throw invalid(slices[0], "the slice lacks 'sources'") }
      return try list(sources, "sources").map { source in
        let known = ["model", "layer_range", "parameters"]
        if let layers = try self.members(source, "a source", known: known)["layer_range"] {
          guard let first = layers.sequence?.first?.int, first == 0 else {
            throw unsupported(layers, "layer_range", advice)
          }
        }
        return try input(source, known: known, base)
      }
    default: throw invalid(root, "it needs 'models', and not 'slices' beside them")
    }
  }

  private func input(_ node: Node, known: [String], _ base: String?) throws -> MergeRecipe.Input {
    let members = try members(node, "a model", known: known)
    guard let model = members["model"] else { throw invalid(node, "an entry of models lacks 'model'") }
    var path = try text(model, "model")
    // mergekit's way to write an adapter: BASE+ADAPTER.
    if let base, path.hasPrefix(base + "+") { path = String(path.dropFirst(base.count + 1)) }
    return MergeRecipe.Input(path, parameters: try members["parameters"].map(parameters) ?? [:])
  }

  // MARK: - Parameters

  private func parameters(_ node: Node) throws -> [String: ParameterSetting] {
    guard let mapping = node.mapping else { throw invalid(node, "parameters must be a mapping of names to values") }
    var settings: [String: ParameterSetting] = [:]
    for (key, value) in mapping {
      let name = try text(key, "a parameter's name")
      // Masks are never stored here.
      if name == "int8_mask" { continue }
      settings[name] = try setting(value, name)
    }
    return settings
  }

  private func setting(_ node: Node, _ name: String) throws -> ParameterSetting {
    if let sequence = node.sequence {
      if sequence.isEmpty { throw invalid(node, "\(name) is an empty list") }
      if sequence.contains(where: { $0.mapping != nil }) {
        return .conditional(try sequence.map { try condition($0, name) })
      }
      return .gradient(
        try sequence.map { element in
          guard let number = number(element) else { throw invalid(element, "\(name): a gradient is a list of numbers") }
          return number
        })
    }
    if node.mapping != nil { return .conditional([try condition(node, name)]) }
    if let number = number(node) { return .number(number) }
    if let flag = node.bool { return .flag(flag) }
    return .text(try text(node, name))
  }

  private func condition(_ node: Node, _ name: String) throws -> (filter: String?, value: ParameterSetting) {
    let members = try members(node, name, known: ["filter", "value"])
    guard let value = members["value"] else { throw invalid(node, "\(name): an entry lacks 'value'") }
    let filter = try members["filter"].map { try text($0, "filter") }
    return (filter, try setting(value, name))
  }

  /// YAML takes `1e-3` for text, as it has no point.
  private func number(_ node: Node) -> Double? {
    guard let scalar = node.scalar, scalar.style == .plain || scalar.style == .any else { return nil }
    return Double(scalar.string)
  }

  private func dtype(_ node: Node) throws -> DType {
    let name = try text(node, "dtype")
    guard let dtype = DType(configurationName: name), dtype.isFloatingPoint, dtype != .float64 else {
      throw invalid(node, "dtype is '\(name)': use float32, bfloat16 or float16")
    }
    return dtype
  }

  // MARK: - Nodes

  private func members(_ node: Node, _ what: String, known: [String]) throws -> [String: Node] {
    guard let mapping = node.mapping else { throw invalid(node, "\(what) must be a mapping of keys to values") }
    var members: [String: Node] = [:]
    for (key, value) in mapping {
      let name = key.string ?? "(not text)"
      if let advice = Self.refused[name] { throw unsupported(key, name, advice) }
      guard known.contains(name) else {
        throw MergeError.unknownKey(path: path, line: line(of: key), key: name, known: known)
      }
      if value.null == nil { members[name] = value }
    }
    return members
  }

  private func list(_ node: Node, _ what: String) throws -> [Node] {
    guard let sequence = node.sequence else { throw invalid(node, "\(what) must be a list") }
    return Array(sequence)
  }

  private func text(_ node: Node, _ what: String) throws -> String {
    guard let scalar = node.scalar, !scalar.string.isEmpty else { throw invalid(node, "\(what) must be text") }
    return scalar.string
  }

  private func line(of node: Node) -> Int { node.mark?.line ?? 1 }
  private func invalid(_ node: Node, _ reason: String) -> MergeError {
    .invalidRecipe(path: path, line: line(of: node), reason: reason)
  }
  private func unsupported(_ node: Node, _ key: String, _ advice: String) -> MergeError {
    .unsupported(path: path, line: line(of: node), key: key, advice: advice)
  }
}
