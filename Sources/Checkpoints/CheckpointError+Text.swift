public import Foundation
import Primitives
import Torch

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

extension CheckpointError: CustomStringConvertible, LocalizedError {
  public var errorDescription: String? { description }

  public var description: String {
    fileText ?? safetensorsText ?? directoryText ?? tensorText ?? configurationText
  }

  private var fileText: String? {
    switch self {
    case .fileNotFound(let path): "\(path): no such file"
    case .notARegularFile(let path): "\(path): not a regular file"
    case .system(let operation, let path, let code):
      "\(path.isEmpty ? "''" : path): cannot \(operation): \(String(cString: strerror(code)))"
    case .unexpectedEndOfFile(let path, let offset):
      "\(path): ends at byte \(offset); it was changed while in use, or is incomplete"
    case .outputExists(let path): "\(path): exists and is not empty; choose another place or remove it first"
    case .outputIsNotADirectory(let path): "\(path): exists and is not a directory; choose another place"
    default: nil
    }
  }

  private var safetensorsText: String? {
    switch self {
    case .tooShort(let path, let byteCount):
      "\(path): \(byteCount) bytes are too few for a safetensors file; copy or download it again"
    case .headerTooLong(let path, let byteCount, let limit):
      "\(path): not a safetensors file, or damaged: its header would be \(byteCount) bytes long (limit \(limit))"
    case .gitLFSPointer(let path):
      "\(path): a Git LFS pointer, not the weights themselves; run `git lfs pull` where it was cloned"
    case .truncated(let path, let missing):
      "\(path): incomplete, at least \(missing) bytes are missing at the end; copy or download it again"
    case .trailingBytes(let path, let byteCount): "\(path): \(byteCount) bytes after the last tensor belong to nothing"
    case .malformedJSON(let path, let offset, let reason): "\(path): malformed JSON at byte \(offset): \(reason)"
    case .malformedHeader(let path, let defect): "\(path): damaged safetensors header: \(defect)"
    case .unsupportedDType(let path, let tensor, let dtype):
      "\(path): tensor \(tensor) has element type \(dtype), which is not supported; convert the model to BF16, F16 or F32"
    default: nil
    }
  }

  private var directoryText: String? {
    switch self {
    case .noWeights(let directory, let others):
      others.isEmpty
        ? "\(directory): no model.safetensors or model.safetensors.index.json"
        : "\(directory): no model.safetensors or model.safetensors.index.json; "
          + "give the file itself if you mean one of \(Self.list(others))"
    case .onlyPickledWeights(let directory, let file):
      "\(directory): weights are only in \(file), a Python pickle, which is not read because it can run code; "
        + "load the model in transformers and save it again, which writes model.safetensors"
    case .malformedIndex(let path, let reason): "\(path): malformed index: \(reason)"
    case .unsafeShardName(let path, let name):
      "\(path): shard name \(JSONValue.quoted(name)) is not a plain file name of this directory"
    case .missingShards(let index, let names): "\(index): missing shards: \(Self.list(names)); download them"
    case .inconsistentIndex(let index, let absent, let unlisted):
      "\(index): does not agree with its shards"
        + (absent.isEmpty ? "" : "; not in the shard named: \(Self.list(absent))")
        + (unlisted.isEmpty ? "" : "; stored but not listed: \(Self.list(unlisted))")
    default: nil
    }
  }

  private var tensorText: String? {
    switch self {
    case .invalidShape(let tensor, let shape): "tensor \(tensor): impossible shape \(shape)"
    case .tensorNotFound(let name, let path):
      "\(path): no tensor \(name); use a model of the same architecture, complete"
    case .rangeOutsideTensor(let name, let range, let count):
      "tensor \(name): range \(range.lowerBound)..<\(range.upperBound) lies outside its 0..<\(count)"
    case .notFloatingPoint(let tensor, let dtype):
      "tensor \(tensor): has element type \(dtype.rawValue), a floating-point type is needed"
    case .duplicateTensor(let name, let path): "\(path): tensor \(name) given twice"
    case .reservedTensorName(let name, let path): "\(path): \(name) cannot be the name of a tensor"
    case .tooManyBytes(let path, let expected): "\(path): more than the \(expected) bytes announced were written"
    case .tooFewBytes(let path, let expected, let written):
      "\(path): only \(written) of the \(expected) bytes announced were written"
    case .writerFinished(let path): "\(path): already finished, nothing more can be written"
    case .unexpectedTensor(let name, let expected, let path):
      "\(path): tensor \(name) written where \(expected.map { "\($0) is next" } ?? "all are complete")"
    default: nil
    }
  }

  private var configurationText: String {
    switch self {
    case .missingConfigurationKey(let path, let key): "\(path): key \"\(key)\" is missing"
    case .invalidConfigurationValue(let path, let key, let value, let expected):
      "\(path): \"\(key)\" is \(value); \(expected)"
    case .unknownArchitecture(let path, let name, let supported):
      "\(path): architecture \(name) is not supported; supported are \(supported.joined(separator: ", "))"
    case .mismatchedTensors(let path, let missing, let mismatched):
      "\(path): weights do not fit config.json"
        + (missing.isEmpty ? "" : "; missing: \(Self.list(missing.map { "\($0.name) \($0.shape)" }))")
        + (mismatched.isEmpty
          ? ""
          : "; wrong shape: \(Self.list(mismatched.map { "\($0.name) is \($0.found), expected \($0.expected)" }))")
    default: String(reflecting: self)
    }
  }

  /// The first eight names, and how many more there are.
  private static func list(_ names: [String]) -> String {
    let shown = names.prefix(8).joined(separator: ", ")
    return names.count > 8 ? "\(shown) and \(names.count - 8) more" : shown
  }
}

extension HeaderDefect: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notAnObject: "not a JSON object"
    case .metadataIsNotText(let key): "__metadata__ entry \(JSONValue.quoted(key)) is not text"
    case .entryIsNotAnObject(let tensor): "entry \(tensor) is not an object"
    case .badField(let tensor, let field): "tensor \(tensor): \"\(field)\" is missing or malformed"
    case .unknownField(let tensor, let field): "tensor \(tensor): unknown field \"\(field)\""
    case .badOffsets(let tensor, let start, let end): "tensor \(tensor): impossible offsets \(start) to \(end)"
    case .sizeMismatch(let tensor, let expected, let found):
      "tensor \(tensor): shape and type need \(expected) bytes, offsets give \(found)"
    case .shapeOverflow(let tensor, let shape): "tensor \(tensor): impossible shape \(shape)"
    case .overlap(let tensor, let other): "tensor \(tensor) overlaps tensor \(other)"
    case .hole(let tensor, let byteCount): "\(byteCount) unused bytes before tensor \(tensor)"
    }
  }
}
