import Torch

/// Turns the blocks of a GGUF tensor into float32, with the arithmetic of ggml's reference code, so to the bit.
///
/// In the formats below, `d` and `m` are float16, `q` a quantised value, and a block's fields follow each other in
/// the order given.
public enum GGUFQuantization {
  /// Types that ``dequantize(_:type:into:)`` knows.
  public static let supported: [GGUFTensorType] = [
    .f32, .f16, .bf16, .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .q4_K, .q5_K, .q6_K,
  ]

  public static func isSupported(_ type: GGUFTensorType) -> Bool { supported.contains(type) }

  static var supportedNames: String { supported.map(\.name).joined(separator: ", ") }

  /// Writes the elements of whole blocks `input`.
  ///
  /// - Precondition: the type is supported, `input` holds whole blocks and `output` exactly their elements.
  public static func dequantize(
    _ input: UnsafeRawBufferPointer, type: GGUFTensorType, into output: UnsafeMutableBufferPointer<Float>
  ) {
    let blocks = input.count / type.blockByteCount
    precondition(isSupported(type), "no code for \(type.name)")
    precondition(
      input.count == blocks * type.blockByteCount && output.count == blocks * type.blockElementCount,
      "\(input.count) bytes of \(type.name) into \(output.count) elements")
    guard blocks > 0, let source = input.bindMemory(to: UInt8.self).baseAddress, let target = output.baseAddress else {
      return
    }
    switch type {
    case .f32: FloatCodec.decode(input, as: .float32, into: output)
    case .f16: FloatCodec.decode(input, as: .float16, into: output)
    case .bf16: FloatCodec.decode(input, as: .bfloat16, into: output)
    case .q8_0: dequantizeQ80(source, target, blocks)
    case .q4_0: dequantizeQ4(source, target, blocks, hasMinimum: false)
    case .q4_1: dequantizeQ4(source, target, blocks, hasMinimum: true)
    case .q5_0: dequantizeQ5(source, target, blocks, hasMinimum: false)
    case .q5_1: dequantizeQ5(source, target, blocks, hasMinimum: true)
    case .q4_K: dequantizeQ4K(source, target, blocks)
    case .q5_K: dequantizeQ5K(source, target, blocks)
    case .q6_K: dequantizeQ6K(source, target, blocks)
    default: preconditionFailure("no code for \(type.name)")
    }
  }

  /// The little-endian float16 at `bytes`.
  @inline(__always)
  static func half(_ bytes: UnsafePointer<UInt8>) -> Float {
    FloatCodec.widenFloat16(UInt16(bytes[0]) | UInt16(bytes[1]) << 8)
  }

  /// `d`, 32 signed bytes `q`: `d * q`.
  private static func dequantizeQ80(
    _ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<Float>, _ blocks: Int
  ) {
    for block in 0..<blocks {
      let input = source + block * 34
      let output = target + block * 32
      let scale = half(input)
      for index in 0..<32 { output[index] = Float(Int8(bitPattern: input[2 + index])) * scale }
    }
  }

  /// Q4_0: `d`, 16 bytes; element j is the low half of byte j, element 16 + j its high half: `d * (q - 8)`.
  /// Q4_1: `d`, `m`, 16 bytes: `d * q + m`.
  @inline(__always)
  private static func dequantizeQ4(
    _ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<Float>, _ blocks: Int, hasMinimum: Bool
  ) {
    let header = hasMinimum ? 4 : 2
    for block in 0..<blocks {
      let input = source + block * (header + 16)
      let output = target + block * 32
      let scale = half(input)
      let minimum = hasMinimum ? half(input + 2) : 0
      for index in 0..<16 {
        let low = Int32(input[header + index] & 15)
        let high = Int32(input[header + index] >> 4)
        output[index] = hasMinimum ? scale * Float(low) + minimum : scale * Float(low &- 8)
        output[16 + index] = hasMinimum ? scale * Float(high) + minimum : scale * Float(high &- 8)
      }
    }
  }

  /// As Q4_0 and Q4_1, with 32 fifth bits (4 bytes, bit j for element j) before the 16 bytes, and 16 in place of 8.
  @inline(__always)
  private static func dequantizeQ5(
    _ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<Float>, _ blocks: Int, hasMinimum: Bool
  ) {
    let header = hasMinimum ? 4 : 2
    for block in 0..<blocks {
      let input = source + block * (header + 20)
      let output = target + block * 32
      let scale = half(input)
      let minimum = hasMinimum ? half(input + 2) : 0
      let bits = UInt32(littleEndian: UnsafeRawPointer(input + header).loadUnaligned(as: UInt32.self))
      for index in 0..<16 {
        let byte = UInt32(input[header + 4 + index])
        let low = Int32(bitPattern: byte & 15 | (bits &>> UInt32(index) & 1) << 4)
        let high = Int32(bitPattern: byte >> 4 | (bits &>> UInt32(index &+ 16) & 1) << 4)
        output[index] = hasMinimum ? scale * Float(low) + minimum : scale * Float(low &- 16)
        output[16 + index] = hasMinimum ? scale * Float(high) + minimum : scale * Float(high &- 16)
      }
    }
  }
}
