public import Torch

/// Why a checkpoint, its configuration or a file operation was refused.
public enum CheckpointError: Error, Equatable, Sendable {
  // Files
  case fileNotFound(path: String)
  case notARegularFile(path: String)
  /// A system call failed; `code` is `errno`.
  case system(operation: String, path: String, code: Int32)
  /// The file changed length while it was being read.
  case unexpectedEndOfFile(path: String, offset: Int)
  case outputExists(path: String)
  case outputIsNotADirectory(path: String)

  // Safetensors files
  case tooShort(path: String, byteCount: Int)
  case headerTooLong(path: String, byteCount: UInt64, limit: Int)
  case gitLFSPointer(path: String)
  case truncated(path: String, missingByteCount: Int)
  case trailingBytes(path: String, byteCount: Int)
  case malformedJSON(path: String, offset: Int, reason: String)
  case malformedHeader(path: String, HeaderDefect)
  case unsupportedDType(path: String, tensor: String, dtype: String)

  // Model directories
  case noWeights(directory: String, otherSafetensors: [String])
  case onlyPickledWeights(directory: String, file: String)
  case malformedIndex(path: String, reason: String)
  case unsafeShardName(path: String, name: String)
  case missingShards(index: String, names: [String])
  case inconsistentIndex(index: String, absent: [String], unlisted: [String])

  // Tensors
  case invalidShape(tensor: String, shape: [Int])
  case tensorNotFound(name: String, path: String)
  case rangeOutsideTensor(name: String, range: Range<Int>, count: Int)
  case notFloatingPoint(tensor: String, dtype: DType)

  // Writing
  case duplicateTensor(name: String, path: String)
  case reservedTensorName(name: String, path: String)
  case tooManyBytes(path: String, expected: Int)
  case tooFewBytes(path: String, expected: Int, written: Int)
  case writerFinished(path: String)
  /// Tensors must be written in the order announced; `expected` is nil when all have been.
  case unexpectedTensor(name: String, expected: String?, path: String)

  // Configuration
  case missingConfigurationKey(path: String, key: String)
  case invalidConfigurationValue(path: String, key: String, value: String, expected: String)
  case unknownArchitecture(path: String, name: String, supported: [String])
  case mismatchedTensors(path: String, missing: [TensorDescription], mismatched: [ShapeMismatch])
}

/// What is wrong with an entry of a safetensors header.
public enum HeaderDefect: Equatable, Sendable {
  case notAnObject
  case metadataIsNotText(key: String)
  case entryIsNotAnObject(tensor: String)
  case badField(tensor: String, field: String)
  case unknownField(tensor: String, field: String)
  case badOffsets(tensor: String, start: Int, end: Int)
  /// Shape times element size, and what the offsets say.
  case sizeMismatch(tensor: String, expected: Int, found: Int)
  case shapeOverflow(tensor: String, shape: [Int])
  case overlap(tensor: String, with: String)
  /// Unused bytes before this tensor.
  case hole(before: String, byteCount: Int)
}

/// A tensor whose shape is not the one the configuration asks for.
public struct ShapeMismatch: Equatable, Sendable {
  public let name: String
  public let expected: [Int]
  public let found: [Int]

  public init(name: String, expected: [Int], found: [Int]) {
    self.name = name
    self.expected = expected
    self.found = found
  }
}
