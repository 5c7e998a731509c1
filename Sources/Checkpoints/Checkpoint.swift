import Foundation

/// A model's weights: one safetensors file, or shards with an index.
public final class Checkpoint: @unchecked Sendable {
  /// What was opened: a directory or a file.
  public let path: String
  /// Sorted by name (UTF-8 byte order).
  public let tensors: [TensorDescription]
  private let files: [SafetensorsFile]
  private let owners: [String: SafetensorsFile]

  package static let singleFileName = "model.safetensors"

  /// Opens a model directory, or a single `.safetensors` file, or an index file.
  ///
  /// - Throws: ``CheckpointError``: nothing to open, an index that does not agree with its shards (all differences
  ///   in one error), or a damaged file.
  public convenience init(directory: String) throws {
    guard FileSystem.isDirectory(directory) else {
      if directory.hasSuffix(".index.json") {
        let index = try ShardIndex(path: directory)
        try self.init(path: directory, files: try Self.shards(of: index, in: FileSystem.parent(of: directory)))
        return
      }
      try self.init(path: directory, files: [SafetensorsFile(path: directory)])
      return
    }
    let single = FileSystem.join(directory, Self.singleFileName)
    if FileSystem.exists(single) {
      try self.init(path: directory, files: [SafetensorsFile(path: single)])
      return
    }
    let index = FileSystem.join(directory, ShardIndex.fileName)
    guard FileSystem.exists(index) else { throw Self.nothingToOpen(in: directory) }
    try self.init(path: directory, files: try Self.shards(of: try ShardIndex(path: index), in: directory))
  }

  private init(path: String, files: [SafetensorsFile]) throws {
    self.path = path
    self.files = files
    var owners: [String: SafetensorsFile] = [:]
    for file in files {
      for tensor in file.tensors {
        guard owners.updateValue(file, forKey: tensor.name) == nil else {
          throw CheckpointError.duplicateTensor(name: tensor.name, path: file.path)
        }
      }
    }
    self.owners = owners
    tensors = files.flatMap(\.tensors).sorted { $0.name.precedesInBytes($1.name) }
  }

  private static func shards(of index: ShardIndex, in directory: String) throws -> [SafetensorsFile] {
    let names = index.shardNames
    let missing = names.filter { !FileSystem.exists(FileSystem.join(directory, $0)) }
    guard missing.isEmpty else { throw CheckpointError.missingShards(index: index.path, names: missing) }
    var absent: [String] = []
    var unlisted: [String] = []
    let files = try names.map { name in
      let file = try SafetensorsFile(path: FileSystem.join(directory, name))
      unlisted += file.tensors.map(\.name).filter { index.weightMap[$0] != name }
      absent += index.weightMap.filter { $0.value == name && !file.contains($0.key) }.keys
      return file
    }
    guard absent.isEmpty, unlisted.isEmpty else {
      throw CheckpointError.inconsistentIndex(
        index: index.path, absent: absent.sorted { $0.precedesInBytes($1) },
        unlisted: unlisted.sorted { $0.precedesInBytes($1) })
    }
    return files
  }

  private static func nothingToOpen(in directory: String) -> CheckpointError {
    let names = (try? FileSystem.contents(of: directory)) ?? []
    if let pickle = names.first(where: { $0.hasSuffix(".bin") || $0.hasSuffix(".pt") || $0.hasSuffix(".pth") }) {
      return .onlyPickledWeights(directory: directory, file: pickle)
    }
    return .noWeights(directory: directory, otherSafetensors: names.filter { $0.hasSuffix(".safetensors") })
  }

  public func contains(_ name: String) -> Bool { owners[name] != nil }

  public func description(of name: String) throws -> TensorDescription { try owner(of: name).description(of: name) }

  /// See ``SafetensorsFile/withBytes(of:_:)``.
  public func withBytes<R>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
    try owner(of: name).withBytes(of: name, body)
  }

  /// Some of the tensor's bytes.
  public func withBytes<R>(
    of name: String, range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R {
    try owner(of: name).withBytes(of: name, range: range, body)
  }

  /// See ``SafetensorsFile/readBytes(of:range:into:)``.
  public func readBytes(of name: String, range: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws {
    try owner(of: name).readBytes(of: name, range: range, into: buffer)
  }

  /// See ``SafetensorsFile/readFloats(of:range:into:)``.
  public func readFloats(
    of name: String, range: Range<Int>, into values: UnsafeMutableBufferPointer<Float>
  ) throws {
    try owner(of: name).readFloats(of: name, range: range, into: values)
  }

  /// All elements of a tensor as float32.
  public func floats(of name: String) throws -> [Float] {
    let count = try description(of: name).elementCount
    return try [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      try readFloats(of: name, range: 0..<count, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      initialized = count
    }
  }

  /// See ``SafetensorsFile/adviseDone(with:range:)``.
  public func adviseDone(with name: String, range: Range<Int>? = nil) throws {
    try owner(of: name).adviseDone(with: name, range: range)
  }

  /// See ``SafetensorsFile/privateMapping(of:)``.
  package func privateMapping(of name: String) throws -> PrivateMapping? {
    try owner(of: name).privateMapping(of: name)
  }

  private func owner(of name: String) throws -> SafetensorsFile {
    guard let file = owners[name] else { throw CheckpointError.tensorNotFound(name: name, path: path) }
    return file
  }
}
