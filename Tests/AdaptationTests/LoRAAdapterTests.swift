import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Adapters in PEFT's format that are damaged, that ask for more than is supported, or that belong elsewhere.
@Suite(.engine) struct LoRAAdapterTests {
  private let goldens: LoRAGoldens
  private let directory: TemporaryDirectory

  init() throws {
    goldens = try LoRAGoldens()
    directory = try TemporaryDirectory()
  }

  /// A copy of `plain/` with some keys of its configuration changed, or removed (nil).
  private func adapter(_ changes: [String: Any?] = [:], of name: String = "plain") throws -> String {
    let path = directory("adapter-" + UUID().uuidString)
    try FileManager.default.copyItem(atPath: goldens.adapter(name), toPath: path)
    let file = URL(fileURLWithPath: path + "/adapter_config.json")
    var json = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    for (key, value) in changes { json[key] = value }
    try JSONSerialization.data(withJSONObject: json).write(to: file)
    return path
  }

  private func write(_ tensors: [(name: String, shape: [Int])], to path: String) throws {
    let described = try tensors.map { try TensorDescription(name: $0.name, dtype: .float32, shape: $0.shape) }
    let writer = try SafetensorsWriter(path: path + "/adapter_model.safetensors", tensors: described)
    for tensor in described { try [Float](repeating: 0, count: tensor.elementCount).withUnsafeBytes(writer.append) }
    try writer.finish()
  }

  private func open(_ path: String) throws { _ = try LoadedModel(directory: goldens.training.model, adapters: [path]) }

  @Test(arguments: [
    ("use_dora", "true"), ("bias", "\"all\""), ("modules_to_save", "[\"lm_head\"]"), ("fan_in_fan_out", "true"),
    ("lora_bias", "true"), ("layer_replication", "[[0, 1]]"), ("trainable_token_indices", "[1]"),
    ("target_parameters", "[\"w\"]"), ("use_qalora", "true"), ("init_lora_weights", "\"pissa\""),
    ("peft_type", "\"IA3\""), ("a_new_variant", "{\"k\": 1}"),
  ])
  func unsupportedSettingsAreNamed(_ key: String, _ json: String) throws {
    let value = try JSONSerialization.jsonObject(with: Data(json.utf8), options: .fragmentsAllowed)
    let path = try adapter([key: value])
    let error = #expect(throws: LoRAError.self) { try open(path) }
    guard case .unsupported(path + "/adapter_config.json", key, _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect("\(try #require(error))".contains("'\(key)'"))
  }

  @Test(arguments: [
    ("r", "0"), ("r", "\"many\""), ("lora_alpha", "null"), ("target_modules", "3"), ("rank_pattern", "[1]"),
    ("rank_pattern", "{\"(\": 1}"), ("alpha_pattern", "{\"q_proj\": -1}"),
  ])
  func malformedSettingsAreNamed(_ key: String, _ json: String) throws {
    let value = try JSONSerialization.jsonObject(with: Data(json.utf8), options: .fragmentsAllowed)
    let error = #expect(throws: LoRAError.self) { try open(try adapter([key: value])) }
    guard case .malformed(_, key, _, _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  private func problems(_ path: String) throws -> [String] {
    let error = #expect(throws: LoRAError.self) { try open(path) }
    guard case .doesNotFit(path, let problems)? = error else {
      Issue.record("\(String(describing: error))")
      return []
    }
    return problems
  }

  private static let query = "base_model.model.model.layers.0.self_attn.q_proj"

  @Test func allProblemsOfAFileAtOnce() throws {
    let path = try adapter()
    try write(
      [
        (Self.query + ".lora_A.weight", [4, 32]), ("base_model.model.lm_head.lora_A.weight", [4, 32]),
        ("base_model.model.model.layers.1.mlp.up_proj.lora_A.weight", [3, 32]),
        ("base_model.model.model.layers.1.mlp.up_proj.lora_B.weight", [40, 5]),
        (Self.query + ".lora_magnitude_vector", [32]),
      ], to: path)
    let found = try problems(path)
    #expect(found.count == 5, "\(found)")
    for text in [
      "lm_head.lora_A.weight is no LoRA matrix", "lora_magnitude_vector is no LoRA matrix",
      "q_proj.lora_B.weight is missing", "has shape [3, 32], expected [4, inputs]", "has shape [40, 5]",
    ] { #expect(found.contains { $0.contains(text) }, "\(text) is not in \(found)") }
  }

  @Test func allProblemsWithTheModelAtOnce() throws {
    let path = try adapter(["target_modules": ["q_proj", "k_proj"]])
    try write(
      [
        (Self.query + ".lora_A.weight", [4, 16]), (Self.query + ".lora_B.weight", [32, 4]),
        ("base_model.model.model.layers.9.self_attn.k_proj.lora_A.weight", [4, 32]),
        ("base_model.model.model.layers.9.self_attn.k_proj.lora_B.weight", [16, 4]),
      ], to: path)
    let found = try problems(path)
    // q_proj of layer 1, and k_proj of both layers, have no matrices at all.
    #expect(found.count == 5, "\(found)")
    #expect(found[0].contains("has shape [32, 32], the adapter is for [32, 16]"))
    #expect(found[1] == "the model has no tensor model.layers.9.self_attn.k_proj.weight")
    #expect(found[2].contains("layers.0.self_attn.k_proj.lora_A.weight is missing"))
  }

  /// Some layers alone, where the configuration says so.
  @Test func someLayersAreEnoughWhereSaid() throws {
    let path = try adapter(["layers_to_transform": [0], "target_modules": ["q_proj"]])
    try write([(Self.query + ".lora_A.weight", [4, 32]), (Self.query + ".lora_B.weight", [32, 4])], to: path)
    try open(path)
  }

  @Test func emptyAdapter() throws {
    let path = try adapter()
    try write([], to: path)
    #expect(try problems(path) == ["it holds no tensors"])
  }

  @Test func pickledWeights() throws {
    let path = try adapter()
    try FileManager.default.moveItem(
      atPath: path + "/adapter_model.safetensors", toPath: path + "/adapter_model.bin")
    #expect(throws: LoRAError.onlyPickledWeights(path: path + "/adapter_model.bin")) { try open(path) }
  }

  @Test func missingWeights() throws {
    let path = try adapter()
    try FileManager.default.removeItem(atPath: path + "/adapter_model.safetensors")
    #expect(throws: CheckpointError.fileNotFound(path: path + "/adapter_model.safetensors")) { try open(path) }
  }

  /// In a ticket's company, the addition comes on top of the ticket's values.
  @Test func togetherWithATicket() throws {
    let small = try SmallRun { $0.calibration = .steps(0) }
    _ = try small.run.run()
    let (ticket, plain) = (small.run.directory.adapterPath, goldens.adapter("plain"))
    func model(_ adapters: [String]) throws -> LanguageModel {
      try LoadedModel(directory: goldens.training.model, adapters: adapters).model
    }
    let name = "model.layers.1.mlp.down_proj.weight"
    let (base, sparse, low) = (try model([]), try model([ticket]), try model([plain]))
    for order in [[ticket, plain], [plain, ticket]] {
      let both = try model(order).values(name)
      let expected = zip(zip(try sparse.values(name), try low.values(name)), try base.values(name)).map {
        $0.0 + $0.1 - $1
      }
      expectClose(both, expected, absolute: 1e-6)
    }
  }
}
