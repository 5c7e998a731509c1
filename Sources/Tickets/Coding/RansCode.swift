/// Range asymmetric numeral system (Duda 2013, arXiv:1311.2540) over tokens, with the stream's own table of frequencies.
///
/// Body: the table; then for each block of 4096 symbols (the last may be shorter) two UInt16, the number of its 16-bit words and
/// of its bytes of extra bits; then the blocks, words first. All little-endian. Blocks are independent of each other, so that
/// several can be decoded at a time.
///
/// A block's state is a UInt32 that begins, for the decoder, as its first two words (low half first) and must end at 2^16.
/// For each symbol the low 12 bits choose the token, and the state becomes `share * (state >> 12) + place`; below 2^16 it takes
/// in one word more as its low half.
enum RansCode {
  static let blockCount = 1 << 12
  private static let lowest: UInt32 = 1 << 16
  /// Bytes that a decoder may look at beyond the end of a damaged stream.
  static let overrun = blockCount * SymbolTokens.maximumWidth / 8 + 16

  // MARK: - Encoding

  static func encode(_ symbols: UnsafeBufferPointer<UInt32>) -> [UInt8] {
    var counts = [Int](repeating: 0, count: SymbolTokens.count)
    for symbol in symbols { counts[SymbolTokens.token(of: symbol)] += 1 }
    let table = RansTable(counts: counts)
    let starts = table.starts
    var directory: [UInt8] = []
    var blocks: [UInt8] = []
    for start in stride(from: 0, to: symbols.count, by: blockCount) {
      let part = UnsafeBufferPointer(rebasing: symbols[start..<min(start + blockCount, symbols.count)])
      let (words, extra) = encodeBlock(part, frequencies: table.frequencies, starts: starts)
      for size in [words.count, extra.count] { directory += [UInt8(size & 255), UInt8(size >> 8)] }
      for word in words { blocks += [UInt8(word & 255), UInt8(word >> 8)] }
      blocks += extra
    }
    return table.encoded + directory + blocks
  }

  private static func encodeBlock(
    _ symbols: UnsafeBufferPointer<UInt32>, frequencies: [Int], starts: [Int]
  ) -> (words: [UInt16], extra: [UInt8]) {
    var extra = BitWriter()
    for symbol in symbols {
      let width = Int(TokenTable.shared.widths[SymbolTokens.token(of: symbol)])
      extra.append(symbol & (1 &<< UInt32(width) &- 1), width: width)
    }
    extra.finish()
    // Backwards, so that the decoder goes forwards.
    var state = UInt64(lowest)
    var words: [UInt16] = []
    for symbol in symbols.reversed() {
      let token = SymbolTokens.token(of: symbol)
      let share = UInt64(frequencies[token])
      if state >= share << 20 {
        words.append(UInt16(truncatingIfNeeded: state))
        state >>= 16
      }
      state = (state / share) << 12 + state % share + UInt64(starts[token])
    }
    words += [UInt16(state >> 16), UInt16(truncatingIfNeeded: state)]
    return (words.reversed(), extra.bytes)
  }

  // MARK: - Decoding

  private struct Block {
    var words: UnsafeRawPointer
    let wordsEnd: UnsafeRawPointer
    let extra: UnsafeRawPointer
    let extraByteCount: Int
    var state: UInt32 = 0
    var bit = 0

    mutating func begin() {
      state = word() | word() << 16
    }

    @inline(__always)
    private mutating func word() -> UInt32 {
      defer { words += 2 }
      return UInt32(UInt16(littleEndian: words.loadUnaligned(as: UInt16.self)))
    }

    /// The end is checked after the block: until then reads stay within ``overrun``.
    @inline(__always)
    mutating func next(_ slots: UnsafePointer<UInt32>, _ bases: UnsafePointer<UInt32>, _ widths: UnsafePointer<UInt8>)
      -> UInt32
    {
      let slot = slots[Int(state & 4095)]
      let token = Int(slot &>> 24)
      state = (slot &>> 12 & 4095 &+ 1) &* (state &>> 12) &+ (slot & 4095)
      let word = UInt32(UInt16(littleEndian: words.loadUnaligned(as: UInt16.self)))
      let isLow = state < 65536
      state = isLow ? state &<< 16 | word : state
      words += isLow ? 2 : 0
      let width = UInt32(widths[token])
      let window = UInt64(littleEndian: extra.loadUnaligned(fromByteOffset: bit &>> 3, as: UInt64.self))
      let more = UInt32(truncatingIfNeeded: window &>> UInt64(bit & 7)) & (1 &<< width &- 1)
      bit &+= Int(width)
      return bases[token] &+ more
    }

    var isConsistent: Bool { state == lowest && words == wordsEnd && (bit + 7) / 8 == extraByteCount }
  }

  /// - Parameter body: readable for ``overrun`` bytes beyond its end.
  static func decode(_ body: UnsafeRawBufferPointer, into symbols: UnsafeMutableBufferPointer<UInt32>) throws {
    let (table, tableByteCount) = try RansTable.decode(body)
    var blocks = try directory(body, at: tableByteCount, symbolCount: symbols.count)
    guard let target = symbols.baseAddress else { return }
    let full = symbols.count / blockCount
    table.slots.withUnsafeBufferPointer { slots in
      TokenTable.shared.bases.withUnsafeBufferPointer { bases in
        TokenTable.shared.widths.withUnsafeBufferPointer { widths in
          guard let slots = slots.baseAddress, let bases = bases.baseAddress, let widths = widths.baseAddress else {
            return
          }
          var block = 0
          while block + 4 <= full {
            decodeFour(&blocks, from: block, into: target + block * blockCount, slots, bases, widths)
            block += 4
          }
          while block < blocks.count {
            let start = block * blockCount
            var one = blocks[block]
            one.begin()
            for position in start..<min(start + blockCount, symbols.count) {
              target[position] = one.next(slots, bases, widths)
            }
            blocks[block] = one
            block += 1
          }
        }
      }
    }
    guard blocks.allSatisfy(\.isConsistent) else { throw StreamProblem.inconsistent }
  }

  /// Four blocks side by side: their chains of dependent steps overlap in the processor.
  private static func decodeFour(
    _ blocks: inout [Block], from first: Int, into target: UnsafeMutablePointer<UInt32>,
    _ slots: UnsafePointer<UInt32>, _ bases: UnsafePointer<UInt32>, _ widths: UnsafePointer<UInt8>
  ) {
    var (a, b, c, d) = (blocks[first], blocks[first + 1], blocks[first + 2], blocks[first + 3])
    a.begin()
    b.begin()
    c.begin()
    d.begin()
    for position in 0..<blockCount {
      target[position] = a.next(slots, bases, widths)
      target[position &+ blockCount] = b.next(slots, bases, widths)
      target[position &+ 2 &* blockCount] = c.next(slots, bases, widths)
      target[position &+ 3 &* blockCount] = d.next(slots, bases, widths)
    }
    (blocks[first], blocks[first + 1], blocks[first + 2], blocks[first + 3]) = (a, b, c, d)
  }

  /// Where the blocks lie; they must fill the body exactly.
  private static func directory(_ body: UnsafeRawBufferPointer, at offset: Int, symbolCount: Int) throws -> [Block] {
    let count = (symbolCount + blockCount - 1) / blockCount
    guard let start = body.baseAddress, body.count - offset >= 4 * count else { throw StreamProblem.tooShort }
    func size(_ position: Int) -> Int {
      Int(UInt16(littleEndian: (start + offset + 2 * position).loadUnaligned(as: UInt16.self)))
    }
    var next = offset + 4 * count
    var blocks: [Block] = []
    blocks.reserveCapacity(count)
    for block in 0..<count {
      let (words, extra) = (size(2 * block), size(2 * block + 1))
      guard words >= 2, next + 2 * words + extra <= body.count else { throw StreamProblem.tooShort }
      let middle = start + next + 2 * words
      blocks.append(Block(words: start + next, wordsEnd: middle, extra: middle, extraByteCount: extra))
      next += 2 * words + extra
    }
    guard next == body.count else { throw StreamProblem.inconsistent }
    return blocks
  }
}
