import Checkpoints
import Foundation
import Testing
import Tickets
import Torch

/// Opening an adapter checks everything it holds.
struct AdapterFileTests {
  private static let name = "model.layers.0.mlp.up_proj.weight"
  private static let digest = String(repeating: "0a", count: 32)

  /// The problem with an adapter of one 2 x 3 tensor, in which one thing is changed; nil when it opens.
  private func problem(
    replacing text: String = "", with other: String = "", indices: [Int32] = [1, 4], valueType: DType = .float32,
    indexName: String = name + ".indices", extra: String? = nil
  ) throws -> String? {
    let directory = try TemporaryDirectory()
    let configuration = """
      {"format": "lota-adapter", "version": 1, "method": "lota", "sparsity": 0.75, "trained_count": 2, \
      "scoped_count": 6, "base_fingerprint": "f", "training": {"steps": "3"}, "base_tensors": {"\(Self.name)": \
      {"sha256": "\(Self.digest)", "dtype": "F32", "shape": [2, 3], "trained": 2}}}
      """
    try FileSystem.writeAtomically(
      text.isEmpty ? configuration : configuration.replacingOccurrences(of: text, with: other),
      to: directory("adapter_config.json"))
    var tensors = [
      try TensorDescription(name: indexName, dtype: .int32, shape: [indices.count]),
      try TensorDescription(name: Self.name + ".values", dtype: valueType, shape: [2]),
    ]
    if let extra { tensors.append(try TensorDescription(name: extra, dtype: .int32, shape: [0])) }
    let writer = try SafetensorsWriter(path: directory("adapter_model.safetensors"), tensors: tensors)
    try indices.withUnsafeBytes { try writer.append($0) }
    try [UInt8](repeating: 1, count: 2 * valueType.byteCount).withUnsafeBytes { try writer.append($0) }
    try writer.finish()
    do {
      let adapter = try Adapter(directory: directory.path)
      #expect(try adapter.entries(of: Self.name)?.indices == indices)
      return nil
    } catch TicketsError.adapterMalformed(_, let problem) {
      return problem
    } catch TicketsError.adapterUnsupportedVersion(_, let version) {
      return "version \(version)"
    }
  }

  @Test func configurationIsChecked() throws {
    #expect(try problem() == nil)
    #expect(try problem(replacing: "lota-adapter", with: "x") == "it is of another kind, not a lota-adapter")
    #expect(
      try problem(replacing: "\"format\": \"lota-adapter\"", with: "\"peft_type\": \"LORA\"")
        == "it is a PEFT adapter of type LORA, not a lota-adapter")
    #expect(try problem(replacing: "\"version\": 1", with: "\"version\": 2") == "version 2")
    #expect(try problem(replacing: "\"method\": \"lota\", ", with: "") == "key method is missing")
    #expect(try problem(replacing: "\"method\": \"lota\"", with: "\"method\": 3") == "key method has the wrong type")
    #expect(try problem(replacing: "\"method\"", with: "\"new\": 1, \"method\"") == "unknown key new")
    #expect(
      try problem(replacing: "\"dtype\"", with: "\"more\": 1, \"dtype\"")
        == "key base_tensors/\(Self.name): unknown key more")
    #expect(try problem(replacing: "\"F32\"", with: "\"F31\"")?.contains("unknown dtype F31") == true)
    #expect(try problem(replacing: "0.75", with: "1.75") == "its sparsity is 1.75, not a number from 0 to 1")
    #expect(
      try problem(replacing: "\"trained_count\": 2", with: "\"trained_count\": 3")
        == "it changes 2 weights, its configuration says 3 of 6")
    #expect(try problem(replacing: Self.digest, with: "abc") == "tensor \(Self.name) has no SHA-256 digest")
    #expect(try problem(replacing: "[2, 3]", with: "[2, -3]") == "tensor \(Self.name) has the impossible shape [2, -3]")
    #expect(
      try problem(replacing: "[2, 3]", with: "[2147483648]")
        == "tensor \(Self.name) has the impossible shape [2147483648]")
  }

  @Test func weightsAreChecked() throws {
    #expect(try problem(indices: [0, 5]) == nil)
    for indices: [Int32] in [[1, 1], [4, 1], [1, 6], [-1, 4], [.min, .max]] {
      #expect(try problem(indices: indices)?.contains("indices must ascend and stay below 6") == true)
    }
    #expect(
      try problem(indices: [0, 1, 2]) == "tensor \(Self.name) has indices I32 [3], expected I32 [2]")
    #expect(
      try problem(valueType: .bfloat16) == "tensor \(Self.name) has values BF16 [2], expected F32 [2]")
    #expect(try problem(indexName: "x") == "tensor \(Self.name).indices is missing")
    #expect(try problem(extra: "more") == "tensor more is not in its configuration")
  }
}
