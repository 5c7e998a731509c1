package import Decoder

/// Low-rank adaptation (Hu et al. 2022) of the seven projections: W + alpha / rank * B A, with W frozen.
///
/// Defaults are those of the LoTA authors' released script for LoRA: rank 8, alpha 32, no dropout.
public struct LoRASettings: Codable, Equatable, Sendable {
  public static let defaultRank = 8
  public static let defaultAlpha = 32.0

  public var rank = Self.defaultRank
  public var alpha = Self.defaultAlpha
  /// Probability that an element of a projection's input falls out on its way to A, in `0..<1`.
  public var dropout = 0.0

  public init() {}

  /// - Throws: ``TrainingError/invalidOption(name:value:expected:)``
  public func validate() throws {
    guard (1...65536).contains(rank) else {
      throw TrainingError.invalidOption(name: "rank", value: "\(rank)", expected: "from 1 to 65536")
    }
    guard alpha > 0, alpha.isFinite else {
      throw TrainingError.invalidOption(name: "alpha", value: "\(alpha)", expected: "a positive number")
    }
    guard dropout >= 0, dropout < 1 else {
      throw TrainingError.invalidOption(name: "lora-dropout", value: "\(dropout)", expected: "at least 0 and below 1")
    }
  }

  package func additions(in layers: LayerSelection = .all) -> LowRankSettings {
    LowRankSettings(rank: rank, scale: alpha / Double(rank), dropout: dropout, layerParity: layers.parity)
  }
}
