/// A fixed number of bits, packed into 64-bit words; bit `i` is bit `i % 64` of word `i / 64`.
///
/// The unused bits of the last word are always zero.
public struct BitMask: Equatable, Sendable {
  /// Number of bits.
  public let count: Int
  public private(set) var words: [UInt64]

  public init(count: Int, filled: Bool = false) {
    precondition(count >= 0, "a mask cannot have \(count) bits")
    self.count = count
    words = Array(repeating: filled ? .max : 0, count: Self.wordCount(for: count))
    if filled { clearUnusedBits() }
  }

  public init(_ bits: some Sequence<Bool>) {
    var words: [UInt64] = []
    var count = 0
    for bit in bits {
      if count % 64 == 0 { words.append(0) }
      if bit { words[count / 64] |= 1 << UInt64(count % 64) }
      count += 1
    }
    self.count = count
    self.words = words
  }

  /// Adopts words; bits beyond `count` are cleared.
  package init(count: Int, words: [UInt64]) {
    precondition(words.count == Self.wordCount(for: count), "\(words.count) words cannot hold \(count) bits")
    self.count = count
    self.words = words
    clearUnusedBits()
  }

  public subscript(index: Int) -> Bool {
    get {
      precondition(index >= 0 && index < count, "bit \(index) is outside 0..<\(count)")
      return words[index >> 6] >> UInt64(index & 63) & 1 == 1
    }
    set {
      precondition(index >= 0 && index < count, "bit \(index) is outside 0..<\(count)")
      let bit = UInt64(1) << UInt64(index & 63)
      if newValue { words[index >> 6] |= bit } else { words[index >> 6] &= ~bit }
    }
  }

  /// Number of set bits.
  public var populationCount: Int {
    words.withUnsafeBufferPointer { words in words.reduce(0) { $0 &+ $1.nonzeroBitCount } }
  }

  /// Calls `body` with the index of every set bit, ascending.
  @inlinable
  public func forEachSetIndex(_ body: (Int) throws -> Void) rethrows {
    for (position, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        try body(position &* 64 &+ rest.trailingZeroBitCount)
        rest &= rest &- 1
      }
    }
  }

  /// Indices of the set bits, ascending.
  public var setIndices: [Int] {
    var indices: [Int] = []
    indices.reserveCapacity(populationCount)
    forEachSetIndex { indices.append($0) }
    return indices
  }

  static func wordCount(for count: Int) -> Int { count / 64 + (count % 64 == 0 ? 0 : 1) }

  private mutating func clearUnusedBits() {
    let used = count % 64
    if used != 0 { words[words.count - 1] &= (1 << UInt64(used)) - 1 }
  }
}

// MARK: - Set algebra

extension BitMask {
  public func union(_ other: BitMask) -> BitMask { combined(with: other, |) }
  public func intersection(_ other: BitMask) -> BitMask { combined(with: other, &) }
  public func subtracting(_ other: BitMask) -> BitMask { combined(with: other) { $0 & ~$1 } }
  public var complement: BitMask { BitMask(count: count, words: words.map { ~$0 }) }

  /// Number of bits set in both.
  public func intersectionCount(_ other: BitMask) -> Int {
    checkSameCount(other)
    return zip(words, other.words).reduce(0) { $0 &+ ($1.0 & $1.1).nonzeroBitCount }
  }

  public func isDisjoint(with other: BitMask) -> Bool {
    checkSameCount(other)
    return zip(words, other.words).allSatisfy { $0 & $1 == 0 }
  }

  private func combined(with other: BitMask, _ operation: (UInt64, UInt64) -> UInt64) -> BitMask {
    checkSameCount(other)
    return BitMask(count: count, words: zip(words, other.words).map(operation))
  }

  private func checkSameCount(_ other: BitMask) {
    precondition(count == other.count, "masks of \(count) and \(other.count) bits cannot be combined")
  }
}

// MARK: - Packed bytes

extension BitMask {
  /// Bytes that `count` bits take, packed.
  public static func packedByteCount(for count: Int) -> Int { count / 8 + (count % 8 == 0 ? 0 : 1) }

  /// The bits packed least significant first; unused bits of the last byte are zero.
  public func withPackedBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    #if _endian(little)
    let stored = words
    #else
    let stored = words.map(\.littleEndian)
    #endif
    return try stored.withUnsafeBytes { bytes in
      try body(UnsafeRawBufferPointer(rebasing: bytes[..<Self.packedByteCount(for: count)]))
    }
  }

  /// Reads packed bits.
  ///
  /// - Throws: `packedByteCount` when the number of bytes does not belong to `count`, `paddingBitsSet` when an unused
  ///   bit is not zero.
  public init(count: Int, packed bytes: UnsafeRawBufferPointer) throws {
    let expected = Self.packedByteCount(for: count)
    guard bytes.count == expected else {
      throw TicketsError.packedByteCount(expected: expected, found: bytes.count)
    }
    var words = [UInt64](repeating: 0, count: Self.wordCount(for: count))
    words.withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
    #if !_endian(little)
    for index in words.indices { words[index] = UInt64(littleEndian: words[index]) }
    #endif
    if count % 64 != 0, let last = words.last, last >> UInt64(count % 64) != 0 {
      throw TicketsError.paddingBitsSet(count: count)
    }
    self.count = count
    self.words = words
  }
}
