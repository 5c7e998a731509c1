/// A stream of random numbers that is the same on every platform and in every version of Swift.
///
/// SplitMix64 (Steele, Lea and Flood 2014). A stream is named by what it is for, so that the order in which streams are
/// used changes nothing: its state begins as `mix(mix(mix(seed) ^ fnv1a(purpose)) + index)`.
package struct RandomStream: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64, purpose: String, index: UInt64 = 0) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in purpose.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    state = Self.mix(Self.mix(Self.mix(seed) ^ hash) &+ index)
  }

  /// The plain generator, its state as the paper begins.
  package init(state: UInt64) { self.state = state }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return Self.mix(state)
  }

  /// The number that ``next()`` would give after `index` others, without drawing them: for threads that share a stream.
  package func value(at index: UInt64) -> UInt64 {
    Self.mix(state &+ (index &+ 1) &* 0x9e37_79b9_7f4a_7c15)
  }

  /// Uniform in `0..<bound`, without bias: the high half of a product, rejecting the few low halves that are
  /// over-represented (Lemire 2019).
  package mutating func below(_ bound: Int) -> Int {
    precondition(bound > 0, "no number lies below \(bound)")
    let range = UInt64(bound)
    var product = next().multipliedFullWidth(by: range)
    if product.low < range {
      let threshold = (0 &- range) % range
      while product.low < threshold { product = next().multipliedFullWidth(by: range) }
    }
    return Int(product.high)
  }

  /// Uniform in `0..<1`, 53 bits.
  package mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Fisher-Yates from the end: element `i` swaps with one drawn from `0...i`.
  package mutating func shuffle<Element>(_ elements: inout [Element]) {
    var index = elements.count - 1
    while index > 0 {
      elements.swapAt(index, below(index + 1))
      index -= 1
    }
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
