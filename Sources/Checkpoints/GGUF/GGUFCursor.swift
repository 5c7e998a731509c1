/// Reads the header of a GGUF file front to back; every read is checked against the file's end.
struct GGUFCursor {
  /// Real files use one level; the limit keeps a hostile file from exhausting the stack.
  static let nestingLimit = 4

  let bytes: UnsafeRawBufferPointer
  let path: String
  private(set) var offset = 0

  init(bytes: UnsafeRawBufferPointer, path: String) {
    self.bytes = bytes
    self.path = path
  }

  var remaining: Int { bytes.count - offset }

  /// Fails unless `count` more bytes exist.
  private func require(_ count: Int, _ what: () -> String) throws {
    guard count <= remaining else { throw GGUFError.truncated(path: path, what: what(), size: bytes.count) }
  }

  mutating func integer<Value: FixedWidthInteger>(
    as type: Value.Type = Value.self, _ what: @autoclosure () -> String
  ) throws -> Value {
    try require(MemoryLayout<Value>.size, what)
    defer { offset += MemoryLayout<Value>.size }
    return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  /// A count of items that take at least `minimumByteCount` bytes each.
  mutating func count(minimumByteCount: Int, _ what: @autoclosure () -> String) throws -> Int {
    let raw = try integer(as: UInt64.self, "the number of items of \(what())")
    guard let count = Int(exactly: raw), count <= remaining / minimumByteCount else {
      throw GGUFError.implausibleCount(path: path, what: what(), count: raw)
    }
    return count
  }

  /// UTF-8 text with its length in front. The bytes are kept as they are; nothing is normalised.
  mutating func string(_ what: @autoclosure () -> String) throws -> String {
    let raw = try integer(as: UInt64.self, what())
    guard let length = Int(exactly: raw), length <= remaining else {
      throw GGUFError.truncated(path: path, what: what(), size: bytes.count)
    }
    let text = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
    offset += length
    guard let string = String(validating: text, as: UTF8.self) else {
      throw GGUFError.invalidText(path: path, what: what())
    }
    return string
  }

  mutating func valueType(key: String) throws -> GGUFValueType {
    let raw = try integer(as: UInt32.self, "the value of \"\(key)\"")
    guard let type = GGUFValueType(rawValue: raw) else {
      throw GGUFError.unknownValueType(path: path, key: key, rawType: raw)
    }
    return type
  }

  mutating func value(key: String) throws -> GGUFValue {
    let what = "the value of \"\(key)\""
    switch try valueType(key: key) {
    case .uint8: return .uint8(try integer(what))
    case .int8: return .int8(try integer(what))
    case .uint16: return .uint16(try integer(what))
    case .int16: return .int16(try integer(what))
    case .uint32: return .uint32(try integer(what))
    case .int32: return .int32(try integer(what))
    case .uint64: return .uint64(try integer(what))
    case .int64: return .int64(try integer(what))
    case .float32: return .float32(Float(bitPattern: try integer(what)))
    case .float64: return .float64(Double(bitPattern: try integer(what)))
    case .bool: return .bool(try boolean(key: key))
    case .string: return .string(try string(what))
    case .array: return .array(try array(key: key, depth: 1))
    }
  }

  private mutating func array(key: String, depth: Int) throws -> GGUFArray {
    guard depth <= Self.nestingLimit else {
      throw GGUFError.nestingTooDeep(path: path, key: key, limit: Self.nestingLimit)
    }
    let type = try valueType(key: key)
    let count = try count(minimumByteCount: type.minimumByteCount, "the array \"\(key)\"")
    switch type {
    case .uint8: return .uint8(integers(count))
    case .int8: return .int8(integers(count))
    case .uint16: return .uint16(integers(count))
    case .int16: return .int16(integers(count))
    case .uint32: return .uint32(integers(count))
    case .int32: return .int32(integers(count))
    case .uint64: return .uint64(integers(count))
    case .int64: return .int64(integers(count))
    case .float32: return .float32(integers(count).map { Float(bitPattern: $0) })
    case .float64: return .float64(integers(count).map { Double(bitPattern: $0) })
    case .bool: return .bool(try elements(count) { try $0.boolean(key: key) })
    case .string: return .string(try elements(count) { try $0.string("the array \"\(key)\"") })
    case .array: return .array(try elements(count) { try $0.array(key: key, depth: depth + 1) })
    }
  }

  private mutating func boolean(key: String) throws -> Bool {
    let raw = try integer(as: UInt8.self, "the value of \"\(key)\"")
    guard raw <= 1 else { throw GGUFError.invalidBoolean(path: path, key: key, value: raw) }
    return raw == 1
  }

  private mutating func elements<Element>(
    _ count: Int, _ read: (inout GGUFCursor) throws -> Element
  ) throws -> [Element] {
    var elements: [Element] = []
    elements.reserveCapacity(count)
    for _ in 0..<count { elements.append(try read(&self)) }
    return elements
  }

  /// `count` integers, which the caller has checked to be there.
  private mutating func integers<Value: FixedWidthInteger>(_ count: Int) -> [Value] {
    let width = MemoryLayout<Value>.size
    let start = offset
    offset += count * width
    return (0..<count).map {
      Value(littleEndian: bytes.loadUnaligned(fromByteOffset: start + $0 * width, as: Value.self))
    }
  }
}
