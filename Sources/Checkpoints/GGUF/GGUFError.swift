public import Foundation

/// Why a GGUF file cannot be read or imported. Every case carries the file's path.
public enum GGUFError: Error, Equatable, Sendable {
  case unreadable(path: String, reason: String)
  case notGGUF(path: String)
  case bigEndian(path: String)
  case unsupportedVersion(path: String, version: UInt32)
  /// The file ends at `size` bytes, inside `what`.
  case truncated(path: String, what: String, size: Int)
  /// `what` announces more items than the rest of the file could hold.
  case implausibleCount(path: String, what: String, count: UInt64)
  case invalidText(path: String, what: String)
  case unknownValueType(path: String, key: String, rawType: UInt32)
  case nestingTooDeep(path: String, key: String, limit: Int)
  case invalidBoolean(path: String, key: String, value: UInt8)
  case duplicateKey(path: String, key: String)
  case missingKey(path: String, key: String)
  /// `problem` says what the value is and what it must be.
  case invalidValue(path: String, key: String, problem: String)

  case duplicateTensor(path: String, tensor: String)
  case missingTensors(path: String, names: [String])
  case unknownTensorType(path: String, tensor: String, rawType: UInt32)
  case invalidTensorShape(path: String, tensor: String, problem: String)
  case misalignedTensor(path: String, tensor: String, offset: UInt64, alignment: Int)
  case tensorOutOfBounds(path: String, tensor: String, offset: UInt64, byteCount: Int, available: Int)
  case overlappingTensors(path: String, first: String, second: String)
  /// The type is known, but there is no code that turns it into floating-point numbers.
  case unsupportedTensorType(path: String, tensor: String, type: String)
  case wrongTensorShape(path: String, tensor: String, found: [Int], expected: [Int])

  case unsupportedArchitecture(path: String, name: String)
  case unsupportedFeature(path: String, what: String)
  case unexpectedTensors(path: String, names: [String])
  case unsupportedTokenizer(path: String, model: String)
  case unsupportedPreTokenizer(path: String, name: String)
  case duplicateToken(path: String, token: String, first: Int, second: Int)
  case malformedMerge(path: String, index: Int, text: String)
  case unsupportedOutputType(path: String, dtype: String)
}

extension GGUFError: CustomStringConvertible, LocalizedError {
  public var errorDescription: String? { description }

  public var description: String { "\(path): \(problem)" }

  /// The file that could not be read or imported.
  public var path: String {
    switch self {
    case .unreadable(let path, _), .notGGUF(let path), .bigEndian(let path), .unsupportedVersion(let path, _),
      .truncated(let path, _, _), .implausibleCount(let path, _, _), .invalidText(let path, _),
      .unknownValueType(let path, _, _), .nestingTooDeep(let path, _, _), .invalidBoolean(let path, _, _),
      .duplicateKey(let path, _), .missingKey(let path, _), .invalidValue(let path, _, _),
      .duplicateTensor(let path, _), .missingTensors(let path, _), .unknownTensorType(let path, _, _),
      .invalidTensorShape(let path, _, _), .misalignedTensor(let path, _, _, _),
      .tensorOutOfBounds(let path, _, _, _, _), .overlappingTensors(let path, _, _),
      .unsupportedTensorType(let path, _, _), .wrongTensorShape(let path, _, _, _),
      .unsupportedArchitecture(let path, _), .unsupportedFeature(let path, _), .unexpectedTensors(let path, _),
      .unsupportedTokenizer(let path, _), .unsupportedPreTokenizer(let path, _), .duplicateToken(let path, _, _, _),
      .malformedMerge(let path, _, _), .unsupportedOutputType(let path, _):
      path
    }
  }

  private var problem: String {
    switch self {
    case .unreadable(_, let reason): "cannot be read: \(reason)"
    case .notGGUF: "is not a GGUF file (it does not start with \"GGUF\")"
    case .bigEndian: "is a big-endian GGUF file; only little-endian files are supported"
    case .unsupportedVersion(_, let version): "has GGUF version \(version); versions 2 and 3 are supported"
    case .truncated(_, let what, let size): "ends after \(size) bytes, inside \(what); download it again"
    case .implausibleCount(_, let what, let count): "announces \(count) items for \(what), more than the file can hold"
    case .invalidText(_, let what): "holds text that is not UTF-8 in \(what)"
    case .unknownValueType(_, let key, let rawType): "key \"\(key)\" has the unknown value type \(rawType)"
    case .nestingTooDeep(_, let key, let limit): "key \"\(key)\" nests arrays deeper than \(limit) levels"
    case .invalidBoolean(_, let key, let value): "key \"\(key)\" holds \(value) where a boolean is 0 or 1"
    case .duplicateKey(_, let key): "has the key \"\(key)\" twice"
    case .missingKey(_, let key): "has no key \"\(key)\""
    case .invalidValue(_, let key, let problem): "key \"\(key)\" \(problem)"
    default: tensorProblem ?? importProblem ?? "is malformed"
    }
  }

  private var tensorProblem: String? {
    switch self {
    case .duplicateTensor(_, let tensor): "has the tensor \"\(tensor)\" twice"
    case .missingTensors(_, let names):
      "lacks \(names.count) tensors a llama model needs: \(names.prefix(5).joined(separator: ", "))"
    case .unknownTensorType(_, let tensor, let rawType): "tensor \"\(tensor)\" has the unknown type \(rawType)"
    case .invalidTensorShape(_, let tensor, let problem): "tensor \"\(tensor)\" \(problem)"
    case .misalignedTensor(_, let tensor, let offset, let alignment):
      "tensor \"\(tensor)\" starts at \(offset), not a multiple of the alignment \(alignment)"
    case .tensorOutOfBounds(_, let tensor, let offset, let byteCount, let available):
      "tensor \"\(tensor)\" needs \(byteCount) bytes at \(offset), but the file has only \(available) bytes of data"
    case .overlappingTensors(_, let first, let second): "tensors \"\(first)\" and \"\(second)\" overlap"
    case .unsupportedTensorType(_, let tensor, let type):
      "tensor \"\(tensor)\" has type \(type); supported are \(GGUFQuantization.supportedNames)"
    case .wrongTensorShape(_, let tensor, let found, let expected):
      "tensor \"\(tensor)\" has shape \(found), expected \(expected)"
    default: nil
    }
  }

  private var importProblem: String? {
    switch self {
    case .unsupportedArchitecture(_, let name): "has architecture \"\(name)\"; only \"llama\" can be imported"
    case .unsupportedFeature(_, let what): "cannot be imported: \(what)"
    case .unexpectedTensors(_, let names):
      "has \(names.count) tensors a llama model does not have: \(names.prefix(5).joined(separator: ", "))"
    case .unsupportedTokenizer(_, let model):
      "has a tokenizer of model \"\(model)\"; \"gpt2\" and \"llama\" are supported"
    case .unsupportedPreTokenizer(_, let name):
      "has the pre-tokenizer \"\(name)\"; supported are \(GGUFPreTokenizer.supportedNames)"
    case .duplicateToken(_, let token, let first, let second):
      "has the token \"\(token)\" twice, as \(first) and \(second)"
    case .malformedMerge(_, let index, let text): "merge \(index) (\"\(text)\") is not two tokens joined by a space"
    case .unsupportedOutputType(_, let dtype): "cannot be written as \(dtype); choose float32, bfloat16 or float16"
    default: nil
    }
  }
}
