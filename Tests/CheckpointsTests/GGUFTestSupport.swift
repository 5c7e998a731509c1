import Checkpoints
import Foundation
import Testing

func ggufGolden(_ name: String) -> String { goldenPath("../gguf/\(name)") }

/// Writes GGUF files, well-formed or not.
struct GGUFBuilder {
  struct Tensor {
    var name: [UInt8]
    var dimensions: [UInt64]
    var type: UInt32
    var data: [UInt8]
    /// In place of the next free offset.
    var offset: UInt64?
  }

  var magic: [UInt8] = Array("GGUF".utf8)
  var version: UInt32 = 3
  var tensorCount: UInt64?
  var metadataCount: UInt64?
  /// Key and encoded value, type in front.
  var metadata: [(key: [UInt8], value: [UInt8])] = []
  var tensors: [Tensor] = []
  var alignment = 32

  subscript(_ key: String) -> GGUFValue? {
    get { nil }
    set {
      metadata.removeAll { $0.key == Array(key.utf8) }
      if let newValue { metadata.append((Array(key.utf8), Self.encode(newValue))) }
    }
  }

  /// A tensor of zeros; `shape` is row-major.
  mutating func addTensor(_ name: String, shape: [Int], type: GGUFTensorType = .f32, data: [UInt8]? = nil) {
    let count = shape.reduce(1, *) / type.blockElementCount * type.blockByteCount
    tensors.append(
      Tensor(
        name: Array(name.utf8), dimensions: shape.reversed().map(UInt64.init), type: type.rawValue,
        data: data ?? Array(repeating: 0, count: count)))
  }

  var bytes: [UInt8] {
    var bytes = magic + Self.little(version)
    bytes += Self.little(tensorCount ?? UInt64(tensors.count)) + Self.little(metadataCount ?? UInt64(metadata.count))
    for entry in metadata { bytes += Self.text(entry.key) + entry.value }
    var data: [UInt8] = []
    for tensor in tensors {
      bytes += Self.text(tensor.name) + Self.little(UInt32(tensor.dimensions.count))
      bytes += tensor.dimensions.flatMap(Self.little) + Self.little(tensor.type)
      bytes += Self.little(tensor.offset ?? UInt64(data.count))
      data += tensor.data
      while data.count % alignment != 0 { data.append(0) }
    }
    while bytes.count % alignment != 0 { bytes.append(0) }
    return bytes + data
  }

  func write(to path: String) throws { try Data(bytes).write(to: URL(fileURLWithPath: path)) }

  static func little(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }

  static func text(_ bytes: [UInt8]) -> [UInt8] { little(UInt64(bytes.count)) + bytes }

  static func encode(_ value: GGUFValue) -> [UInt8] {
    switch value {
    case .uint8(let value): little(UInt32(0)) + little(value)
    case .int8(let value): little(UInt32(1)) + little(value)
    case .uint16(let value): little(UInt32(2)) + little(value)
    case .int16(let value): little(UInt32(3)) + little(value)
    case .uint32(let value): little(UInt32(4)) + little(value)
    case .int32(let value): little(UInt32(5)) + little(value)
    case .float32(let value): little(UInt32(6)) + little(value.bitPattern)
    case .bool(let value): little(UInt32(7)) + [value ? 1 : 0]
    case .string(let value): little(UInt32(8)) + text(Array(value.utf8))
    case .array(let value): little(UInt32(9)) + encode(value)
    case .uint64(let value): little(UInt32(10)) + little(value)
    case .int64(let value): little(UInt32(11)) + little(value)
    case .float64(let value): little(UInt32(12)) + little(value.bitPattern)
    }
  }

  /// Element type, count, elements.
  static func encode(_ array: GGUFArray) -> [UInt8] {
    let header = { (type: UInt32) in little(type) + little(UInt64(array.count)) }
    return switch array {
    case .uint8(let values): header(0) + values
    case .int8(let values): header(1) + values.flatMap(little)
    case .uint16(let values): header(2) + values.flatMap(little)
    case .int16(let values): header(3) + values.flatMap(little)
    case .uint32(let values): header(4) + values.flatMap(little)
    case .int32(let values): header(5) + values.flatMap(little)
    case .float32(let values): header(6) + values.flatMap { little($0.bitPattern) }
    case .bool(let values): header(7) + values.map { $0 ? 1 : 0 }
    case .string(let values): header(8) + values.flatMap { text(Array($0.utf8)) }
    case .array(let values): header(9) + values.flatMap(encode)
    case .uint64(let values): header(10) + values.flatMap(little)
    case .int64(let values): header(11) + values.flatMap(little)
    case .float64(let values): header(12) + values.flatMap { little($0.bitPattern) }
    }
  }

  /// A llama of one layer, width 8, two heads, with the tokenizer of `tokens`, all weights zero.
  static func tinyLlama(tokens: [String] = ["<s>", "</s>", "a", "b", "ab"], headSize: Int = 4) -> GGUFBuilder {
    var builder = GGUFBuilder()
    builder["general.architecture"] = .string("llama")
    builder["llama.block_count"] = .uint32(1)
    builder["llama.context_length"] = .uint32(64)
    builder["llama.embedding_length"] = .uint32(8)
    builder["llama.feed_forward_length"] = .uint32(16)
    builder["llama.attention.head_count"] = .uint32(2)
    builder["llama.attention.key_length"] = .uint32(UInt32(headSize))
    builder["llama.attention.layer_norm_rms_epsilon"] = .float32(1e-5)
    builder["tokenizer.ggml.model"] = .string("gpt2")
    builder["tokenizer.ggml.tokens"] = .array(.string(tokens))
    builder["tokenizer.ggml.merges"] = .array(.string(["a b"]))
    builder["tokenizer.ggml.bos_token_id"] = .uint32(0)
    builder["tokenizer.ggml.eos_token_id"] = .uint32(1)
    builder.addTensor("token_embd.weight", shape: [tokens.count, 8])
    builder.addTensor("output_norm.weight", shape: [8])
    for name in ["attn_norm", "ffn_norm"] { builder.addTensor("blk.0.\(name).weight", shape: [8]) }
    for name in ["attn_q", "attn_k", "attn_v"] { builder.addTensor("blk.0.\(name).weight", shape: [2 * headSize, 8]) }
    builder.addTensor("blk.0.attn_output.weight", shape: [8, 2 * headSize])
    for name in ["ffn_gate", "ffn_up"] { builder.addTensor("blk.0.\(name).weight", shape: [16, 8]) }
    builder.addTensor("blk.0.ffn_down.weight", shape: [8, 16])
    return builder
  }

  /// Imports the file; `read` sees the resulting directory.
  func withImport<Result>(_ read: (_ directory: String) throws -> Result) throws -> Result {
    try withTemporaryDirectory { directory in
      let path = FileSystem.join(directory, "tiny.gguf")
      try write(to: path)
      try GGUFImporter.importModel(from: path, to: FileSystem.join(directory, "model"))
      return try read(FileSystem.join(directory, "model"))
    }
  }
}

/// Expects opening the file, or importing it too, to fail with the error `make` gives for its path.
func expectGGUFError(
  _ builder: GGUFBuilder, importing: Bool = false, sourceLocation: SourceLocation = #_sourceLocation,
  _ make: (_ path: String) -> GGUFError
) throws {
  try withTemporaryDirectory { directory in
    let path = FileSystem.join(directory, "broken.gguf")
    let output = FileSystem.join(directory, "model")
    try builder.write(to: path)
    #expect(throws: make(path), sourceLocation: sourceLocation) {
      _ =
        try importing
        ? GGUFImporter.importModel(from: path, to: output).tensorCount : GGUFFile(path: path).tensors.count
    }
    #expect(!FileSystem.exists(output), sourceLocation: sourceLocation)
  }
}
