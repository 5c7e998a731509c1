public import Checkpoints
internal import Torch

/// Shapes to measure with, no files needed.
public enum ModelShape: String, CaseIterable, Sendable {
  case llama3With8B = "llama-3-8b"
  case smolLM2With135M = "smollm2-135m"
  /// Two layers of width 64, to see that everything works.
  case tiny

  public func configuration() throws -> ModelConfiguration {
    switch self {
    case .llama3With8B:
      try ModelConfiguration(
        family: .llama, vocabularySize: 128_256, hiddenSize: 4096, intermediateSize: 14_336, layerCount: 32,
        headCount: 32, keyValueHeadCount: 8, rmsNormEpsilon: 1e-5, ropeTheta: 500_000, maximumPositions: 8192,
        dtype: .bfloat16)
    case .smolLM2With135M:
      try ModelConfiguration(
        family: .llama, vocabularySize: 49_152, hiddenSize: 576, intermediateSize: 1536, layerCount: 30, headCount: 9,
        keyValueHeadCount: 3, rmsNormEpsilon: 1e-5, ropeTheta: 100_000, maximumPositions: 8192, tiesEmbeddings: true,
        dtype: .bfloat16)
    case .tiny:
      try ModelConfiguration(
        family: .llama, vocabularySize: 512, hiddenSize: 64, intermediateSize: 128, layerCount: 2, headCount: 4,
        keyValueHeadCount: 2, rmsNormEpsilon: 1e-5, maximumPositions: 1024, dtype: .bfloat16)
    }
  }
}
