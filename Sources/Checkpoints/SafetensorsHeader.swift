import Primitives
import Torch

/// The JSON header of a safetensors file: which tensors lie where in the data section behind it.
///
/// Layout of a file: header length (UInt64, little-endian), header (UTF-8 JSON, padded with spaces), data section.
package struct SafetensorsHeader {
  /// The reference implementation's limit on the length of a header, in bytes.
  package static let maximumByteCount = 100_000_000
  static let metadataKey = "__metadata__"

  package struct Entry: Equatable, Sendable {
    package let description: TensorDescription
    /// Bytes of the data section.
    package let range: Range<Int>
  }

  package let metadata: [String: String]
  /// In order of offsets.
  package let entries: [Entry]
  /// Where the data section begins in the file.
  package let dataStart: Int

  /// Reads and checks the header at the start of `file`: every offset, size and type, and that the tensors fill the
  /// data section exactly.
  package init(file: UnsafeRawBufferPointer, path: String) throws {
    guard file.count >= 8 else { throw CheckpointError.tooShort(path: path, byteCount: file.count) }
    let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(Self.maximumByteCount), length >= 2 else {
      if file.starts(with: "version https://git-lfs".utf8) { throw CheckpointError.gitLFSPointer(path: path) }
      throw CheckpointError.headerTooLong(path: path, byteCount: length, limit: Self.maximumByteCount)
    }
    dataStart = 8 + Int(length)
    guard dataStart <= file.count else {
      throw CheckpointError.truncated(path: path, missingByteCount: dataStart - file.count)
    }
    let json = UnsafeRawBufferPointer(rebasing: file[8..<dataStart])
    let members = try Self.members(of: json, path: path)
    metadata = try Self.metadata(members[Self.metadataKey], path: path)
    entries = try members.filter { $0.key != Self.metadataKey }
      .map { try Self.entry($0.key, $0.value, path: path) }
      .sorted(by: Self.precedes)
    let dataCount = try Self.checkTiling(entries, path: path)
    let found = file.count - dataStart
    guard found >= dataCount else {
      throw CheckpointError.truncated(path: path, missingByteCount: dataCount - found)
    }
    guard found == dataCount else { throw CheckpointError.trailingBytes(path: path, byteCount: found - dataCount) }
  }

  /// Order of offsets; empty tensors come before what begins at the same place.
  private static func precedes(_ a: Entry, _ b: Entry) -> Bool {
    (a.range.lowerBound, a.range.upperBound) != (b.range.lowerBound, b.range.upperBound)
      ? (a.range.lowerBound, a.range.upperBound) < (b.range.lowerBound, b.range.upperBound)
      : a.description.name.precedesInBytes(b.description.name)
  }

  private static func members(of json: UnsafeRawBufferPointer, path: String) throws -> [String: JSONValue] {
    guard json.first == UInt8(ascii: "{") else { throw CheckpointError.malformedHeader(path: path, .notAnObject) }
    do {
      return try JSONParser.parse(json).objectValue ?? [:]
    } catch {
      throw CheckpointError.malformedJSON(path: path, offset: 8 + error.offset, reason: error.reason)
    }
  }

  private static func metadata(_ value: JSONValue?, path: String) throws -> [String: String] {
    guard let value, value != .null else { return [:] }
    guard let members = value.objectValue else {
      throw CheckpointError.malformedHeader(path: path, .entryIsNotAnObject(tensor: metadataKey))
    }
    return try members.reduce(into: [:]) { result, member in
      guard let text = member.value.stringValue else {
        throw CheckpointError.malformedHeader(path: path, .metadataIsNotText(key: member.key))
      }
      result[member.key] = text
    }
  }

  private static func entry(_ name: String, _ value: JSONValue, path: String) throws -> Entry {
    func defect(_ defect: HeaderDefect) -> CheckpointError { .malformedHeader(path: path, defect) }
    guard let fields = value.objectValue else { throw defect(.entryIsNotAnObject(tensor: name)) }
    let known = ["dtype", "shape", "data_offsets"]
    if let unknown = fields.keys.filter({ !known.contains($0) }).min() {
      throw defect(.unknownField(tensor: name, field: unknown))
    }
    guard let dtypeName = fields["dtype"]?.stringValue else { throw defect(.badField(tensor: name, field: "dtype")) }
    guard let shape = naturals(fields["shape"]) else { throw defect(.badField(tensor: name, field: "shape")) }
    guard let offsets = naturals(fields["data_offsets"]), offsets.count == 2 else {
      throw defect(.badField(tensor: name, field: "data_offsets"))
    }
    guard let dtype = DType(rawValue: dtypeName) else {
      throw CheckpointError.unsupportedDType(path: path, tensor: name, dtype: dtypeName)
    }
    guard offsets[0] <= offsets[1] else {
      throw defect(.badOffsets(tensor: name, start: offsets[0], end: offsets[1]))
    }
    guard let description = try? TensorDescription(name: name, dtype: dtype, shape: shape) else {
      throw defect(.shapeOverflow(tensor: name, shape: shape))
    }
    let range = offsets[0]..<offsets[1]
    guard description.byteCount == range.count else {
      throw defect(.sizeMismatch(tensor: name, expected: description.byteCount, found: range.count))
    }
    return Entry(description: description, range: range)
  }

  /// A list of integers >= 0 written without fraction or exponent, as the format demands.
  private static func naturals(_ value: JSONValue?) -> [Int]? {
    guard let elements = value?.arrayValue else { return nil }
    var result: [Int] = []
    for element in elements {
      guard case .integer(let number) = element, number >= 0 else { return nil }
      result.append(number)
    }
    return result
  }

  /// Checks that `entries`, in order, follow one another without hole or overlap. Returns the data section's length.
  private static func checkTiling(_ entries: [Entry], path: String) throws -> Int {
    var end = 0
    var previous = ""
    for entry in entries {
      let name = entry.description.name
      if entry.range.lowerBound < end {
        throw CheckpointError.malformedHeader(path: path, .overlap(tensor: name, with: previous))
      }
      if entry.range.lowerBound > end {
        throw CheckpointError.malformedHeader(
          path: path, .hole(before: name, byteCount: entry.range.lowerBound - end))
      }
      end = entry.range.upperBound
      previous = name
    }
    return end
  }

  /// Length field and header for `tensors` stored in the order given, padded with spaces to a multiple of 8 bytes.
  package static func encoded(tensors: [TensorDescription], metadata: [String: String], path: String) throws -> [UInt8]
  {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key.precedesInBytes($1.key) }
        .map { "\(JSONValue.quoted($0.key)):\(JSONValue.quoted($0.value))" }
      members.append("\"\(metadataKey)\":{\(pairs.joined(separator: ","))}")
    }
    var names: Set<String> = []
    var offset = 0
    for tensor in tensors {
      guard tensor.name != metadataKey else {
        throw CheckpointError.reservedTensorName(name: tensor.name, path: path)
      }
      guard names.insert(tensor.name).inserted else {
        throw CheckpointError.duplicateTensor(name: tensor.name, path: path)
      }
      let (end, overflow) = offset.addingReportingOverflow(tensor.byteCount)
      if overflow { throw CheckpointError.invalidShape(tensor: tensor.name, shape: tensor.shape) }
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      members.append(
        "\(JSONValue.quoted(tensor.name)):{\"dtype\":\"\(tensor.dtype.rawValue)\","
          + "\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    var text = Array("{\(members.joined(separator: ","))}".utf8)
    text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
    guard text.count <= maximumByteCount else {
      throw CheckpointError.headerTooLong(path: path, byteCount: UInt64(text.count), limit: maximumByteCount)
    }
    return withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text
  }
}
