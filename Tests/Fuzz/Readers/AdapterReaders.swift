import Checkpoints
import Foundation
import Primitives
import Tickets
import Torch

extension FuzzReader {
  static let adapters = [lotaAdapter, loraAdapter, ledger]

  // MARK: - LoTA

  private static let lotaAdapter = FuzzReader(
    "lota-adapter", "LoTA adapter: configuration, records, entries",
    dictionary: [
      "format", "version", "lota-adapter", "value_coding", "exact", "bfloat16", "int8", "value_error", "relative_rms",
      "base_tensors", "trained", "trained_count", "scoped_count", "shape", "records_sha256", "F16", "F32", "I8",
      "peft_type",
    ]
  ) {
    Seeds(["exact", "bfloat16", "int8"].map(LotaSeeds.input))
  } open: { workspace in
    let base = try Checkpoint(directory: try workspace.write(try LotaSeeds.base(), "base/model.safetensors"))
    return { input in
      try LotaSeeds.write(input, to: workspace)
      let adapter = try Adapter(directory: workspace.path("adapter"))
      try adapter.checkEntries()
      try adapter.verify(base: base, digests: false)
      for name in adapter.tensorNames {
        guard let entries = try adapter.entries(of: name, base: base) else { continue }
        var weights = [UInt8](repeating: 0, count: try base.description(of: name).byteCount)
        weights.withUnsafeMutableBytes {
          entries.add(to: $0)
          entries.remove(from: $0)
        }
        precondition(weights.allSatisfy { $0 == 0 }, "taking an adapter away does not undo adding it")
      }
      _ = try adapter.mask()
      do { try adapter.checkTrainedWeights(base: base) } catch is TicketsError {}
    }
  }

  // MARK: - LoRA

  private static let loraAdapter = FuzzReader(
    "lora-adapter", "LoRA adapter as PEFT writes it",
    dictionary: [
      "peft_type", "LORA", "r", "lora_alpha", "target_modules", "rank_pattern", "alpha_pattern", "use_rslora", "bias",
      "none",
      "layers_to_transform", "init_lora_weights", "fan_in_fan_out", "use_dora", "(.*)*x", "q_proj|k_proj", "\\d+",
      "[0-3]",
      "^model", "proj$", "{1,1000}", "(?:a|b)*", ".lora_A.weight", ".lora_B.weight",
    ]
  ) {
    try LoRASeeds.all()
  } open: { workspace in
    let base = try Checkpoint(directory: try workspace.write(try LotaSeeds.base(), "base/model.safetensors"))
    return { input in
      try workspace.write(input["configuration"], "lora/adapter_config.json")
      try workspace.write(input["weights"], "lora/adapter_model.safetensors")
      _ = LoRAAdapter.isPEFT(workspace.path("lora"))
      let adapter = try LoRAAdapter(directory: workspace.path("lora"))
      for module in adapter.modules { _ = try adapter.floats(of: module) }
      try adapter.verify(base: base)
    }
  }

  // MARK: - Ledger

  private static let ledger = FuzzReader(
    "ledger", "ledger of the tasks in a model directory",
    dictionary: [
      "format", "lota-ledger", "version", "tasks", "name", "../x", ".hidden", "configuration_sha256", "owned",
      "tensors",
    ]
  ) {
    let digest = String(repeating: "ab", count: 32)
    return [
      FuzzInput(
        .json,
        """
        {"format": "lota-ledger", "version": 1, "base_fingerprint": "\(digest)", "tasks": [{"name": "maths", "owned": 3,
        "configuration_sha256": "\(digest)", "tensors": {"model.layers.0.self_attn.q_proj.weight": 3}}]}
        """)
    ]
  } open: { workspace in
    { input in
      try workspace.write(input.bytes, "model/lota-ledger.json")
      guard let ledger = try TicketLedger(directory: workspace.path("model")) else { return }
      for task in ledger.tasks {
        precondition(!task.name.contains("/") && !task.name.hasPrefix("."), "a task's copy lies outside its folder")
        _ = task.density(shapes: ["model.layers.0.self_attn.q_proj.weight": [4, 4]])
      }
    }
  }
}

/// An adapter of two tensors. Digests are filled in when it is written, so that changes reach what lies behind them.
enum LotaSeeds {
  private static let names = ["model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.up_proj.weight"]
  private static let shape = [8, 8]
  private static let indices: [UInt32] = [0, 3, 9, 10, 11, 40, 63]
  private static let placeholder = "0000000000000000000000000000000000000000000000000000000000000000"

  static func base() throws -> [UInt8] {
    try SafetensorsSeeds.file(
      [
        (try TensorDescription(name: names[0], dtype: .float32, shape: shape), [UInt8](repeating: 0x3D, count: 256)),
        (try TensorDescription(name: names[1], dtype: .bfloat16, shape: shape), [UInt8](repeating: 0x3D, count: 128)),
      ], metadata: ["format": "pt"])
  }

  static func input(coding: String) -> FuzzInput {
    let error = coding == "exact" ? "" : #""value_error": {"relative_rms": 0.01, "maximum": 0.001},"#
    let tensors = zip(names, ["F32", "BF16"]).map { name, dtype in
      """
      "\(name)": {"sha256": "\(placeholder)", "dtype": "\(dtype)", "shape": [8, 8], "trained": \(indices.count)}
      """
    }
    let configuration = """
      {"format": "lota-adapter", "version": 2, "method": "lota", "sparsity": 0.9, "trained_count": \(2 * indices.count),
      "scoped_count": 128, "training": {"seed": "1"}, "base_fingerprint": "\(placeholder)", "base_byte_count": 384,
      "records_sha256": "\(placeholder)", "value_coding": "\(coding)", \(error)
      "base_tensors": {\(tensors.joined(separator: ", "))}}
      """
    let gaps = indices.indices.map { $0 == 0 ? indices[0] : indices[$0] - indices[$0 - 1] - 1 }
    let symbols = indices.map { $0 % 5 }
    let values: [UInt8] =
      switch coding {
      case "exact": NumberStream.encode(symbols)
      case "bfloat16": [0x80, 0x3C] + NumberStream.encode(symbols)
      default: [0, 0, 0x80, 0x3A] + NumberStream.encode(symbols)
      }
    // One tensor with the longer coding of numbers.
    let dense = [1] + [UInt8(0), 0x80, 0x20] + [2, 0, 0, 0] + [0, 0, 1, 0]
    return FuzzInput(
      [FuzzInput.part("configuration", .json, configuration), FuzzInput.part("repair", .text, "yes")]
        + names.enumerated().flatMap { number, _ in
          let stream = number == 0 ? NumberStream.encode(gaps) : dense
          return [
            FuzzInput.Part(name: "indices\(number)", kind: .bytes, bytes: stream, fields: [0..<1, 1..<2, 2..<4]),
            FuzzInput.Part(name: "values\(number)", kind: .bytes, bytes: values, fields: [0..<1, 1..<2, 0..<4]),
          ]
        })
  }

  /// Puts the parts together; with `repair` as it was, all digests are made right.
  static func write(_ input: FuzzInput, to workspace: Workspace) throws {
    let records = names.indices.map { number in
      record(indices: input["indices\(number)"], values: input["values\(number)"])
    }
    let leading = zip(names, records).sorted { $0.0.precedesInBytes($1.0) }.flatMap { $0.1.prefix(32) }
    var configuration = input["configuration"]
    if input["repair"] == Array("yes".utf8) {
      let key = Array("\"records_sha256\"".utf8)
      if let start = position(of: key, in: configuration),
        let digest = position(of: Array(placeholder.utf8), in: configuration[start...])
      {
        configuration.replaceSubrange(digest..<(digest + 64), with: hex(ArraySlice(leading)).utf8)
      }
    }
    let tensors = try zip(names, records).map { name, record in
      (try TensorDescription(name: name, dtype: .uint8, shape: [record.count]), record)
    }
    let file = try SafetensorsSeeds.file(
      tensors,
      metadata: ["format": "lota-adapter", "version": "2", "configuration_sha256": hex(configuration[...])])
    try workspace.write(configuration, "adapter/adapter_config.json")
    try workspace.write(file, "adapter/adapter_model.safetensors")
  }

  private static func record(indices: [UInt8], values: [UInt8]) -> [UInt8] {
    let size = withUnsafeBytes(of: UInt32(indices.count).littleEndian, Array.init)
    let covered = digest(values) + [UInt8](repeating: 7, count: 16) + size + indices
    return digest(covered) + covered + values
  }

  private static func digest(_ bytes: [UInt8]) -> [UInt8] {
    Array(bytes.withUnsafeBytes(ModelFingerprint.digestBytes(of:)).prefix(16))
  }

  private static func hex(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.withUnsafeBytes { ModelFingerprint.digest(of: $0) }
  }

  private static func position(of part: [UInt8], in bytes: [UInt8]) -> Int? { position(of: part, in: bytes[...]) }

  private static func position(of part: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    guard bytes.count >= part.count else { return nil }
    return (bytes.startIndex...(bytes.endIndex - part.count)).first {
      bytes[$0..<($0 + part.count)].elementsEqual(part)
    }
  }
}

enum LoRASeeds {
  static func all() throws -> FuzzReader.Seeds {
    let plain = configuration(patterns: #"{"q_proj": 2, "layers.0.mlp.up_proj": 2}"#)
    return FuzzReader.Seeds(
      try [plain].map(input),
      hostile: try Hostile.modulePatterns.map { try input(configuration(patterns: "{\(JSONValue.quoted($0)): 2}")) })
  }

  private static func configuration(patterns: String) -> String {
    """
    {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "up_proj"],
    "rank_pattern": \(patterns), "alpha_pattern": \(patterns), "use_rslora": true, "bias": "none", "lora_dropout": 0.0,
    "fan_in_fan_out": false, "layers_to_transform": null, "init_lora_weights": true}
    """
  }

  private static func input(_ configuration: String) throws -> FuzzInput {
    let tensors = try ["self_attn.q_proj", "mlp.up_proj"].flatMap { module in
      let name = "base_model.model.model.layers.0.\(module)"
      return [
        try TensorDescription(name: name + ".lora_A.weight", dtype: .float32, shape: [2, 8]),
        try TensorDescription(name: name + ".lora_B.weight", dtype: .bfloat16, shape: [8, 2]),
      ]
    }
    return FuzzInput([
      FuzzInput.part("configuration", .json, configuration),
      FuzzInput.Part(name: "weights", kind: .bytes, bytes: try SafetensorsSeeds.file(tensors), fields: [0..<8]),
    ])
  }
}
