import Primitives
import Testing

@Suite struct RandomStreamTests {
  /// Published first outputs of SplitMix64 from state 1234567, and from state 0.
  @Test(
    arguments: [
      (
        1_234_567,
        [
          6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
          16_408_922_859_458_223_821,
        ]
      ),
      (0, [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]),
    ] as [(UInt64, [UInt64])])
  func publishedVector(state: UInt64, expected: [UInt64]) {
    var stream = RandomStream(state: state)
    #expect(expected.map { _ in stream.next() } == expected)
  }

  /// Values from Scripts/goldens/row_order.py.
  @Test func streamGolden() {
    var stream = RandomStream(seed: 42, purpose: "order", index: 3)
    #expect(
      (0..<4).map { _ in stream.next() } == [
        7_544_609_081_448_830_556, 17_228_600_179_137_087_190, 2_454_560_258_160_273_842, 18_318_613_202_628_779_538,
      ])
  }

  @Test func boundsAreUniform() {
    var stream = RandomStream(seed: 1, purpose: "uniform")
    var counts = [Int](repeating: 0, count: 6)
    for _ in 0..<60_000 { counts[stream.below(6)] += 1 }
    #expect(counts.allSatisfy { abs($0 - 10_000) < 500 })
    #expect(stream.below(1) == 0)
  }
}
