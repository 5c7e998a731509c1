import Adaptation
import Checkpoints
import Decoder
import TestSupport
import Testing
import Torch

/// Embedding and head used where they lie in the model's file.
@Suite(.engine) struct MappedWeightsTests {
  private let directory: TemporaryDirectory
  private let source: String

  init() throws {
    directory = try TemporaryDirectory()
    source = directory("model")
    try FileSystem.createDirectory(source)
    let model = try TrainingGoldens().model
    for name in try FileSystem.contents(of: model) {
      try FileSystem.copyFile(from: FileSystem.join(model, name), to: FileSystem.join(source, name))
    }
  }

  private var file: String { FileSystem.join(source, "model.safetensors") }

  /// Writes the model's tensors again, behind `leading` bytes of another.
  private func rewrite(leading: Int) throws {
    let old = try Checkpoint(directory: source)
    let extra = try TensorDescription(name: "extra", dtype: .uint8, shape: [leading])
    let path = directory("rewritten.safetensors")
    let writer = try SafetensorsWriter(path: path, tensors: [extra] + old.tensors, metadata: ["format": "pt"])
    try [UInt8](repeating: 1, count: leading).withUnsafeBytes { try writer.append($0) }
    for tensor in old.tensors { try old.withBytes(of: tensor.name) { try writer.append($0) } }
    try writer.finish()
    try FileSystem.copyFile(from: path, to: file)
  }

  @Test func sameWeightsAndNoOthersMapped() throws {
    let mapped = try LoadedModel(mapping: source)
    let copied = try LoadedModel(directory: source)
    #expect(copied.model.mapped.isEmpty)
    #expect(mapped.model.mapped.contains("model.embed_tokens.weight"))
    #expect(mapped.model.mapped.isSubset(of: ["model.embed_tokens.weight", "lm_head.weight"]))
    #expect(try mapped.model.snapshot() == copied.model.snapshot())
  }

  /// A weight that is written to belongs to the process alone.
  @Test func writingLeavesTheFileAlone() throws {
    let before = try FileSystem.read(file)
    let loaded = try LoadedModel(mapping: source)
    let base = try loaded.model.snapshot()
    let embedding = try #require(loaded.model.parameter(named: "model.embed_tokens.weight")).value
    try embedding.fill(3)
    #expect(try loaded.model.snapshot() != base)
    #expect(try LanguageModel(directory: source).snapshot() == base)
    try loaded.restore()
    #expect(try loaded.model.snapshot() == base)
    #expect(try FileSystem.read(file) == before)
  }

  @Test(arguments: [1, 2, 3, 8]) func unalignedWeightsAreCopied(_ leading: Int) throws {
    let base = try LanguageModel(directory: source).snapshot()
    try rewrite(leading: leading)
    let loaded = try LoadedModel(mapping: source)
    #expect(loaded.model.mapped.isEmpty == (leading % 4 != 0))
    #expect(try loaded.model.snapshot() == base)
  }

  @Test func anotherComputeTypeIsCopied() throws {
    let loaded = try LoadedModel(mapping: source, dtype: .bfloat16)
    #expect(loaded.model.mapped.isEmpty)
    #expect(try loaded.model.snapshot() == LoadedModel(directory: source, dtype: .bfloat16).model.snapshot())
  }

  /// A file replaced by rename while it is in use.
  @Test func replacedFileDoesNoHarm() throws {
    let loaded = try LoadedModel(mapping: source)
    let base = try LanguageModel(directory: source).snapshot()
    try FileSystem.writeAtomically("gone", to: file)
    #expect(try loaded.model.snapshot() == base)
  }
}
