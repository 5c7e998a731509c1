internal import Checkpoints
package import Foundation
internal import Primitives

/// `adapter_config.json` of a LoRA adapter, as PEFT writes it.
public struct LoRAConfiguration: Equatable, Sendable {
  package static let fileName = "adapter_config.json"

  public var rank: Int
  public var alpha: Double
  /// Rank-stabilised (Kalajdzievski 2023): alpha is divided by the rank's root instead of the rank.
  public var isRankStabilised = false
  /// Names of modules, as PEFT compares them: the last parts of a path, or one pattern for the whole of it.
  public var targetModules: [String]
  /// Numbers of the layers that are adapted, for writing; nil for all. What was read counts by its tensors.
  package var layers: [Int]?
  /// The file as it was: patterns and limits are looked up in it.
  private(set) var patterns = Patterns()

  /// Ranks and alphas of some modules, by regular expression, in the file's order.
  struct Patterns: Equatable, Sendable {
    var ranks: [Entry] = []
    var alphas: [Entry] = []
    /// Whether every layer has to have every target.
    var coversAllLayers = true

    struct Entry: Equatable, Sendable {
      let pattern: ModulePattern
      let value: Double
    }
  }

  package init(rank: Int, alpha: Double, targetModules: [String]) {
    self.rank = rank
    self.alpha = alpha
    self.targetModules = targetModules
  }

  /// The rank that `module` should have.
  func rank(of module: String) -> Int {
    Self.value(of: module, in: patterns.ranks).map { Int($0) } ?? rank
  }

  /// What B A of `module` is multiplied by.
  func scale(of module: String, rank: Int) -> Double {
    let alpha = Self.value(of: module, in: patterns.alphas) ?? self.alpha
    return alpha / (isRankStabilised ? Double(rank).squareRoot() : Double(rank))
  }

  /// PEFT's `get_pattern_key`: the first pattern that fits the module's name from some dot to its end.
  private static func value(of module: String, in patterns: [Patterns.Entry]) -> Double? {
    patterns.first { $0.pattern.matches(module) }?.value
  }

  /// Of all patterns of a key together: each module's name is compared with all of them.
  private static let maximumCost = 50_000
}

// MARK: - Reading

extension LoRAConfiguration {
  /// Whether a directory holds a PEFT adapter of any type.
  static func isPEFT(_ directory: String) -> Bool {
    let path = FileSystem.join(directory, fileName)
    guard let data = try? FileSystem.read(path), let json = try? FileSystem.parseJSON(data, path: path) else {
      return false
    }
    return json["peft_type"] != nil
  }

  /// - Throws: ``LoRAError``; `CheckpointError` for a file that is missing or no JSON.
  init(directory: String) throws {
    let path = FileSystem.join(directory, Self.fileName)
    let json = try FileSystem.parseJSON(try FileSystem.read(path), path: path)
    func malformed(_ key: String, _ expected: String) -> LoRAError {
      .malformed(path: path, key: key, value: json[key]?.summary ?? "missing", expected: expected)
    }
    guard json["peft_type"]?.stringValue == "LORA" else {
      throw LoRAError.unsupported(path: path, key: "peft_type", value: json["peft_type"]?.summary ?? "missing")
    }
    try Self.refuseUnsupported(json, path: path)
    guard let rank = json["r"]?.integerValue, rank > 0 else { throw malformed("r", "a positive integer") }
    guard let alpha = json["lora_alpha"]?.doubleValue, alpha.isFinite else { throw malformed("lora_alpha", "a number") }
    let targets: [String]
    switch json["target_modules"] {
    case .array(let names): targets = names.compactMap(\.stringValue)
    case .string(let pattern): targets = [pattern]
    default: throw malformed("target_modules", "a list of names, or a pattern")
    }
    self.init(rank: rank, alpha: alpha, targetModules: targets.sorted())
    isRankStabilised = json["use_rslora"]?.boolValue ?? false
    patterns.ranks = try Self.patterns("rank_pattern", of: json, path: path)
    patterns.alphas = try Self.patterns("alpha_pattern", of: json, path: path)
    let limits = ["layers_to_transform", "exclude_modules"].contains { !Self.isUnset(json[$0]) }
    patterns.coversAllLayers = json["target_modules"]?.arrayValue != nil && !limits
  }

  private static func patterns(
    _ key: String, of json: JSONValue, path: String
  ) throws -> [Patterns.Entry] {
    guard let found = json[key], !isUnset(found) else { return [] }
    func malformed(_ expected: String) -> LoRAError {
      .malformed(path: path, key: key, value: found.summary, expected: expected)
    }
    guard case .object(let members) = found else { throw malformed("an object of names and numbers") }
    var cost = 0
    return try members.map { text, value in
      guard let number = value.doubleValue, number > 0, number < 1e9 else { throw malformed("positive numbers") }
      let pattern: ModulePattern
      do throws(ModulePattern.Malformed) {
        pattern = try ModulePattern(text)
      } catch {
        throw malformed(
          "regular expressions; \(JSONValue.quoted(String(text.prefix(60)))) cannot be used: \(error.reason)")
      }
      cost += pattern.cost
      guard cost <= maximumCost else { throw malformed("fewer or shorter regular expressions") }
      return Patterns.Entry(pattern: pattern, value: number)
    }
  }

  /// Keys that say nothing on what the finished adapter computes, or that are looked at above.
  private static let known: Set<String> = [
    "peft_type", "task_type", "base_model_name_or_path", "revision", "auto_mapping", "peft_version", "inference_mode",
    "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
    "rank_pattern", "alpha_pattern", "use_rslora", "bias", "init_lora_weights", "runtime_config", "ensure_weight_tying",
    // Of these, others say whether they count.
    "megatron_core", "qalora_group_size", "loftq_config", "eva_config",
  ]
  /// Other ways to begin change the base's weights too.
  private static let plainBeginnings: Set<String> = ["gaussian", "eva", "orthogonal"]

  private static func refuseUnsupported(_ json: JSONValue, path: String) throws {
    func refusal(_ key: String) -> LoRAError {
      .unsupported(path: path, key: key, value: json[key]?.summary ?? "missing")
    }
    if let bias = json["bias"], bias.stringValue != "none", !bias.isNull { throw refusal("bias") }
    if let beginning = json["init_lora_weights"]?.stringValue, !plainBeginnings.contains(beginning) {
      throw refusal("init_lora_weights")
    }
    guard case .object(let members) = json else { return }
    for (key, value) in members where !known.contains(key) && !isUnset(value) { throw refusal(key) }
  }

  /// null, false, or empty.
  private static func isUnset(_ value: JSONValue?) -> Bool {
    switch value {
    case nil, .null, .bool(false): true
    case .array(let elements): elements.isEmpty
    case .object(let members): members.isEmpty
    default: false
    }
  }
}

// MARK: - Writing

extension LoRAConfiguration {
  /// The file's content, for PEFT.
  package func encoded(baseModel: String, dropout: Double) -> Data {
    let json: JSONValue = [
      "alpha_pattern": .object([]),
      "base_model_name_or_path": .string(baseModel),
      "bias": "none",
      "fan_in_fan_out": false,
      "inference_mode": true,
      "init_lora_weights": true,
      "layers_pattern": .null,
      "layers_to_transform": layers.map { .array($0.map { .integer($0) }) } ?? .null,
      "lora_alpha": Int(exactly: alpha).map { .integer($0) } ?? .number(alpha),
      "lora_dropout": .number(dropout),
      "modules_to_save": .null,
      "peft_type": "LORA",
      "r": .integer(rank),
      "rank_pattern": .object([]),
      "revision": .null,
      "target_modules": .array(targetModules.map { .string($0) }),
      "task_type": "CAUSAL_LM",
      "use_dora": false,
      "use_rslora": .bool(isRankStabilised),
    ]
    return Data(json.encoded())
  }
}
