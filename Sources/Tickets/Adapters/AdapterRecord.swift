import Checkpoints
import Torch

/// The bytes of one changed tensor in an adapter's weights file: digests, then where it is changed, then by how much.
///
/// | bytes | what |
/// |---|---|
/// | [0, 16) | digest of the bytes [16, 52 + I) |
/// | [16, 32) | digest of the values |
/// | [32, 48) | digest of the trained weights, as stored |
/// | [48, 52) | I, the size of the indices, UInt32 |
/// | [52, 52 + I) | indices |
/// | [52 + I, end) | values |
///
/// A digest is the first 16 bytes of a SHA-256.
struct AdapterRecord {
  static let digestByteCount = 16
  static let headByteCount = 3 * digestByteCount + 4
  /// Bytes that must be readable beyond a record's end while it is decoded.
  static let overrun = EntryCode.overrun

  enum Problem: Error, Equatable {
    case tooShort
    case damaged(String)
  }

  let trainedDigest: [UInt8]
  let indexByteCount: Int
  private let bytes: UnsafeRawBufferPointer

  /// A record's bytes.
  ///
  /// - Parameter trained: the trained weights, as stored.
  static func encoded(indices: [Int32], values: StoredValues, width: UInt32, trained: [UInt8]) -> [UInt8] {
    let indexBytes = EntryCode.encode(indices: indices)
    let valueBytes = values.encoded(width: width)
    let size = UInt32(indexBytes.count)
    let covered =
      digest(of: valueBytes) + digest(of: trained) + [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: size >> $0) }
      + indexBytes
    return digest(of: covered) + covered + valueBytes
  }

  /// The head alone, unchecked.
  ///
  /// - Throws: ``Problem/tooShort``.
  init(head bytes: UnsafeRawBufferPointer) throws {
    guard bytes.count >= Self.headByteCount else { throw Problem.tooShort }
    trainedDigest = Array(bytes[32..<48])
    indexByteCount = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 48, as: UInt32.self)))
    self.bytes = bytes
  }

  /// A whole record, with its digests checked.
  ///
  /// - Throws: ``Problem``.
  init(_ bytes: UnsafeRawBufferPointer) throws {
    try self.init(head: bytes)
    let middle = Self.headByteCount + indexByteCount
    guard middle <= bytes.count else { throw Problem.damaged("size of the indices is wrong") }
    guard Self.digest(of: bytes[16..<middle]).elementsEqual(bytes[..<16]) else {
      throw Problem.damaged("indices are damaged (their digest differs)")
    }
    guard Self.digest(of: bytes[middle...]).elementsEqual(bytes[16..<32]) else {
      throw Problem.damaged("values are damaged (their digest differs)")
    }
  }

  /// The indices of a record that is readable for ``overrun`` bytes beyond its end.
  ///
  /// - Throws: ``Problem/damaged(_:)``.
  func indices(count: Int, elementCount: Int) throws -> [Int32] {
    do {
      let stream = bytes[Self.headByteCount..<(Self.headByteCount + indexByteCount)]
      return try EntryCode.decodeIndices(
        UnsafeRawBufferPointer(rebasing: stream), count: count, elementCount: elementCount)
    } catch is StreamProblem {
      throw Problem.damaged("indices cannot be decoded")
    }
  }

  /// The values of such a record.
  ///
  /// - Throws: ``Problem/damaged(_:)``.
  func values(as coding: ValueCoding, count: Int, width: UInt32) throws -> StoredValues {
    do {
      let stream = bytes[(Self.headByteCount + indexByteCount)...]
      return try StoredValues.decode(UnsafeRawBufferPointer(rebasing: stream), as: coding, count: count, width: width)
    } catch is StreamProblem {
      throw Problem.damaged("values cannot be decoded")
    }
  }

  /// What binds records to a configuration: the SHA-256 over the two leading digests of each, in order of their names' UTF-8 bytes.
  static func digestOfAll(_ names: [String], leading: (String) throws -> [UInt8]) rethrows -> String {
    let sorted = names.sorted { $0.precedesInBytes($1) }
    return try sorted.flatMap(leading).withUnsafeBytes { ModelFingerprint.digest(of: $0) }
  }

  static let leadingByteCount = 2 * digestByteCount

  static func digest(of bytes: Slice<UnsafeRawBufferPointer>) -> [UInt8] {
    digest(of: UnsafeRawBufferPointer(rebasing: bytes))
  }

  static func digest(of bytes: UnsafeRawBufferPointer) -> [UInt8] {
    Array(ModelFingerprint.digestBytes(of: bytes).prefix(digestByteCount))
  }

  static func digest(of bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { digest(of: $0) } }
}
