/// Packs bits into bytes, least significant first.
struct BitWriter {
  private(set) var bytes: [UInt8] = []
  private var pending: UInt64 = 0
  private var pendingCount = 0

  /// Appends the low `width` bits of `value`; the others must be zero.
  @inline(__always)
  mutating func append(_ value: UInt32, width: Int) {
    pending |= UInt64(value) &<< UInt64(pendingCount)
    pendingCount &+= width
    while pendingCount >= 8 {
      bytes.append(UInt8(truncatingIfNeeded: pending))
      pending &>>= 8
      pendingCount &-= 8
    }
  }

  mutating func appendZeros(_ count: Int) {
    var rest = count
    while rest > 0 {
      append(0, width: min(rest, 32))
      rest -= min(rest, 32)
    }
  }

  /// Fills the last byte with zeros.
  mutating func finish() {
    if pendingCount > 0 { append(0, width: 8 - pendingCount) }
  }
}
