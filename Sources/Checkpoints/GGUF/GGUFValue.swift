/// One metadata value of a GGUF file.
public enum GGUFValue: Equatable, Sendable {
  case uint8(UInt8)
  case int8(Int8)
  case uint16(UInt16)
  case int16(Int16)
  case uint32(UInt32)
  case int32(Int32)
  case uint64(UInt64)
  case int64(Int64)
  case float32(Float)
  case float64(Double)
  case bool(Bool)
  case string(String)
  case array(GGUFArray)
}

/// A metadata array. All elements have one type, so they are stored unboxed.
public indirect enum GGUFArray: Equatable, Sendable {
  case uint8([UInt8])
  case int8([Int8])
  case uint16([UInt16])
  case int16([Int16])
  case uint32([UInt32])
  case int32([Int32])
  case uint64([UInt64])
  case int64([Int64])
  case float32([Float])
  case float64([Double])
  case bool([Bool])
  case string([String])
  case array([GGUFArray])
}

/// Type codes of metadata values, as stored.
enum GGUFValueType: UInt32 {
  case uint8 = 0
  case int8 = 1
  case uint16 = 2
  case int16 = 3
  case uint32 = 4
  case int32 = 5
  case float32 = 6
  case bool = 7
  case string = 8
  case array = 9
  case uint64 = 10
  case int64 = 11
  case float64 = 12

  /// The least number of bytes one element occupies in a file.
  var minimumByteCount: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64, .string: 8
    case .array: 12
    }
  }
}

extension GGUFValue {
  /// The value of any integer type, or nil for another type or a value beyond `Int`.
  public var integerValue: Int? {
    switch self {
    case .uint8(let value): Int(value)
    case .int8(let value): Int(value)
    case .uint16(let value): Int(value)
    case .int16(let value): Int(value)
    case .uint32(let value): Int(value)
    case .int32(let value): Int(value)
    case .uint64(let value): Int(exactly: value)
    case .int64(let value): Int(value)
    default: nil
    }
  }

  /// The value of a floating-point type.
  ///
  /// A float32 becomes the double nearest to its shortest decimal form: converters store Python doubles such as 1e-5
  /// in single precision, and this gives 1e-5 back rather than 9.999999747378752e-06.
  public var doubleValue: Double? {
    switch self {
    case .float32(let value): value.isFinite ? Double(value.description) : Double(value)
    case .float64(let value): value
    default: integerValue.map(Double.init)
    }
  }

  public var boolValue: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  public var stringValue: String? {
    if case .string(let value) = self { value } else { nil }
  }

  public var arrayValue: GGUFArray? {
    if case .array(let value) = self { value } else { nil }
  }
}

extension GGUFArray {
  public var count: Int {
    switch self {
    case .uint8(let values): values.count
    case .int8(let values): values.count
    case .uint16(let values): values.count
    case .int16(let values): values.count
    case .uint32(let values): values.count
    case .int32(let values): values.count
    case .uint64(let values): values.count
    case .int64(let values): values.count
    case .float32(let values): values.count
    case .float64(let values): values.count
    case .bool(let values): values.count
    case .string(let values): values.count
    case .array(let values): values.count
    }
  }

  public var strings: [String]? {
    if case .string(let values) = self { values } else { nil }
  }

  public var floats: [Float]? {
    if case .float32(let values) = self { values } else { nil }
  }

  /// The elements of any integer type, or nil for another type or a value beyond `Int`.
  public var integers: [Int]? {
    switch self {
    case .uint8(let values): values.map(Int.init)
    case .int8(let values): values.map(Int.init)
    case .uint16(let values): values.map(Int.init)
    case .int16(let values): values.map(Int.init)
    case .uint32(let values): values.map(Int.init)
    case .int32(let values): values.map(Int.init)
    case .uint64(let values): Self.exact(values)
    case .int64(let values): values.map(Int.init)
    default: nil
    }
  }

  private static func exact(_ values: [UInt64]) -> [Int]? {
    let converted = values.compactMap { Int(exactly: $0) }
    return converted.count == values.count ? converted : nil
  }
}
