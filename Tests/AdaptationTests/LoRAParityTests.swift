import Adaptation
import Checkpoints
import Decoder
import Foundation
import TestSupport
import Testing
import Torch

/// A real model's logits with an adapter of ours, against PEFT's; Scripts/parity/lora.py writes them.
@Suite(.engine) struct LoRAParityTests {
  private static let model = ProcessInfo.processInfo.environment["LOTA_SMOLLM2"]
  private static let folder = ProcessInfo.processInfo.environment["LOTA_LORA_PARITY"]

  @Test(.enabled(if: model != nil && folder != nil)) func logits() throws {
    let (directory, folder) = (try #require(Self.model), try #require(Self.folder))
    let file = try SafetensorsFile(path: folder + "/logits.safetensors")
    let loaded = try LoadedModel(directory: directory, adapters: [folder + "/run/adapter"])
    let sequences = try PackedSequences(
      tokens: try LoRAGoldens.tensor("tokens", in: file).values(),
      offsets: try LoRAGoldens.tensor("offsets", in: file).values(),
      vocabularySize: loaded.model.configuration.vocabularySize)
    let logits: [Float] = try loaded.model.logits(sequences).values()
    expectClose(logits, try LoRAGoldens.tensor("logits", in: file).values(), absolute: 5e-4)
    let expected: [Float] = try LoRAGoldens.tensor("logits", in: file).values()
    let largest = zip(logits, expected).map { abs($0 - $1) }.max() ?? 0
    let message = "largest difference of \(logits.count) logits: \(largest)\n"
    FileHandle.standardError.write(Data(message.utf8))
  }
}
