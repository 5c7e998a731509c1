import Checkpoints
import Testing

@Suite("GGUF rotary scaling")
struct GGUFRopeScalingTests {
  /// The scaling an import of `divisors` gives, with heads of twice their number.
  private func imported(_ divisors: [Float], theta: Float) throws -> ModelConfiguration.RopeScaling {
    var builder = GGUFBuilder.tinyLlama(headSize: 2 * divisors.count)
    builder["llama.rope.freq_base"] = .float32(theta)
    builder.addTensor(
      "rope_freqs.weight", shape: [divisors.count], data: divisors.flatMap { GGUFBuilder.little($0.bitPattern) })
    return try builder.withImport { try ModelConfiguration(directory: $0).ropeScaling }
  }

  private func golden(_ name: String) throws -> [Float] {
    let file = try SafetensorsFile(path: ggufGolden("blocks.safetensors"))
    return try file.withBytes(of: "llama3.\(name)") { bytes in
      stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Float.self) }
    }
  }

  @Test func llama3IsRecognised() throws {
    let cases: [(String, Float, ModelConfiguration.RopeScaling)] = [
      (
        "8b", 500_000, .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaximumPositions: 8192)
      ),
      (
        "1b", 500_000,
        .llama3(factor: 32, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaximumPositions: 8192)
      ),
      (
        "other", 10_000,
        .llama3(factor: 4, lowFrequencyFactor: 1, highFrequencyFactor: 2.5, originalMaximumPositions: 1024)
      ),
    ]
    for (name, theta, expected) in cases { #expect(try imported(golden(name), theta: theta) == expected, "\(name)") }
  }

  @Test func evenDivisors() throws {
    #expect(try imported([1, 1, 1, 1], theta: 10_000) == .none)
    #expect(try imported([4, 4, 4, 4], theta: 10_000) == .linear(factor: 4))
  }

  @Test func otherDivisorsAreRefused() throws {
    for divisors in [[1, 3, 2, 8], [1, 2, 2, 2], [0, 1, 1, 1], [1, .nan, 1, 1], [1, 1, 1, .infinity]] as [[Float]] {
      var builder = GGUFBuilder.tinyLlama(headSize: 8)
      builder.addTensor("rope_freqs.weight", shape: [4], data: divisors.flatMap { GGUFBuilder.little($0.bitPattern) })
      try expectGGUFError(builder, importing: true) {
        .unsupportedFeature(path: $0, what: "rope_freqs.weight is not a llama3 or linear scaling of rotary embedding")
      }
    }
  }

  @Test func linearFromMetadata() throws {
    var builder = GGUFBuilder.tinyLlama()
    builder["llama.rope.scaling.type"] = .string("linear")
    builder["llama.rope.scaling.factor"] = .float32(2.5)
    #expect(try builder.withImport { try ModelConfiguration(directory: $0).ropeScaling } == .linear(factor: 2.5))
    builder = .tinyLlama()
    builder["llama.rope.scale_linear"] = .float32(4)
    #expect(try builder.withImport { try ModelConfiguration(directory: $0).ropeScaling } == .linear(factor: 4))
    builder["llama.rope.scale_linear"] = .float32(1)
    #expect(try builder.withImport { try ModelConfiguration(directory: $0).ropeScaling } == .none)
  }
}
