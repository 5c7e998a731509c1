import Foundation
import Primitives
public import Torch

/// Turns a GGUF file into a Hugging Face model directory.
public enum GGUFImporter {
  /// What an import has read and written.
  public struct Summary: Equatable, Sendable {
    /// The name in the file's metadata, if any.
    public let modelName: String?
    public let tensorCount: Int
    public let parameterCount: Int
    /// Size of `model.safetensors`' data.
    public let byteCount: Int
    /// Tensors by stored type, such as `Q4_1: 210`.
    public let storedTypes: [String: Int]
    public let layerCount: Int
    /// Rows of the embedding.
    public let vocabularySize: Int
    public let tiesEmbeddings: Bool
    public let hasChatTemplate: Bool
  }

  /// Elements converted at a time.
  private static let chunkElementCount = 1 << 18

  /// Imports the llama model at `path` into a new directory.
  ///
  /// Weights are dequantised and streamed, so memory stays at the mapped file and one chunk. Everything about the file
  /// is checked before the first byte is written, and the directory appears only when it is complete.
  ///
  /// - Parameters:
  ///   - dtype: float32 (exact), bfloat16 or float16 (rounded to nearest).
  ///   - overwrite: Replace `directory` if it exists.
  /// - Throws: ``GGUFError`` about the file, ``CheckpointError`` about the output.
  @discardableResult
  public static func importModel(
    from path: String, to directory: String, dtype: DType = .float32, overwrite: Bool = false
  ) throws -> Summary {
    guard [.float32, .bfloat16, .float16].contains(dtype) else {
      throw GGUFError.unsupportedOutputType(path: path, dtype: dtype.configurationName)
    }
    let file = try GGUFFile(path: path)
    let model = try GGUFLlamaModel(file)
    let sources = try model.tensorSources(file)
    let tokenizer = try GGUFTokenizer(file)
    guard tokenizer.tokens.count <= model.vocabularySize else {
      throw GGUFError.invalidValue(
        path: path, key: "tokenizer.ggml.tokens",
        problem: "has \(tokenizer.tokens.count) tokens, but the embedding only \(model.vocabularySize) rows")
    }
    let descriptions = try sources.map { try TensorDescription(name: $0.name, dtype: dtype, shape: $0.info.shape) }

    try FileSystem.publishDirectory(directory, overwrite: overwrite) { temporary in
      let texts: [JSONValue.Member] = [
        ("config.json", model.configuration(dtype: dtype, tokenizer: tokenizer)),
        ("generation_config.json", tokenizer.generationJSON),
        ("tokenizer.json", tokenizer.tokenizerJSON),
        ("tokenizer_config.json", tokenizer.configurationJSON),
        ("special_tokens_map.json", tokenizer.specialTokensJSON),
      ]
      for (name, json) in texts {
        try FileSystem.writeAtomically(Data(json.encoded()), to: FileSystem.join(temporary, name))
      }
      let writer = try SafetensorsWriter(
        path: FileSystem.join(temporary, "model.safetensors"), tensors: descriptions, metadata: ["format": "pt"])
      var converter = Converter(file: file, dtype: dtype)
      for source in sources { try converter.write(source, to: writer) }
      try writer.finish()
    }
    return Summary(
      modelName: try file.optionalString("general.name"), tensorCount: sources.count,
      parameterCount: descriptions.reduce(0) { $0 + $1.elementCount },
      byteCount: descriptions.reduce(0) { $0 + $1.byteCount },
      storedTypes: Dictionary(sources.map { ($0.info.type.name, 1) }, uniquingKeysWith: +),
      layerCount: model.layerCount, vocabularySize: model.vocabularySize, tiesEmbeddings: model.tiesEmbeddings,
      hasChatTemplate: tokenizer.chatTemplate != nil)
  }

  /// Dequantises tensors piece by piece, with buffers that are used again.
  private struct Converter {
    let file: GGUFFile
    let dtype: DType
    private var floats: [Float] = []
    private var encoded: [UInt8] = []

    init(file: GGUFFile, dtype: DType) {
      self.file = file
      self.dtype = dtype
    }

    mutating func write(_ source: GGUFTensorSource, to writer: SafetensorsWriter) throws {
      let info = source.info
      let rowsAtATime = max(1, chunkElementCount / info.rowElementCount)
      var row = 0
      while row < info.rowCount {
        let rows = row..<min(info.rowCount, row + rowsAtATime)
        let count = rows.count * info.rowElementCount
        if floats.count < count { floats = Array(repeating: 0, count: count) }
        try read(source, rows: rows)
        try append(count, of: info, to: writer)
        row = rows.upperBound
      }
      file.releasePages(of: info)
    }

    /// Fills `floats` with rows of the imported tensor.
    private mutating func read(_ source: GGUFTensorSource, rows: Range<Int>) throws {
      let info = source.info
      let width = info.rowElementCount
      try floats.withUnsafeMutableBufferPointer { floats in
        func target(_ index: Int, _ count: Int) -> UnsafeMutableBufferPointer<Float> {
          UnsafeMutableBufferPointer(rebasing: floats[index * width..<(index + count) * width])
        }
        guard source.interleavedHeadSize != nil else {
          return try file.readFloats(of: info, rows: rows, into: target(0, rows.count))
        }
        if info.shape.count > 1 {
          for (index, row) in rows.enumerated() {
            let stored = source.storedRow(row)
            try file.readFloats(of: info, rows: stored..<stored + 1, into: target(index, 1))
          }
        } else {
          // A bias: its elements are what a weight's rows are.
          try file.readFloats(of: info, rows: rows, into: target(0, 1))
          let stored = Array(target(0, 1))
          for index in 0..<width { floats[index] = stored[source.storedRow(index)] }
        }
      }
    }

    private mutating func append(_ count: Int, of info: GGUFTensorInfo, to writer: SafetensorsWriter) throws {
      if encoded.count < count * dtype.byteCount { encoded = Array(repeating: 0, count: count * dtype.byteCount) }
      try floats.withUnsafeBufferPointer { floats in
        let values = UnsafeBufferPointer(rebasing: floats[..<count])
        if dtype == .float32 { return try writer.append(UnsafeRawBufferPointer(values)) }
        // 65520 and beyond would round to infinity.
        if dtype == .float16, values.contains(where: { $0.isFinite && abs($0) >= 65520 }) {
          throw GGUFError.unsupportedFeature(
            path: file.path, what: "\(info.name) has values beyond float16's range; choose float32 or bfloat16")
        }
        try encoded.withUnsafeMutableBytes { bytes in
          let target = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(count * dtype.byteCount)])
          FloatCodec.encode(values, as: dtype, into: target)
          try writer.append(UnsafeRawBufferPointer(target))
        }
      }
    }
  }
}
