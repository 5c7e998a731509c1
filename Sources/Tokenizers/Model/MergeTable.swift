/// The merge of two adjacent tokens: its rank (the lower, the earlier) and the token it makes.
struct MergeTable: Sendable {
  static let none: UInt64 = .max

  private struct Slot: Sendable {
    /// Left id in the high half, right id in the low; `none` when free.
    var pair: UInt64
    /// Rank in the high half, merged id in the low.
    var merge: UInt64
  }

  private var slots: [Slot]
  private let shift: UInt64

  /// `merges` in order of rank; of a pair that comes twice the later rank counts.
  init(_ merges: [(left: Int, right: Int, merged: Int)]) {
    var bits: UInt64 = 4
    while 1 << bits < merges.count * 2 { bits += 1 }
    slots = Array(repeating: Slot(pair: Self.none, merge: Self.none), count: 1 << bits)
    shift = 64 - bits
    for (rank, merge) in merges.enumerated() {
      let pair = UInt64(merge.left) << 32 | UInt64(merge.right)
      var slot = start(pair)
      while slots[slot].pair != Self.none, slots[slot].pair != pair { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = Slot(pair: pair, merge: UInt64(rank) << 32 | UInt64(merge.merged))
    }
  }

  @inline(__always)
  private func start(_ pair: UInt64) -> Int {
    Int(truncatingIfNeeded: (pair &* 0x9E37_79B9_7F4A_7C15) >> shift)
  }

  /// Rank in the high half, merged id in the low; `none` when the two do not merge. Merges compare by rank.
  @inline(__always)
  func merge(_ left: UInt32, _ right: UInt32) -> UInt64 {
    let pair = UInt64(left) << 32 | UInt64(right)
    return slots.withUnsafeBufferPointer { slots in
      var slot = start(pair)
      while true {
        let found = slots[slot]
        if found.pair == pair { return found.merge }
        if found.pair == Self.none { return Self.none }
        slot = (slot + 1) & (slots.count - 1)
      }
    }
  }
}
