import Foundation
import TestSupport
import Testing
import Tickets

/// Streams of numbers: docs/adapter-format.md.
struct NumberStreamTests {
  private static let mark: UInt32 = 1 << 31

  private func expectRoundTrip(_ symbols: [UInt32], _ what: String) throws {
    let stream = NumberStream.encode(symbols)
    #expect(try NumberStream.decode(stream, count: symbols.count) == symbols, "\(what)")
  }

  /// Gaps of a ticket of this density, as they would be if every weight were drawn alone.
  private func gaps(_ count: Int, density: Double, seed: UInt64) -> [UInt32] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      UInt32(log(1 - Double(generator.next(below: 1 << 24)) / Double(1 << 24)) / log(1 - density))
    }
  }

  // MARK: - By hand

  @Test func riceStreamByHand() throws {
    // k = 2: low bits 01 00 01, least significant first: 1 0, 0 0, 1 0; quotients 1 0 2: 0 1, 1, 0 0 1.
    #expect(NumberStream.encode([5, 0, 9]) == [0, 2, 0b01_0001, 0b10_0110])
  }

  @Test func ransStreamOfOneTokenByHand() throws {
    // The only token has all 4096 shares, so that no block takes more than its state, 2^16: the words 0 and 1.
    let expected: [UInt8] = [1, 0, 128, 32, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0]
    #expect(NumberStream.encode([UInt32](repeating: 0, count: 8192)) == expected)
  }

  @Test func ransStreamOfTwoTokensByHand() throws {
    // Marked symbols cannot be Rice-coded. Token 128 (a marked 0) and token 0, half each: shares 2048. Backwards from 65536 over
    // 0, mark, 0: 0 has slots from 0: 65536 / 2048 * 4096 = 131072; mark from 2048: 64 * 4096 + 2048 = 264192; 0 again:
    // 129 * 4096 + 0 = 528384 = 8 * 65536 + 4096. The third share of 0 makes the table 2731 to 1365, which is not needed here.
    let symbols: [UInt32] = [Self.mark, 0, 0, Self.mark]
    let stream = NumberStream.encode(symbols)
    // Coding, last token, share of 0 in two bytes, 127 absent tokens (one and 126 more), share of 128, directory, state.
    let state: UInt32 = 65536 / 2048 * 4096 + 2048
    let second = state / 2048 * 4096 + state % 2048
    let third = second / 2048 * 4096 + second % 2048
    let last = third / 2048 * 4096 + third % 2048 + 2048
    #expect(
      stream == [1, 128, 128, 16, 0, 126, 128, 16, 2, 0, 0, 0]
        + [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: last >> $0) })
    #expect(try NumberStream.decode(stream, count: 4) == symbols)
  }

  @Test(arguments: [
    (0, 0, [0]), (15, 15, [15]), (16, 16, [16]), (20, 17, [20]), (31, 19, [28]), (32, 20, [32]), (255, 31, [224]),
  ])
  func extraBitsAreStoredAsTheyAre(number: Int, token: Int, base: [Int]) throws {
    // With a mark, so that the coding is rANS: one token only, hence no words beyond the state; then the extra bits.
    let stream = NumberStream.encode([UInt32(number) | Self.mark])
    let bits = UInt8(number - base[0])
    let width = token < 16 ? 0 : 2 + (token - 16) / 4
    #expect(Array(stream[..<2]) == [1, UInt8(token + 128)])
    #expect(Array(stream.suffix(width == 0 ? 4 : 5)) == [0, 0, 1, 0] + (width == 0 ? [] : [bits]))
  }

  // MARK: - Properties

  @Test(arguments: [1, 2, 63, 64, 4095, 4096, 4097, 16384, 16385, 40_000], [0.5, 0.1, 0.01, 0.001])
  func gapsComeBack(count: Int, density: Double) throws {
    try expectRoundTrip(gaps(count, density: density, seed: UInt64(count)), "\(count) at \(density)")
  }

  @Test func extremesComeBack() throws {
    let largest = Self.mark - 1
    try expectRoundTrip([largest], "largest")
    try expectRoundTrip([largest, 0, largest | Self.mark, Self.mark], "marks")
    try expectRoundTrip((0..<31).map { 1 << $0 }, "powers")
    try expectRoundTrip((0..<31).map { 1 << $0 | Self.mark }, "marked powers")
    try expectRoundTrip([UInt32](repeating: 7, count: 5000), "one value")
    try expectRoundTrip([UInt32](repeating: 1_000_003 | Self.mark, count: 4096), "one large marked value")
    var generator = SeededGenerator(seed: 5)
    try expectRoundTrip((0..<20_000).map { _ in UInt32(generator.next(below: 1 << 32)) }, "noise")
    // One rare symbol among very many: it must keep a share.
    var rare = [UInt32](repeating: 3, count: 100_000)
    rare[77_777] = 1 << 30
    try expectRoundTrip(rare, "rare")
  }

  @Test(arguments: [0.5, 0.3, 0.1, 0.01, 0.001])
  func gapsCostTheirEntropy(density: Double) throws {
    let count = 50_000
    let bits = 8 * Double(NumberStream.encode(gaps(count, density: density, seed: 3)).count) / Double(count)
    let entropy = -(density * log2(density) + (1 - density) * log2(1 - density)) / density
    #expect(bits < entropy * 1.015, "\(bits) bits, entropy \(entropy)")
    #expect(bits > entropy * 0.985, "\(bits) bits, entropy \(entropy)")
  }

  @Test func shortStreamsNeedNoTable() throws {
    let symbols = gaps(300, density: 0.001, seed: 4)
    let stream = NumberStream.encode(symbols)
    #expect(stream.first == 0, "Rice")
    let bits = 8 * Double(stream.count) / 300
    #expect(bits < 11.42 * 1.05, "\(bits)")
  }

  // MARK: - Damage

  @Test(arguments: [0.5, 0.001])
  func truncatedStreamsAreRefused(density: Double) throws {
    for symbols in [gaps(5000, density: density, seed: 6), gaps(200, density: density, seed: 7)] {
      let stream = NumberStream.encode(symbols)
      for length in [0, 1, 2, 3, stream.count / 2, stream.count - 3, stream.count - 1] {
        #expect(throws: StreamProblem.self) {
          try NumberStream.decode(Array(stream[..<length]), count: symbols.count)
        }
      }
      #expect(throws: StreamProblem.self) { try NumberStream.decode(stream + [0], count: symbols.count) }
      #expect(throws: StreamProblem.self) { try NumberStream.decode(stream, count: symbols.count * 3) }
    }
  }

  @Test func damagedStreamsNeverCrash() throws {
    var generator = SeededGenerator(seed: 8)
    for density in [0.3, 0.001] {
      let stream = NumberStream.encode(gaps(9000, density: density, seed: 9))
      for _ in 0..<500 {
        var damaged = stream
        for _ in 0..<(1 + Int(generator.next(below: 4))) {
          damaged[Int(generator.next(below: min(64, UInt64(stream.count))))] = UInt8(generator.next(below: 256))
        }
        // Some changes give other numbers; the digest of a stream is what tells.
        if let decoded = try? NumberStream.decode(damaged, count: 9000) { #expect(decoded.count == 9000) }
      }
    }
    for first in 0...255 {
      let noise = [UInt8(first)] + (0..<3000).map { _ in UInt8(generator.next(below: 256)) }
      _ = try? NumberStream.decode(noise, count: 4100)
    }
    #expect(throws: StreamProblem.unknownCoding(2)) { try NumberStream.decode([2, 0], count: 1) }
  }

  @Test func tablesThatDoNotAddUpAreRefused() throws {
    // Share 4095 of token 0.
    #expect(throws: StreamProblem.badTable) {
      try NumberStream.decode([1, 0, 255, 31, 2, 0, 0, 0, 0, 0, 1, 0], count: 1)
    }
    // All shares for a token that no number has.
    #expect(throws: StreamProblem.badTable) {
      try NumberStream.decode([1, 124, 0, 123, 128, 32, 2, 0, 0, 0, 0, 0, 1, 0], count: 1)
    }
  }

  // MARK: - Differences of bit patterns

  private static let handMade: [(base: UInt32, trained: UInt32, symbol: UInt32)] = [
    // Neighbours, zero, and changes of sign: 0.5 and -0.5 differ by the sign alone.
    (0x3F00_0000, 0x3F00_0001, 2), (0x3F00_0001, 0x3F00_0000, 1), (0x3F00_0000, 0x3F00_0000, 0),
    (0x3F00_0000, 0xBF00_0000, 1 << 31), (0xBF00_0000, 0x3F00_0000, 1 << 31), (0x3F00_0000, 0xBF00_0002, 1 << 31 | 4),
    (0xBF00_0002, 0x3F00_0000, 1 << 31 | 3),
  ]

  @Test(arguments: handMade)
  func differencesByHand(base: UInt32, trained: UInt32, symbol: UInt32) {
    #expect(PatternDifference.symbol(trained &- base, width: 32) == symbol)
    #expect(base &+ PatternDifference.difference(symbol, width: 32) == trained)
  }

  @Test func everyDifferenceOf16BitsComesBack() {
    for difference in UInt32(0)...0xFFFF {
      let symbol = PatternDifference.symbol(difference, width: 16)
      #expect(symbol & ~Self.mark < 1 << 15)
      #expect(PatternDifference.difference(symbol, width: 16) == difference)
    }
    let edges: [UInt32] = [0, 1, .max, 1 << 30, 1 << 30 - 1, 1 << 31, 1 << 31 - 1, 3 << 30, 3 << 30 - 1, 3 << 30 + 1]
    for difference in edges {
      #expect(PatternDifference.difference(PatternDifference.symbol(difference, width: 32), width: 32) == difference)
    }
  }
}
