import Checkpoints
import Foundation
import TestSupport
import Torch

/// A model directory of two layers with seeded random weights and a byte-level tokenizer.
struct TinyModel {
  static let merges = [("S", "E"), ("SE", "L"), ("SEL", "E"), ("e", "r"), ("o", "r"), ("t", "h")]
  static let endOfSequence = "<|end|>"
  static let tokenCount = 256 + merges.count + 1

  var seed: UInt64 = 1
  var vocabularySize = Self.tokenCount
  var hiddenSize = 32
  var layerCount = 2
  var hasEndOfSequence = true
  /// Changes a tensor's values before they are written.
  var edit: (_ name: String, _ values: inout [Float]) -> Void = { _, _ in }

  func configuration() throws -> ModelConfiguration {
    try ModelConfiguration(
      family: .llama, vocabularySize: vocabularySize, hiddenSize: hiddenSize, intermediateSize: 64,
      layerCount: layerCount, headCount: 4, keyValueHeadCount: 2, rmsNormEpsilon: 1e-5, maximumPositions: 256,
      tiesEmbeddings: true, dtype: .float32, eosTokenIDs: hasEndOfSequence ? [Self.tokenCount - 1] : [])
  }

  /// Number of weights that may be trained sparsely.
  func scopedCount() throws -> Int {
    try configuration().expectedTensors().filter { $0.name.hasSuffix("_proj.weight") }
      .reduce(0) { $0 + $1.elementCount }
  }

  func write(to directory: String) throws {
    try FileSystem.createDirectory(directory)
    let configuration = try configuration()
    try FileSystem.writeAtomically(configuration.encoded(), to: directory + "/config.json")
    let tensors = try configuration.expectedTensors()
    let writer = try SafetensorsWriter(path: directory + "/model.safetensors", tensors: tensors)
    var generator = SeededGenerator(seed: seed)
    for tensor in tensors {
      let isNorm = tensor.shape.count == 1
      var values = generator.values(tensor.elementCount, scale: 0.2).map { Float(isNorm ? 1 + $0 : $0) }
      edit(tensor.name, &values)
      try values.withUnsafeBytes { try writer.append($0) }
    }
    try writer.finish()
    try Self.writeTokenizer(to: directory, hasEndOfSequence: hasEndOfSequence)
  }

  static func writeTokenizer(to directory: String, hasEndOfSequence: Bool = true) throws {
    var vocabulary: [String: Int] = [:]
    for byte in UInt8.min...UInt8.max { vocabulary[printable(byte)] = Int(byte) }
    for (left, right) in merges { vocabulary[left + right] = vocabulary.count }
    vocabulary[endOfSequence] = vocabulary.count
    let byteLevel: [String: Any] = [
      "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
    ]
    let added: [String: Any] = [
      "id": tokenCount - 1, "content": endOfSequence, "single_word": false, "lstrip": false, "rstrip": false,
      "normalized": false, "special": true,
    ]
    let model: [String: Any] = [
      "type": "BPE", "vocab": vocabulary, "merges": merges.map { [$0, $1] }, "byte_fallback": false,
      "ignore_merges": false, "fuse_unk": false,
    ]
    try writeJSON(
      ["version": "1.0", "added_tokens": [added], "pre_tokenizer": byteLevel, "decoder": byteLevel, "model": model],
      to: directory + "/tokenizer.json")
    let roles = hasEndOfSequence ? ["eos_token": endOfSequence] : [:]
    try writeJSON(roles, to: directory + "/tokenizer_config.json")
  }

  private static func writeJSON(_ value: [String: Any], to path: String) throws {
    let data = try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys])
    try data.write(to: URL(fileURLWithPath: path))
  }

  /// The character that stands for a byte in byte-level vocabularies (GPT-2's table).
  private static func printable(_ byte: UInt8) -> String {
    let kept: (UInt8) -> Bool = { (33...126).contains($0) || (161...172).contains($0) || $0 >= 174 }
    if kept(byte) { return String(UnicodeScalar(byte)) }
    let rank = (UInt8.min..<byte).filter { !kept($0) }.count
    return UnicodeScalar(UInt32(256 + rank)).map { String($0) } ?? ""
  }
}
