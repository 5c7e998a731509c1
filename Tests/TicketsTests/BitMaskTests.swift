import TestSupport
import Testing
import Tickets

struct BitMaskTests {
  @Test(arguments: [0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 1000])
  func packsLeastSignificantBitFirst(count: Int) throws {
    var generator = SeededGenerator(seed: UInt64(count))
    let bits = (0..<count).map { _ in generator.next(below: 3) == 0 }
    let mask = BitMask(bits)
    var expected = [UInt8](repeating: 0, count: (count + 7) / 8)
    for (index, bit) in bits.enumerated() where bit { expected[index / 8] += UInt8(1 << (index % 8)) }

    #expect(mask.withPackedBytes { Array($0) } == expected)
    #expect(try expected.withUnsafeBytes { try BitMask(count: count, packed: $0) } == mask)
    #expect((0..<count).map { mask[$0] } == bits)
    #expect(mask.setIndices == bits.indices.filter { bits[$0] })
    #expect(mask.populationCount == bits.count { $0 })
  }

  @Test func setsAndClearsSingleBits() {
    var mask = BitMask(count: 130)
    mask[0] = true
    mask[64] = true
    mask[129] = true
    mask[64] = false
    #expect(mask.setIndices == [0, 129])
  }

  @Test(arguments: [1, 63, 64, 65, 200])
  func algebraMatchesSets(count: Int) {
    var generator = SeededGenerator(seed: 7)
    let first = Set((0..<count).filter { _ in generator.next(below: 2) == 0 })
    let second = Set((0..<count).filter { _ in generator.next(below: 2) == 0 })
    let left = BitMask((0..<count).map(first.contains))
    let right = BitMask((0..<count).map(second.contains))
    #expect(Set(left.union(right).setIndices) == first.union(second))
    #expect(Set(left.intersection(right).setIndices) == first.intersection(second))
    #expect(Set(left.subtracting(right).setIndices) == first.subtracting(second))
    #expect(Set(left.complement.setIndices) == Set(0..<count).subtracting(first))
    #expect(left.intersectionCount(right) == first.intersection(second).count)
    #expect(left.isDisjoint(with: left.complement))
    #expect(left.complement.complement == left)
    #expect(BitMask(count: count, filled: true).populationCount == count)
  }

  @Test func refusesPaddingBitsAndWrongLengths() {
    #expect(throws: TicketsError.paddingBitsSet(count: 9)) {
      try [UInt8](arrayLiteral: 0, 0b10).withUnsafeBytes { try BitMask(count: 9, packed: $0) }
    }
    #expect(throws: TicketsError.packedByteCount(expected: 2, found: 1)) {
      try [UInt8](arrayLiteral: 0).withUnsafeBytes { try BitMask(count: 9, packed: $0) }
    }
  }
}
