package import Torch

/// How a trained weight differs from the base's: the difference of the two bit patterns, read as integers, modulo 2^width.
///
/// Adding it to the base's pattern gives the trained weight and taking it away gives the base back, bit for bit, whatever the two
/// are; neighbouring floats differ by one. As a symbol: where the sign bit changes the mark is set and half the range is taken
/// away, so that what is left is the difference of the magnitudes; then its sign moves to the lowest bit.
package enum PatternDifference {
  /// Bits of a pattern; nil for types that adapters cannot hold.
  package static func width(of dtype: DType) -> UInt32? {
    switch dtype {
    case .float32: 32
    case .bfloat16, .float16: 16
    default: nil
    }
  }

  /// - Parameter difference: below 2^width.
  @inline(__always)
  package static func symbol(_ difference: UInt32, width: UInt32) -> UInt32 {
    let spare = 32 &- width
    let high = difference &<< spare
    // The two top bits differ where the nearest multiple of half the range is an odd one.
    let mark = (high ^ high &<< 1) & SymbolTokens.mark
    let signed = Int32(bitPattern: high ^ mark) &>> Int32(spare)
    return UInt32(bitPattern: signed &<< 1 ^ signed &>> 31) | mark
  }

  @inline(__always)
  package static func difference(_ symbol: UInt32, width: UInt32) -> UInt32 {
    let value = symbol & ~SymbolTokens.mark
    let signed = value &>> 1 ^ (0 &- (value & 1))
    let mask: UInt32 = .max &>> (32 &- width)
    return (signed &+ (symbol & SymbolTokens.mark) &>> (32 &- width)) & mask
  }

  /// Whether a symbol stands for a difference of this width.
  static func isValid(_ symbols: UInt32, width: UInt32) -> Bool { (symbols & ~SymbolTokens.mark) &>> (width &- 1) == 0 }
}
