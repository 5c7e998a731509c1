import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Torch

@Suite(.engine) struct RotaryTests {
  static let llama3 = ModelConfiguration.RopeScaling.llama3(
    factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaximumPositions: 64)
  static let llama31 = ModelConfiguration.RopeScaling.llama3(
    factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaximumPositions: 8192)

  private func embedding(_ headSize: Int, _ scaling: ModelConfiguration.RopeScaling, _ dtype: DType) throws
    -> RotaryEmbedding
  {
    let configuration = try ModelConfiguration(
      family: .llama, vocabularySize: 8, hiddenSize: headSize, intermediateSize: 8, layerCount: 1, headCount: 1,
      headSize: headSize, ropeScaling: scaling)
    return try RotaryEmbedding(configuration, dtype: dtype, device: .cpu)
  }

  private func rotate(
    _ x: [Double], heads: Int, _ positions: [Int64], headSize: Int = 4, scaling: ModelConfiguration.RopeScaling = .none,
    inverse: Bool = false, _ dtype: DType = .float64
  ) throws -> [Double] {
    let rotary = try embedding(headSize, scaling, dtype)
    try rotary.prepare(length: Int((positions.max() ?? 0) + 1))
    let rows = try tensor(x, [positions.count, heads * headSize], dtype)
    try rotary.rotate(rows, heads: heads, positions: try Tensor.from(positions), inverse: inverse)
    return try rows.values()
  }

  /// Head size 4: pairs (0, 2) and (1, 3), turned by p and p / 100.
  @Test func byHand() throws {
    let y = try rotate([1, 0, 0, 2], heads: 1, [3])
    expectClose(y, [cos(3), -2 * sin(0.03), sin(3), 2 * cos(0.03)], absolute: 1e-7)
    #expect(try rotate([1, 2, 3, 4], heads: 1, [0]) == [1, 2, 3, 4])
  }

  @Test(arguments: [
    ("default", 16, 1e4, ModelConfiguration.RopeScaling.none), ("smollm2", 64, 1e5, .none),
    ("linear", 16, 1e4, .linear(factor: 2.5)), ("llama3", 16, 1e4, RotaryTests.llama3),
    ("llama31", 128, 5e5, RotaryTests.llama31),
  ])
  func frequenciesEqualTransformers(
    _ name: String, _ headSize: Int, _ theta: Double, _ scaling: ModelConfiguration.RopeScaling
  ) throws {
    let found = RotaryEmbedding.frequencies(headSize: headSize, theta: theta, scaling: scaling).map(Double.init)
    expectClose(found, try Goldens.layers().values("rotary." + name), relative: 3e-7, name)
  }

  @Test(arguments: [DType.float32, .float64]) func equalsTransformers(_ dtype: DType) throws {
    let goldens = try Goldens.layers()
    let positions: [Int64] = try goldens.tensor("rotary.positions").values()
    let y = try rotate(
      try goldens.values("rotary.x"), heads: 3, positions, headSize: 16, scaling: Self.llama3, dtype)
    expectClose(y, try goldens.values("rotary.y"), absolute: 2e-5)
  }

  /// The backward pass is the inverse rotation: it undoes forward, and agrees with finite differences.
  @Test func inverseUndoesAndIsTheGradient() throws {
    var generator = SeededGenerator(seed: 7)
    let positions: [Int64] = [0, 7, 100]
    let x = generator.values(3 * 2 * 4)
    let dy = generator.values(3 * 2 * 4)
    expectClose(try rotate(try rotate(x, heads: 2, positions), heads: 2, positions, inverse: true), x, absolute: 1e-12)
    try expectGradient(
      try rotate(dy, heads: 2, positions, inverse: true), of: { dot(try rotate($0, heads: 2, positions), dy) }, at: x)
  }

  /// q_m . k_n depends on m - n only.
  @Test func productsDependOnRelativePosition() throws {
    var generator = SeededGenerator(seed: 8)
    let q = generator.values(16)
    let k = generator.values(16)
    func product(_ m: Int64, _ n: Int64) throws -> Double {
      dot(
        try rotate(q, heads: 1, [m], headSize: 16, scaling: Self.llama3),
        try rotate(k, heads: 1, [n], headSize: 16, scaling: Self.llama3))
    }
    for shift in [1, 50, 400] as [Int64] {
      // Angles are rounded to float32, so the last digits move.
      expectClose(try product(9 + shift, 4 + shift), try product(9, 4), absolute: 1e-4)
    }
  }

  /// In place on columns of a wider matrix, leaving the rest alone.
  @Test(arguments: [DType.float32, .float64]) func rotatesColumnsOfAWiderMatrix(_ dtype: DType) throws {
    var generator = SeededGenerator(seed: 9)
    let rotary = try embedding(4, .none, dtype)
    try rotary.prepare(length: 10)
    let rows = try tensor(generator.values(2 * 11), [2, 11], dtype)
    let before: [Double] = try rows.values()
    let alone = try rows.columns(2..<10).converted()
    let positions = try Tensor.from([4, 9] as [Int64])
    try rotary.rotate(try rows.columns(2..<10), heads: 2, positions: positions)
    try rotary.rotate(alone, heads: 2, positions: positions)
    #expect(try rows.columns(2..<10).values(as: Double.self) == alone.values(as: Double.self))
    let after: [Double] = try rows.values()
    for row in 0..<2 {
      for column in [0, 1, 10] { #expect(after[row * 11 + column] == before[row * 11 + column]) }
    }
  }

  /// Growing the tables changes nothing, and positions beyond them are refused.
  @Test func tablesGrow() throws {
    let rotary = try embedding(4, .none, .float32)
    try rotary.prepare(length: 1)
    func turned() throws -> [Double] {
      let rows = try tensor([1, 2, 3, 4], [1, 4], .float32)
      try rotary.rotate(rows, heads: 1, positions: try Tensor.from([200] as [Int64]))
      return try rows.values()
    }
    let before = try turned()
    try rotary.prepare(length: 5000)
    #expect(try turned() == before)
    for position in [-1, 1 << 20] as [Int64] {
      #expect(throws: TorchError.self) {
        try rotary.rotate(try Tensor.zeros([1, 4]), heads: 1, positions: try Tensor.from([position]))
      }
    }
  }
}
