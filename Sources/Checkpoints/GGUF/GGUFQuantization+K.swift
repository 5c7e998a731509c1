/// The "K" formats: super-blocks of 256 elements with quantised scales.
extension GGUFQuantization {
  /// Scale and minimum number `index` (0 to 7) of the 12 bytes that pack eight of each in 6 bits.
  ///
  /// Bytes 0-3 hold scales 0-3 and bytes 4-7 minima 0-3 in their low 6 bits; their high 2 bits are the high bits of
  /// numbers 4-7, whose low 4 bits lie in bytes 8-11, scale below minimum.
  @inline(__always)
  private static func scaleAndMinimum(_ packed: UnsafePointer<UInt8>, _ index: Int) -> (Float, Float) {
    if index < 4 { return (Float(packed[index] & 63), Float(packed[index + 4] & 63)) }
    let scale = packed[index + 4] & 15 | (packed[index - 4] >> 6) << 4
    let minimum = packed[index + 4] >> 4 | (packed[index] >> 6) << 4
    return (Float(scale), Float(minimum))
  }

  /// `d`, `dmin`, 12 bytes of scales, 128 bytes: each 32 bytes hold two groups of 32 elements, low halves first;
  /// `d * scale * q - dmin * minimum`.
  static func dequantizeQ4K(_ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<Float>, _ blocks: Int) {
    for block in 0..<blocks {
      let input = source + block * 144
      let d = half(input)
      let dmin = half(input + 2)
      for pair in 0..<4 {
        let quants = input + 16 + 32 * pair
        let output = target + block * 256 + 64 * pair
        let (lowScale, lowMinimum) = scaleAndMinimum(input + 4, 2 * pair)
        let (highScale, highMinimum) = scaleAndMinimum(input + 4, 2 * pair + 1)
        let (low, lowOffset) = (d * lowScale, dmin * lowMinimum)
        let (high, highOffset) = (d * highScale, dmin * highMinimum)
        for index in 0..<32 {
          output[index] = low * Float(Int32(quants[index] & 15)) - lowOffset
          output[32 + index] = high * Float(Int32(quants[index] >> 4)) - highOffset
        }
      }
    }
  }

  /// As Q4_K, with 32 bytes of fifth bits before the 128: bit g of byte j belongs to element j of group g.
  static func dequantizeQ5K(_ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<Float>, _ blocks: Int) {
    for block in 0..<blocks {
      let input = source + block * 176
      let d = half(input)
      let dmin = half(input + 2)
      let fifthBits = input + 16
      for pair in 0..<4 {
        let quants = input + 48 + 32 * pair
        let output = target + block * 256 + 64 * pair
        let (lowScale, lowMinimum) = scaleAndMinimum(input + 4, 2 * pair)
        let (highScale, highMinimum) = scaleAndMinimum(input + 4, 2 * pair + 1)
        let (low, lowOffset) = (d * lowScale, dmin * lowMinimum)
        let (high, highOffset) = (d * highScale, dmin * highMinimum)
        let shift = UInt8(truncatingIfNeeded: 2 * pair)
        for index in 0..<32 {
          let bits = fifthBits[index] &>> shift
          output[index] = low * Float(Int32(quants[index] & 15 | (bits & 1) << 4)) - lowOffset
          output[32 + index] = high * Float(Int32(quants[index] >> 4 | (bits & 2) << 3)) - highOffset
        }
      }
    }
  }

  /// 128 bytes of low 4 bits, 64 bytes of high 2 bits, 16 signed scales, `d`; each half of the block has 128 elements in
  /// four groups of 32: `d * scale * (q - 32)`, one scale for 16 elements.
  static func dequantizeQ6K(_ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<Float>, _ blocks: Int) {
    for block in 0..<blocks {
      let input = source + block * 210
      let d = half(input + 208)
      for part in 0..<2 {
        let low = input + 64 * part
        let high = input + 128 + 32 * part
        let scales = input + 192 + 8 * part
        let output = target + block * 256 + 128 * part
        for group in 0..<8 {
          let scale = d * Float(Int8(bitPattern: scales[group]))
          let lowBytes = low + (group & 3) * 16
          let lowShift: UInt8 = group < 4 ? 0 : 4
          let highBytes = high + (group & 1) * 16
          let highShift = UInt8(truncatingIfNeeded: group & ~1)
          for index in 0..<16 {
            let quant = lowBytes[index] &>> lowShift & 15 | (highBytes[index] &>> highShift & 3) << 4
            output[16 * group + index] = scale * Float(Int32(quant) &- 32)
          }
        }
      }
    }
  }
}
