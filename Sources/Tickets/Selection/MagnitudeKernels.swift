/// Inner loops of the selection, over a chunk of at most 65,536 weights.
///
/// A magnitude is the bit pattern of `|tuned - base|` in float32 without the sign: 31 bits whose order as integers is
/// the order of the magnitudes; zero is 0, and everything from `nonFinite` on is infinite or NaN.
enum MagnitudeKernels {
  static let nonFinite: UInt32 = 0x7F80_0000
  /// Bins by the upper 15 of the 31 bits; the lower 16 bits tell the members of one bin apart.
  static let upperBinCount = 1 << 15
  static let lowerBinCount = 1 << 16

  @inline(__always)
  static func magnitude(_ base: UnsafePointer<Float>, _ tuned: UnsafePointer<Float>, _ index: Int) -> UInt32 {
    (tuned[index] - base[index]).bitPattern & 0x7FFF_FFFF
  }

  /// Counts magnitudes by their upper bits, without the excluded weights unless they are not finite.
  static func countUpper(
    base: UnsafePointer<Float>, tuned: UnsafePointer<Float>, count: Int, excluded: UnsafePointer<UInt64>?,
    into bins: UnsafeMutablePointer<Int>
  ) {
    for index in 0..<count {
      bins[Int(magnitude(base, tuned, index) >> 16)] &+= 1
    }
    guard let excluded else { return }
    forEachSetBit(in: excluded, count: count) { index in
      let value = magnitude(base, tuned, index)
      if value < nonFinite { bins[Int(value >> 16)] &-= 1 }
    }
  }

  /// Counts the members of one upper bin by their lower bits, without the excluded weights.
  static func countLower(
    base: UnsafePointer<Float>, tuned: UnsafePointer<Float>, count: Int, excluded: UnsafePointer<UInt64>?,
    upperBin: UInt32, into bins: UnsafeMutablePointer<Int>
  ) {
    for index in 0..<count {
      let value = magnitude(base, tuned, index)
      if value >> 16 == upperBin { bins[Int(value & 0xFFFF)] &+= 1 }
    }
    guard let excluded else { return }
    forEachSetBit(in: excluded, count: count) { index in
      let value = magnitude(base, tuned, index)
      if value >> 16 == upperBin { bins[Int(value & 0xFFFF)] &-= 1 }
    }
  }

  /// Writes one bit a weight, set where the magnitude is at least `upper`, and reports those in `lower..<upper`.
  ///
  /// Excluded weights are neither set nor reported.
  ///
  /// - Parameters:
  ///   - words: receives the chunk's words; the chunk begins on a word boundary.
  ///   - candidates: called for each word that has any, with the word's position and its candidates' bits.
  @inline(__always)
  static func classify(
    base: UnsafePointer<Float>, tuned: UnsafePointer<Float>, count: Int, excluded: UnsafePointer<UInt64>?,
    lower: UInt32, upper: UInt32, words: UnsafeMutablePointer<UInt64>, candidates: (Int, UInt64) -> Void
  ) {
    let fullWords = count / 64
    for position in 0..<fullWords {
      let start = position &* 64
      var above = atLeast(upper, base + start, tuned + start)
      var between = lower == upper ? 0 : atLeast(lower, base + start, tuned + start) & ~above
      if let excluded {
        above &= ~excluded[position]
        between &= ~excluded[position]
      }
      words[position] = above
      if between != 0 { candidates(position, between) }
    }
    guard count % 64 != 0 else { return }
    var above: UInt64 = 0
    var between: UInt64 = 0
    for offset in 0..<(count % 64) {
      let value = magnitude(base, tuned, fullWords &* 64 &+ offset)
      let bit = UInt64(1) << UInt64(offset)
      if value >= upper { above |= bit } else if value >= lower { between |= bit }
    }
    if let excluded {
      above &= ~excluded[fullWords]
      between &= ~excluded[fullWords]
    }
    words[fullWords] = above
    if between != 0 { candidates(fullWords, between) }
  }

  /// Whether any magnitude is infinite or NaN.
  static func hasNonFinite(base: UnsafePointer<Float>, tuned: UnsafePointer<Float>, count: Int) -> Bool {
    // The highest of 31-bit numbers, so that signed comparison orders them.
    var highest: Int32 = 0
    for index in 0..<count { highest = max(highest, Int32(bitPattern: magnitude(base, tuned, index))) }
    return highest >= Int32(bitPattern: nonFinite)
  }

  /// Index of the first magnitude that is infinite or NaN.
  static func firstNonFinite(base: UnsafePointer<Float>, tuned: UnsafePointer<Float>, count: Int) -> Int? {
    (0..<count).first { magnitude(base, tuned, $0) >= nonFinite }
  }

  /// One bit for each of 64 weights, set where the magnitude is at least `bound`.
  @inline(__always)
  private static func atLeast(
    _ bound: UInt32, _ base: UnsafePointer<Float>, _ tuned: UnsafePointer<Float>
  ) -> UInt64 {
    // Magnitudes have 31 bits, so that signed comparison, which every vector unit has, orders them too.
    let below = SIMD16<Int32>(repeating: Int32(bitPattern: bound) &- 1)
    let place = SIMD16<Int32>(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
    var word: UInt64 = 0
    for quarter in 0..<4 {
      let start = quarter &* 16
      let old = UnsafeRawPointer(base + start).loadUnaligned(as: SIMD16<Float>.self)
      let new = UnsafeRawPointer(tuned + start).loadUnaligned(as: SIMD16<Float>.self)
      let values = unsafeBitCast(new - old, to: SIMD16<Int32>.self) & Int32.max
      let bits = SIMD16<Int32>.zero.replacing(with: place, where: values .> below).wrappedSum()
      word |= UInt64(truncatingIfNeeded: bits) << UInt64(start)
    }
    return word
  }

  @inline(__always)
  private static func forEachSetBit(in words: UnsafePointer<UInt64>, count: Int, _ body: (Int) -> Void) {
    for position in 0..<BitMask.wordCount(for: count) {
      var rest = words[position]
      while rest != 0 {
        body(position &* 64 &+ rest.trailingZeroBitCount)
        rest &= rest &- 1
      }
    }
  }
}
