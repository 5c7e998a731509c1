/// A GGUF file (versions 2 and 3, little-endian), mapped read-only.
///
/// The whole header is read and checked when the file is opened: every count, length and offset against the file's
/// size. Tensor data stays on disk until it is asked for.
public final class GGUFFile: @unchecked Sendable {
  public let path: String
  public let version: UInt32
  public let alignment: Int
  public let metadata: [String: GGUFValue]
  /// Tensors in the order of the file.
  public let tensors: [GGUFTensorInfo]

  private let mapping: MappedFile
  private let indexByName: [String: Int]

  /// - Throws: ``GGUFError``, naming the key or tensor where the file is wrong.
  public init(path: String) throws {
    let mapping = try Self.map(path)
    var cursor = GGUFCursor(bytes: mapping.bytes, path: path)
    version = try Self.readVersion(&cursor)

    let tensorCount = try cursor.integer(as: UInt64.self, "the number of tensors")
    let metadataCount = try cursor.count(minimumByteCount: 13, "the metadata")
    // A tensor entry is at least a name's length, a dimension count, a type and an offset.
    guard tensorCount <= UInt64(cursor.remaining / 24) else {
      throw GGUFError.implausibleCount(path: path, what: "the tensor list", count: tensorCount)
    }
    var metadata: [String: GGUFValue] = [:]
    for index in 0..<metadataCount {
      let key = try cursor.string("the name of metadata key \(index)")
      let value = try cursor.value(key: key)
      guard metadata.updateValue(value, forKey: key) == nil else {
        throw GGUFError.duplicateKey(path: path, key: key)
      }
    }
    let alignment = try Self.alignment(metadata, path: path)
    var table = GGUFTensorTable(path: path, alignment: alignment)
    for index in 0..<Int(tensorCount) { try table.readEntry(index, from: &cursor) }
    let tensors = try table.located(dataStart: cursor.offset, fileSize: mapping.bytes.count)

    self.path = path
    self.alignment = alignment
    self.metadata = metadata
    self.tensors = tensors
    self.mapping = mapping
    self.indexByName = table.indexByName
  }

  /// The tensor `name`, or nil.
  public func tensor(_ name: String) -> GGUFTensorInfo? {
    indexByName[name].map { tensors[$0] }
  }

  /// The stored bytes of rows `rows` of a tensor of this file.
  public func withBytes<Result>(
    of tensor: GGUFTensorInfo, rows: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) rethrows -> Result {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= tensor.rowCount, "rows \(rows) of \(tensor.rowCount)")
    let start = tensor.offset + rows.lowerBound * tensor.rowByteCount
    let end = tensor.offset + rows.upperBound * tensor.rowByteCount
    return try withExtendedLifetime(mapping) {
      try body(UnsafeRawBufferPointer(rebasing: mapping.bytes[start..<end]))
    }
  }

  /// Rows `rows` of a tensor of this file, as float32.
  ///
  /// - Throws: ``GGUFError/unsupportedTensorType(path:tensor:type:)``.
  public func readFloats(
    of tensor: GGUFTensorInfo, rows: Range<Int>, into output: UnsafeMutableBufferPointer<Float>
  ) throws {
    guard GGUFQuantization.isSupported(tensor.type) else {
      throw GGUFError.unsupportedTensorType(path: path, tensor: tensor.name, type: tensor.type.name)
    }
    withBytes(of: tensor, rows: rows) { GGUFQuantization.dequantize($0, type: tensor.type, into: output) }
  }

  /// Drops a tensor's pages from resident memory, once it has been read.
  func releasePages(of tensor: GGUFTensorInfo) {
    mapping.releasePages(tensor.offset..<tensor.offset + tensor.byteCount)
  }

  private static func map(_ path: String) throws -> MappedFile {
    do {
      return try MappedFile(path: path)
    } catch let error as CheckpointError {
      // Both texts begin with the path; once is enough.
      let text = error.description
      let prefix = path + ": "
      throw GGUFError.unreadable(
        path: path, reason: text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text)
    }
  }

  private static func readVersion(_ cursor: inout GGUFCursor) throws -> UInt32 {
    let path = cursor.path
    // "GGUF" in the order of its bytes.
    guard cursor.remaining >= 4, try cursor.integer(as: UInt32.self, "the magic number") == 0x4655_4747 else {
      throw GGUFError.notGGUF(path: path)
    }
    let version = try cursor.integer(as: UInt32.self, "the version")
    guard version == 2 || version == 3 else {
      if (1...3).contains(version.byteSwapped) { throw GGUFError.bigEndian(path: path) }
      throw GGUFError.unsupportedVersion(path: path, version: version)
    }
    return version
  }

  private static func alignment(_ metadata: [String: GGUFValue], path: String) throws -> Int {
    let key = "general.alignment"
    guard let value = metadata[key] else { return 32 }
    guard let alignment = value.integerValue, (1...(1 << 20)).contains(alignment), alignment.nonzeroBitCount == 1 else {
      throw GGUFError.invalidValue(path: path, key: key, problem: "must be a power of two up to 1048576")
    }
    return alignment
  }
}
