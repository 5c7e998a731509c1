/// Maps byte strings to numbers: open addressing over one arena, no allocation per key.
///
/// Keys are compared byte by byte. `String` keys would not do: canonically equivalent tokens would collide.
struct ByteTable: Sendable {
  private var arena: [UInt8] = []
  /// Of key number i: `starts[i]..<starts[i + 1]` in the arena.
  private var starts: [UInt32] = [0]
  private var values: [Int32] = []
  /// Key number plus one, 0 when free.
  private var slots: [UInt32]
  private var mask: Int

  init(minimumCapacity: Int) {
    var size = 16
    while size < minimumCapacity * 2 { size *= 2 }
    slots = Array(repeating: 0, count: size)
    mask = size - 1
  }

  var count: Int { values.count }

  @inline(__always)
  static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
    var hash = UInt64(truncatingIfNeeded: bytes.count) &* 0x9E37_79B9_7F4A_7C15
    var index = 0
    if let base = bytes.baseAddress {
      let raw = UnsafeRawPointer(base)
      while index + 8 <= bytes.count {
        hash = (hash ^ raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)) &* 0xFF51_AFD7_ED55_8CCD
        hash ^= hash >> 32
        index += 8
      }
      var tail: UInt64 = 0
      while index < bytes.count {
        tail = tail << 8 | UInt64(raw.load(fromByteOffset: index, as: UInt8.self))
        index += 1
      }
      hash = (hash ^ tail) &* 0xC4CE_B9FE_1A85_EC53
    }
    return hash ^ hash >> 29
  }

  func value(of key: UnsafeBufferPointer<UInt8>) -> Int? {
    var slot = Int(truncatingIfNeeded: Self.hash(key)) & mask
    while slots[slot] != 0 {
      let number = Int(slots[slot]) - 1
      if isEqual(number, key) { return Int(values[number]) }
      slot = (slot + 1) & mask
    }
    return nil
  }

  func value(of key: [UInt8]) -> Int? { key.withUnsafeBufferPointer { value(of: $0) } }

  /// False, changing nothing, when the key is already there.
  mutating func insert(_ key: [UInt8], _ value: Int) -> Bool {
    guard self.value(of: key) == nil else { return false }
    if (count + 1) * 2 > slots.count { grow() }
    arena += key
    starts.append(UInt32(truncatingIfNeeded: arena.count))
    values.append(Int32(truncatingIfNeeded: value))
    key.withUnsafeBufferPointer { place(values.count - 1, hash: Self.hash($0)) }
    return true
  }

  private mutating func place(_ number: Int, hash: UInt64) {
    var slot = Int(truncatingIfNeeded: hash) & mask
    while slots[slot] != 0 { slot = (slot + 1) & mask }
    slots[slot] = UInt32(truncatingIfNeeded: number + 1)
  }

  private mutating func grow() {
    slots = Array(repeating: 0, count: slots.count * 2)
    mask = slots.count - 1
    for number in 0..<count {
      let hash = arena.withUnsafeBufferPointer {
        Self.hash(UnsafeBufferPointer(rebasing: $0[Int(starts[number])..<Int(starts[number + 1])]))
      }
      place(number, hash: hash)
    }
  }

  @inline(__always)
  private func isEqual(_ number: Int, _ key: UnsafeBufferPointer<UInt8>) -> Bool {
    let start = Int(starts[number])
    guard Int(starts[number + 1]) - start == key.count else { return false }
    for index in 0..<key.count where arena[start + index] != key[index] { return false }
    return true
  }
}
