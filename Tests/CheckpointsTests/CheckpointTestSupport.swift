import Checkpoints
import Foundation
import Testing
import Torch

/// Calls `body` with a fresh directory, removed afterwards.
@discardableResult
func withTemporaryDirectory<R>(_ body: (String) throws -> R) throws -> R {
  let path = FileManager.default.temporaryDirectory.path + "/lota-checkpoints-\(UUID().uuidString)"
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: path) }
  return try body(path)
}

func goldenPath(_ name: String) -> String {
  FileSystem.join(Bundle.module.resourcePath ?? "", "Goldens/checkpoints/\(name)")
}

func golden<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value {
  let decoder = JSONDecoder()
  decoder.keyDecodingStrategy = .convertFromSnakeCase
  return try decoder.decode(type, from: Data(contentsOf: URL(fileURLWithPath: goldenPath(name))))
}

/// A tensor as the golden generator describes it.
struct GoldenTensor: Decodable {
  let dtype: String
  let shape: [Int]
  let sha256: String
  /// float32 bit patterns of the values, for floating-point types.
  let bits: [Int32]?
}

func sha256(_ bytes: UnsafeRawBufferPointer) -> String { ModelFingerprint.digest(of: bytes) }

/// A file of `header` and `dataByteCount` zero bytes; `length` replaces the true length of the header.
func safetensorsBytes(_ header: [UInt8], dataByteCount: Int = 0, length: UInt64? = nil) -> Data {
  var data = Data()
  withUnsafeBytes(of: (length ?? UInt64(header.count)).littleEndian) { data.append(contentsOf: $0) }
  data.append(contentsOf: header)
  data.append(Data(count: dataByteCount))
  return data
}

func safetensorsBytes(_ header: String, dataByteCount: Int = 0) -> Data {
  safetensorsBytes(Array(header.utf8), dataByteCount: dataByteCount)
}

/// Writes float32 tensors of consecutive values 0, 1, 2, ...
@discardableResult
func writeTensors(_ shapes: [(String, [Int])], to path: String, dtype: DType = .float32) throws -> [TensorDescription] {
  let tensors = try shapes.map { try TensorDescription(name: $0.0, dtype: dtype, shape: $0.1) }
  let writer = try SafetensorsWriter(path: path, tensors: tensors)
  var next: Float = 0
  for tensor in tensors {
    let values = (0..<tensor.elementCount).map { _ in
      defer { next += 1 }
      return next
    }
    try writer.append(values, as: dtype)
  }
  try writer.finish()
  return tensors
}

extension SafetensorsWriter {
  func append(_ values: [Float], as dtype: DType) throws {
    var stored = [UInt8](repeating: 0, count: values.count * dtype.byteCount)
    values.withUnsafeBufferPointer { source in
      stored.withUnsafeMutableBytes { FloatCodec.encode(source, as: dtype, into: $0) }
    }
    try stored.withUnsafeBytes { try append($0) }
  }
}
