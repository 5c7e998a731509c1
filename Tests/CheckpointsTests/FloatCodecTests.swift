import Checkpoints
import Foundation
import Testing
import Torch

@Suite struct FloatCodecTests {
  static let patterns = (0...UInt16.max).map { $0 }

  func decode(_ patterns: [UInt16], _ dtype: DType) -> [Float] {
    var values = [Float](repeating: 0, count: patterns.count)
    patterns.withUnsafeBytes { bytes in
      values.withUnsafeMutableBufferPointer { FloatCodec.decode(bytes, as: dtype, into: $0) }
    }
    return values
  }

  func encode(_ values: [Float], _ dtype: DType) -> [UInt16] {
    var patterns = [UInt16](repeating: 0, count: values.count)
    values.withUnsafeBufferPointer { source in
      patterns.withUnsafeMutableBytes { FloatCodec.encode(source, as: dtype, into: $0) }
    }
    return patterns
  }

  func digest(_ integers: [some FixedWidthInteger]) -> String { integers.withUnsafeBytes { sha256($0) } }

  @Test(arguments: [(DType.float16, "float16_to_float32"), (.bfloat16, "bfloat16_to_float32")])
  func widensAllPatternsAsTheReferenceDoes(_ dtype: DType, _ key: String) throws {
    let expected = try golden([String: String].self, "conversions.json")
    let bits = decode(Self.patterns, dtype).map { $0.isNaN ? 0x7FC0_0000 : $0.bitPattern }
    #expect(digest(bits) == expected[key])
  }

  @Test(arguments: [(DType.float16, "float32_to_float16"), (.bfloat16, "float32_to_bfloat16")])
  func narrowsAsTheReferenceDoes(_ dtype: DType, _ key: String) throws {
    let expected = try golden([String: String].self, "conversions.json")
    let values = (0..<(1 << 20)).map { Float(bitPattern: UInt32(truncatingIfNeeded: UInt64($0) * 4099)) }
    #expect(digest(encode(values.filter { !$0.isNaN }, dtype)) == expected[key])
  }

  @Test func widensByTheDefinition() {
    for (pattern, value) in zip(Self.patterns, decode(Self.patterns, .float16)) {
      let sign: Float = pattern & 0x8000 == 0 ? 1 : -1
      let exponent = Int(pattern >> 10 & 0x1F)
      let fraction = Float(pattern & 0x3FF)
      switch exponent {
      case 31: #expect(fraction == 0 ? value == sign * .infinity : value.isNaN)
      case 0: #expect(value == sign * fraction * Float(sign: .plus, exponent: -24, significand: 1))
      default: #expect(value == sign * (1024 + fraction) * Float(sign: .plus, exponent: exponent - 25, significand: 1))
      }
      #expect(value.sign == (sign < 0 ? .minus : .plus))
    }
  }

  @Test(arguments: [DType.float16, .bfloat16])
  func narrowingUndoesWidening(_ dtype: DType) {
    let values = decode(Self.patterns, dtype)
    for ((pattern, back), value) in zip(zip(Self.patterns, encode(values, dtype)), values) {
      // A NaN stays a NaN of the same sign, made quiet.
      let quiet: UInt16 = dtype == .float16 ? 0x0200 : 0x0040
      #expect(back == (value.isNaN ? pattern | quiet : pattern))
    }
  }

  @Test func roundsFloat64() {
    let wide: [Double] = [1 + 0x1p-24, 1 + 0x1p-24 + 0x1p-50, 1e300, -1e-300, .nan, 0x1p-149, 1.5]
    var values = [Float](repeating: 0, count: wide.count)
    wide.withUnsafeBytes { bytes in
      values.withUnsafeMutableBufferPointer { FloatCodec.decode(bytes, as: .float64, into: $0) }
    }
    #expect(values[0] == 1)
    #expect(values[1] == 1 + 0x1p-23)
    #expect(values[2] == .infinity)
    #expect(values[3] == 0 && values[3].sign == .minus)
    #expect(values[4].isNaN)
    #expect(values[5] == 0x1p-149)
    #expect(values[6] == 1.5)
  }
}
