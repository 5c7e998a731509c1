/// How an adapter stores by how much weights change.
public enum ValueCoding: String, Codable, CaseIterable, Sendable {
  /// Differences of bit patterns, without loss.
  case exact
  /// The updates `trained - base`, rounded to bfloat16.
  case bfloat16
  /// The updates in whole steps, of which 127 are the largest in a block of 256.
  case int8

  /// Whether the trained weights are others than those that were trained, and the base is needed to compute them.
  public var isLossy: Bool { self != .exact }
}

/// How far the weights of a lossy coding are from those that were trained.
public struct ValueError: Codable, Equatable, Sendable {
  /// `|stored - trained| / |trained - base|`, Euclidean norms over all entries.
  public let relativeRMS: Double
  /// The largest absolute difference of a stored and a trained weight.
  public let maximum: Double

  enum CodingKeys: String, CodingKey, CaseIterable {
    case relativeRMS = "relative_rms"
    case maximum
  }

  public init(from decoder: any Decoder) throws {
    try rejectUnknownKeys(decoder, known: CodingKeys.allCases.map(\.rawValue))
    let values = try decoder.container(keyedBy: CodingKeys.self)
    relativeRMS = try values.decode(Double.self, forKey: .relativeRMS)
    maximum = try values.decode(Double.self, forKey: .maximum)
  }

  init(_ sums: Sums) {
    relativeRMS = sums.update > 0 ? (sums.error / sums.update).squareRoot() : 0
    maximum = sums.maximum
  }

  var isPossible: Bool { relativeRMS.isFinite && relativeRMS >= 0 && maximum.isFinite && maximum >= 0 }

  /// Sums over entries, in float64.
  struct Sums: Equatable {
    /// Of `(stored - trained)^2`.
    var error = 0.0
    /// Of `(trained - base)^2`.
    var update = 0.0
    var maximum = 0.0

    init() {}

    init(base: [Float], trained: [Float], stored: [Float]) {
      for position in trained.indices {
        let error = Double(stored[position]) - Double(trained[position])
        let update = Double(trained[position]) - Double(base[position])
        self.error += error * error
        self.update += update * update
        maximum = max(maximum, abs(error))
      }
    }

    static func += (left: inout Sums, right: Sums) {
      left.error += right.error
      left.update += right.update
      left.maximum = max(left.maximum, right.maximum)
    }
  }
}
