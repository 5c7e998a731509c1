import Torch

/// One safetensors file, mapped read-only and fully checked when opened.
public final class SafetensorsFile: @unchecked Sendable {
  public let path: String
  /// The `__metadata__` map; empty when the file has none.
  public let metadata: [String: String]
  /// In file (offset) order.
  public let tensors: [TensorDescription]
  /// Each tensor's description and its bytes' place in the file.
  private let places: [String: (description: TensorDescription, range: Range<Int>)]
  package let file: MappedFile
  /// Size of the file.
  public var byteCount: Int { file.byteCount }

  /// - Throws: ``CheckpointError``: the file cannot be opened, is not whole, or its header breaks a rule of the format.
  public init(path: String) throws {
    file = try MappedFile(path: path)
    let header = try SafetensorsHeader(file: file.bytes, path: path)
    self.path = path
    metadata = header.metadata
    tensors = header.entries.map(\.description)
    var places: [String: (description: TensorDescription, range: Range<Int>)] = [:]
    for entry in header.entries {
      let range = (entry.range.lowerBound + header.dataStart)..<(entry.range.upperBound + header.dataStart)
      places[entry.description.name] = (entry.description, range)
    }
    self.places = places
  }

  public func contains(_ name: String) -> Bool { places[name] != nil }

  public func description(of name: String) throws -> TensorDescription { try place(of: name).description }

  /// Calls `body` with the tensor's stored bytes, without copying. They may be unaligned: use `loadUnaligned`.
  ///
  /// Pages looked at stay resident until ``adviseDone(with:range:)``.
  public func withBytes<R>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
    try body(UnsafeRawBufferPointer(rebasing: file.bytes[try place(of: name).range]))
  }

  /// The same for some of the tensor's bytes.
  public func withBytes<R>(
    of name: String, range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R
  ) throws -> R {
    let place = try place(of: name)
    return try body(UnsafeRawBufferPointer(rebasing: file.bytes[try Self.part(range, of: place.range, name: name)]))
  }

  /// Copies the tensor's bytes `range` into `buffer`, by file reads that leave no pages resident.
  ///
  /// - Precondition: `buffer` holds exactly `range.count` bytes.
  public func readBytes(of name: String, range: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws {
    precondition(buffer.count == range.count, "\(buffer.count) bytes of room, \(range.count) asked for")
    let part = try Self.part(range, of: try place(of: name).range, name: name)
    try file.read(at: part.lowerBound, into: buffer)
  }

  /// The tensor's elements `range` as float32: exact for F32, BF16 and F16, rounded for F64.
  ///
  /// Reads through a small buffer, so that memory does not grow with the file. Safe to call from several threads.
  /// - Precondition: `values` holds exactly `range.count` elements.
  /// - Throws: ``CheckpointError/notFloatingPoint(tensor:dtype:)`` for other element types.
  public func readFloats(
    of name: String, range: Range<Int>, into values: UnsafeMutableBufferPointer<Float>
  ) throws {
    precondition(values.count == range.count, "\(values.count) elements of room, \(range.count) asked for")
    let (description, place) = try place(of: name)
    let dtype = description.dtype
    guard dtype.isFloatingPoint else { throw CheckpointError.notFloatingPoint(tensor: name, dtype: dtype) }
    guard range.lowerBound >= 0, range.upperBound <= description.elementCount else {
      throw CheckpointError.rangeOutsideTensor(name: name, range: range, count: description.elementCount)
    }
    let size = dtype.byteCount
    let start = place.lowerBound + range.lowerBound * size
    if dtype == .float32 { return try file.read(at: start, into: UnsafeMutableRawBufferPointer(values)) }
    let chunkCount = min(range.count, Self.chunkByteCount / size)
    guard chunkCount > 0 else { return }
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkCount * size, alignment: 16)
    defer { chunk.deallocate() }
    var done = 0
    while done < range.count {
      let count = min(chunkCount, range.count - done)
      let stored = UnsafeMutableRawBufferPointer(rebasing: chunk[..<(count * size)])
      try file.read(at: start + done * size, into: stored)
      FloatCodec.decode(
        UnsafeRawBufferPointer(stored), as: dtype,
        into: UnsafeMutableBufferPointer(rebasing: values[done..<(done + count)]))
      done += count
    }
  }

  /// Fits the second-level cache beside the converted values.
  private static let chunkByteCount = 256 << 10

  /// Drops the tensor's pages, or those of its bytes `range`, from resident memory after ``withBytes(of:_:)``.
  /// They can be read again.
  public func adviseDone(with name: String, range: Range<Int>? = nil) throws {
    let whole = try place(of: name).range
    file.releasePages(try range.map { try Self.part($0, of: whole, name: name) } ?? whole)
  }

  /// The tensor's bytes as memory that may be written to without changing the file; nil where they are not aligned to their
  /// elements, or there are none.
  package func privateMapping(of name: String) throws -> PrivateMapping? {
    let (description, range) = try place(of: name)
    guard !range.isEmpty, range.lowerBound % description.dtype.byteCount == 0 else { return nil }
    return try file.privateMapping(of: range)
  }

  /// Announces one pass over the whole file, front to back.
  public func adviseSequential() { file.adviseSequential(0..<file.byteCount) }

  private func place(of name: String) throws -> (description: TensorDescription, range: Range<Int>) {
    guard let place = places[name] else { throw CheckpointError.tensorNotFound(name: name, path: path) }
    return place
  }

  /// The file range of a tensor's bytes `range`, when the tensor lies at `whole`.
  private static func part(_ range: Range<Int>, of whole: Range<Int>, name: String) throws -> Range<Int> {
    guard range.lowerBound >= 0, range.upperBound <= whole.count else {
      throw CheckpointError.rangeOutsideTensor(name: name, range: range, count: whole.count)
    }
    return (whole.lowerBound + range.lowerBound)..<(whole.lowerBound + range.upperBound)
  }
}
