import Primitives

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// How a GGUF file stretches rotary embedding.
enum GGUFRopeScaling: Equatable {
  case none
  case linear(factor: Double)
  case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalMaximumPositions: Int)

  /// The `rope_scaling` entry of `config.json`.
  var json: JSONValue {
    switch self {
    case .none: .null
    // Releases of transformers before 4.43 know only "type".
    case .linear(let factor): ["type": "linear", "rope_type": "linear", "factor": .number(factor)]
    case .llama3(let factor, let low, let high, let original):
      [
        "rope_type": "llama3", "factor": .number(factor), "low_freq_factor": .number(low),
        "high_freq_factor": .number(high), "original_max_position_embeddings": .integer(original),
      ]
    }
  }

  /// From the keys `llama.rope.scaling.*` and the tensor `rope_freqs.weight`.
  static func read(_ file: GGUFFile, theta: Double, headSize: Int) throws -> GGUFRopeScaling {
    let factor = try file.optionalNumber("llama.rope.scaling.factor") ?? file.optionalNumber("llama.rope.scale_linear")
    let type = try file.optionalString("llama.rope.scaling.type") ?? (factor == nil ? "none" : "linear")
    let frequencies = try readFrequencyDivisors(file, headSize: headSize)
    switch type {
    case "none":
      guard let frequencies else { return .none }
      guard let scaling = reconstructed(divisors: frequencies, theta: theta) else {
        throw GGUFError.unsupportedFeature(
          path: file.path, what: "rope_freqs.weight is not a llama3 or linear scaling of rotary embedding")
      }
      return scaling
    case "linear":
      guard let factor, factor > 0 else {
        throw GGUFError.invalidValue(
          path: file.path, key: "llama.rope.scaling.factor", problem: "must be a positive number")
      }
      guard frequencies == nil || factor == 1 else {
        throw GGUFError.unsupportedFeature(path: file.path, what: "linear scaling together with rope_freqs.weight")
      }
      if let frequencies, factor == 1 {
        return reconstructed(divisors: frequencies, theta: theta) ?? .none
      }
      return factor == 1 ? .none : .linear(factor: factor)
    default:
      throw GGUFError.unsupportedFeature(path: file.path, what: "rotary scaling of type \"\(type)\"")
    }
  }

  private static func readFrequencyDivisors(_ file: GGUFFile, headSize: Int) throws -> [Double]? {
    guard let tensor = file.tensor("rope_freqs.weight") else { return nil }
    guard tensor.shape == [headSize / 2] else {
      throw GGUFError.wrongTensorShape(
        path: file.path, tensor: tensor.name, found: tensor.shape, expected: [headSize / 2])
    }
    var values = [Float](repeating: 0, count: tensor.elementCount)
    try values.withUnsafeMutableBufferPointer { try file.readFloats(of: tensor, rows: 0..<1, into: $0) }
    return values.map(Double.init)
  }

  /// The scaling whose frequency divisors are `divisors`, or nil.
  ///
  /// Llama 3 divides a frequency f by F where its wavelength exceeds `original / low`, by 1 where it is below
  /// `original / high`, and between by 1 / ((1 - s) / F + s) with s = (original * f / 2 pi - low) / (high - low).
  /// F is the largest divisor. s is a line in f, which gives `original / (high - low)` and `low / (high - low)`; the
  /// common factor of the three is arbitrary, and `low` = 1 is what published models have.
  static func reconstructed(divisors: [Double], theta: Double) -> GGUFRopeScaling? {
    guard let factor = divisors.max(), divisors.allSatisfy({ $0.isFinite && $0 > 0.999 }) else { return nil }
    if factor < 1.0001 { return GGUFRopeScaling.none }
    if divisors.allSatisfy({ abs($0 - factor) < 1e-4 * factor }) { return .linear(factor: factor) }

    let count = divisors.count
    let frequencies = (0..<count).map { pow(theta, -Double($0) / Double(count)) }
    var candidates = [(low: 1.0, high: 4.0, original: 8192)]
    let between = divisors.indices.filter { divisors[$0] > 1.001 && divisors[$0] < factor * 0.999 }
    if let first = between.first, let last = between.last, first != last {
      let smooth = { (index: Int) in (1 / divisors[index] - 1 / factor) / (1 - 1 / factor) }
      let slope = (smooth(first) - smooth(last)) / (frequencies[first] - frequencies[last])
      let offset = slope * frequencies[first] - smooth(first)
      let original = 2 * Double.pi * slope / offset
      if offset > 1e-3, original.isFinite, original >= 1, original < 1e9 {
        candidates.insert((1, ((1 + 1 / offset) * 1000).rounded() / 1000, Int(original.rounded())), at: 0)
      }
    }
    for candidate in candidates {
      let expected = frequencies.map { llama3Divisor($0, factor, candidate.low, candidate.high, candidate.original) }
      if zip(expected, divisors).allSatisfy({ abs($0 - $1) <= 1e-4 * $1 }) {
        return .llama3(
          factor: factor, lowFrequencyFactor: candidate.low, highFrequencyFactor: candidate.high,
          originalMaximumPositions: candidate.original)
      }
    }
    return nil
  }

  private static func llama3Divisor(
    _ frequency: Double, _ factor: Double, _ low: Double, _ high: Double, _ original: Int
  ) -> Double {
    let turns = Double(original) * frequency / (2 * Double.pi)
    if turns > high { return 1 }
    if turns < low { return factor }
    let smooth = (turns - low) / (high - low)
    return 1 / ((1 - smooth) / factor + smooth)
  }
}
