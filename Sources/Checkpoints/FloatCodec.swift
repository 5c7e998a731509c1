public import Torch

/// Conversions between stored floating-point elements and float32. Bytes need no alignment.
public enum FloatCodec {
  /// Widens `values.count` stored elements. Exact for F32, BF16 and F16, bit patterns of NaN included
  /// (their payload moves to the high bits); F64 rounds to nearest, ties to even.
  ///
  /// - Precondition: `bytes` holds exactly `values.count` elements of a floating-point `dtype`.
  public static func decode(
    _ bytes: UnsafeRawBufferPointer, as dtype: DType, into values: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(dtype.isFloatingPoint, "\(dtype) is not a floating-point type")
    precondition(bytes.count == values.count * dtype.byteCount, "\(bytes.count) bytes, \(values.count) elements")
    guard let source = bytes.baseAddress, let target = values.baseAddress else { return }
    let count = values.count
    switch dtype {
    case .float32: UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: bytes.count)
    case .bfloat16:
      for index in 0..<count {
        target[index] = widenBFloat16(source.loadUnaligned(fromByteOffset: 2 &* index, as: UInt16.self))
      }
    case .float16:
      for index in 0..<count {
        target[index] = widenFloat16(source.loadUnaligned(fromByteOffset: 2 &* index, as: UInt16.self))
      }
    default:
      for index in 0..<count {
        target[index] = Float(source.loadUnaligned(fromByteOffset: 8 &* index, as: Double.self))
      }
    }
  }

  /// Narrows `values` into stored elements: to nearest, ties to even, overflow to infinity; exact for F32 and F64.
  ///
  /// - Precondition: `bytes` holds exactly `values.count` elements of a floating-point `dtype`.
  public static func encode(
    _ values: UnsafeBufferPointer<Float>, as dtype: DType, into bytes: UnsafeMutableRawBufferPointer
  ) {
    precondition(dtype.isFloatingPoint, "\(dtype) is not a floating-point type")
    precondition(bytes.count == values.count * dtype.byteCount, "\(bytes.count) bytes, \(values.count) elements")
    guard let source = values.baseAddress, let target = bytes.baseAddress else { return }
    let count = values.count
    switch dtype {
    case .float32: target.copyMemory(from: source, byteCount: bytes.count)
    case .bfloat16:
      for index in 0..<count {
        target.storeBytes(of: narrowBFloat16(source[index]), toByteOffset: 2 &* index, as: UInt16.self)
      }
    case .float16:
      for index in 0..<count {
        target.storeBytes(of: narrowFloat16(source[index]), toByteOffset: 2 &* index, as: UInt16.self)
      }
    default:
      for index in 0..<count {
        target.storeBytes(of: Double(source[index]), toByteOffset: 8 &* index, as: Double.self)
      }
    }
  }

  @inline(__always)
  package static func widenBFloat16(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  /// Without `Float16`, which macOS lacks on Intel, and without branches, so that loops vectorise.
  @inline(__always)
  package static func widenFloat16(_ bits: UInt16) -> Float {
    let magnitude = UInt32(bits & 0x7FFF) << 13
    // The exponent's bias grows from 15 to 127; infinity and NaN keep an exponent of all ones.
    let normal = magnitude &+ (magnitude >= 0x0F80_0000 ? 224 << 23 : 112 << 23)
    // A subnormal gets the leading one it lacks, which a subtraction takes off exactly. (Scaling would meet float32
    // subnormals, which processors multiply slowly.)
    let subnormal = Float(bitPattern: magnitude &+ (113 << 23)) - Float(bitPattern: 113 << 23)
    let value = magnitude < 0x0080_0000 ? subnormal.bitPattern : normal
    return Float(bitPattern: UInt32(bits & 0x8000) << 16 | value)
  }

  @inline(__always)
  package static func narrowBFloat16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let rounded = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
    // A NaN must not round to infinity: keep its top bits and make it quiet.
    let isNaN = bits & 0x7FFF_FFFF > 0x7F80_0000
    return isNaN ? UInt16(truncatingIfNeeded: bits >> 16) | 0x0040 : rounded
  }

  @inline(__always)
  package static func narrowFloat16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let sign = UInt16(truncatingIfNeeded: bits >> 16 & 0x8000)
    let magnitude = bits & 0x7FFF_FFFF
    if magnitude > 0x7F80_0000 { return sign | 0x7E00 | UInt16(truncatingIfNeeded: magnitude >> 13 & 0x3FF) }
    // 65520 and beyond round to infinity.
    if magnitude >= 0x477F_F000 { return sign | 0x7C00 }
    if magnitude < 0x3880_0000 {
      // Below 2^-14: adding 0.5 aligns the last place to 2^-24, float16's subnormal step, and rounds.
      let aligned = (Float(bitPattern: magnitude) + 0.5).bitPattern
      return sign | UInt16(truncatingIfNeeded: aligned &- Float(0.5).bitPattern)
    }
    let rounded = magnitude &+ 0x0FFF &+ (magnitude >> 13 & 1)
    return sign | UInt16(truncatingIfNeeded: (rounded &- 0x3800_0000) >> 13)
  }
}
