/// xoshiro256** of Blackman and Vigna, its state filled by SplitMix64; the same stream on every platform.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: (UInt64, UInt64, UInt64, UInt64)

  package init(seed: UInt64) {
    var mixer = seed
    func next() -> UInt64 {
      mixer &+= 0x9E37_79B9_7F4A_7C15
      var value = mixer
      value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
      value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
      return value ^ (value >> 31)
    }
    state = (next(), next(), next(), next())
  }

  package mutating func next() -> UInt64 {
    let product = state.1 &* 5
    let result = (product << 7 | product >> 57) &* 9
    let shifted = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= shifted
    state.3 = state.3 << 45 | state.3 >> 19
    return result
  }

  /// Uniform in `0..<bound`, without bias (Lemire 2019).
  package mutating func next(below bound: UInt64) -> UInt64 {
    precondition(bound > 0, "an empty range has no number")
    var (high, low) = next().multipliedFullWidth(by: bound)
    if low < bound {
      let rejected = (0 &- bound) % bound
      while low < rejected { (high, low) = next().multipliedFullWidth(by: bound) }
    }
    return high
  }
}
