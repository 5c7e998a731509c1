import Checkpoints
import Foundation
import Merging
import TestSupport
import Testing
import Tickets
import Torch

/// PEFT's LoRA adapters among the inputs.
struct LowRankInputTests {
  /// A LoRA of rank 2 and alpha 6 on two projections.
  private func adapter(_ fixture: MergeFixture, rows: Int = 12) throws -> (path: String, updates: [String: [Float]]) {
    let path = fixture.directory("lora")
    try FileSystem.createDirectory(path)
    try FileSystem.writeAtomically(
      """
      {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": ["down_proj"], "layers_to_transform": [0, 2]}
      """, to: path + "/adapter_config.json")
    var generator = SeededGenerator(seed: 3)
    var values: [(tensor: TensorDescription, values: [Float])] = []
    var updates: [String: [Float]] = [:]
    for layer in [0, 2] {
      let module = "model.layers.\(layer).mlp.down_proj"
      let down = generator.values(2 * 30, scale: 0.1).map(Float.init)
      let up = generator.values(rows * 2, scale: 0.1).map(Float.init)
      let prefix = "base_model.model.\(module)"
      values.append(
        (try TensorDescription(name: prefix + ".lora_A.weight", dtype: .float32, shape: [2, 30]), down))
      values.append(
        (try TensorDescription(name: prefix + ".lora_B.weight", dtype: .float32, shape: [rows, 2]), up))
      updates[module + ".weight"] = (0..<(rows * 30)).map { index in
        let (row, column) = (index / 30, index % 30)
        return 3 * (up[2 * row] * down[column] + up[2 * row + 1] * down[30 + column])
      }
    }
    let writer = try SafetensorsWriter(path: path + "/adapter_model.safetensors", tensors: values.map(\.tensor))
    for entry in values { try entry.values.withUnsafeBytes { try writer.append($0) } }
    try writer.finish()
    return (path, updates)
  }

  @Test(arguments: ["task_arithmetic", "ties"]) func countsAsTheMergedModel(_ method: String) throws {
    let fixture = try MergeFixture()
    let (path, updates) = try adapter(fixture)
    var applied = fixture.base
    for (name, update) in updates {
      applied.values[name] = zip(applied.values[name] ?? [], update).map { $0 + $1 }
    }
    try applied.write(to: fixture.directory("applied"))
    var other = MergeRecipe.Input(fixture.tuned(2), parameters: ["weight": .number(0.5)])
    if method == "ties" { other.parameters["density"] = .number(0.3) }
    let ticket = MergeRecipe.Input(try fixture.ticket("t", from: 3, offset: 0, stride: 4))
    let merged = try fixture.merged(try fixture.recipe(method, [.init(path), other, ticket]))
    let expected = try fixture.merged(
      try fixture.recipe(method, [.init(fixture.directory("applied")), other, ticket]))
    for (name, _) in SmallModel.shapes {
      expectClose(fixture.values(merged, name), fixture.values(expected, name), absolute: 1e-6)
    }
  }

  @Test func notIntoAnAdapter() throws {
    let fixture = try MergeFixture()
    let (path, _) = try adapter(fixture)
    let merge = try Merge(try fixture.recipe("ties", [.init(path)]))
    #expect(merge.obstacleToSparse == "\(path) is no LoTA adapter")
    #expect(throws: MergeError.notSparse(reason: "\(path) is no LoTA adapter")) {
      try merge.writeAdapter(to: fixture.directory("adapter"))
    }
  }

  @Test func ofAnotherShape() throws {
    let fixture = try MergeFixture()
    let (path, _) = try adapter(fixture, rows: 11)
    let error = #expect(throws: MergeError.self) { try Merge(try fixture.recipe("ties", [.init(path)])) }
    #expect("\(error.map { "\($0)" } ?? "")".contains("[11, 30]"))
  }
}
