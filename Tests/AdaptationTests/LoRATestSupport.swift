import Adaptation
import Checkpoints
import Decoder
import Foundation
import Testing
import Torch

/// Values written by Scripts/goldens/lora.py: adapters as PEFT saves them, and PEFT's training from one of them.
struct LoRAGoldens {
  let directory: String
  let file: SafetensorsFile
  let training: TrainingGoldens

  init() throws {
    directory = try #require(Bundle.module.resourcePath) + "/Goldens/lora"
    file = try SafetensorsFile(path: directory + "/goldens.safetensors")
    training = try TrainingGoldens()
  }

  func adapter(_ name: String) -> String { FileSystem.join(directory, name) }

  func values(_ name: String) throws -> [Double] { try Self.tensor(name, in: file).values() }

  static func tensor(_ name: String, in file: SafetensorsFile) throws -> Tensor {
    let description = try file.description(of: name)
    let tensor = try Tensor.empty(description.shape, description.dtype)
    try file.withBytes(of: name) { try tensor.copyBytes(from: $0) }
    return tensor
  }

  /// The tiny model with additions that hold the values of `plain/`.
  func started(
    _ dtype: DType? = nil, dropout: Double = 0
  ) throws -> (model: LanguageModel, additions: LowRankAdditions) {
    let model = try LanguageModel(directory: training.model, dtype: dtype)
    var settings = LoRASettings()
    (settings.rank, settings.alpha, settings.dropout) = (4, 10, dropout)
    let additions = try model.addLowRank(settings, seed: 3)
    let stored = try SafetensorsFile(path: adapter("plain") + "/adapter_model.safetensors")
    for parameter in additions.parameters {
      try parameter.value.copy(from: try Self.tensor("base_model.model." + parameter.name, in: stored))
    }
    return (model, additions)
  }

  /// The first rows, packed.
  func batch(_ count: Int, from first: Int = 0) throws -> PackedBatch {
    let rows = try training.rows()
    return PackedBatch((0..<count).map { rows[(first + $0) % rows.count] })
  }
}

extension LanguageModel {
  func pack(_ batch: PackedBatch) throws -> PackedSequences {
    try PackedSequences(
      tokens: batch.tokens, offsets: batch.offsets, vocabularySize: configuration.vocabularySize, device: device)
  }
}

/// Keeps the gradients of the low-rank matrices.
final class LowRankRecorder: GradientSink {
  private(set) var gradients: [String: [Double]] = [:]

  func needsGradient(of parameter: Parameter) -> Bool { parameter.name.contains(".lora_") }
  func consume(_ gradient: Tensor, of parameter: Parameter) throws {
    gradients[parameter.name] = try gradient.values()
  }
}
