import Checkpoints
import Foundation
import Merging
import TestSupport
import Testing
import Tickets
import Torch

/// A model in memory, small, with tensors inside and outside the layers.
struct SmallModel {
  static let shapes: [(name: String, shape: [Int])] = [
    ("model.embed_tokens.weight", [40, 12]),
    ("model.layers.0.self_attn.q_proj.weight", [12, 12]),
    ("model.layers.0.mlp.down_proj.weight", [12, 30]),
    ("model.layers.1.self_attn.q_proj.weight", [12, 12]),
    ("model.layers.1.mlp.down_proj.weight", [12, 30]),
    ("model.layers.2.mlp.down_proj.weight", [12, 30]),
    ("model.norm.weight", [12]),
  ]

  var dtype = DType.float32
  var values: [String: [Float]] = [:]

  static func random(seed: UInt64, dtype: DType = .float32) -> SmallModel {
    var generator = SeededGenerator(seed: seed)
    var model = SmallModel(dtype: dtype)
    for (name, shape) in shapes {
      model.values[name] = (0..<shape.reduce(1, *)).map { _ in Float(generator.next(below: 2048)) / 1024 - 1 }
    }
    // Bits that arithmetic would lose.
    model.values["model.norm.weight"]?[3] = -0.0
    model.values["model.norm.weight"]?[4] = .leastNonzeroMagnitude
    return model
  }

  /// The model after training: every weight moved a little, by changes of very different size.
  func tuned(seed: UInt64, scale: Float = 0.05) -> SmallModel {
    var generator = SeededGenerator(seed: seed)
    var model = self
    for (name, _) in Self.shapes {
      model.values[name] = (values[name] ?? []).map { value in
        let change = Float(generator.next(below: 4096)) / 2048 - 1
        return value + scale * change * change * change
      }
    }
    return model.rounded
  }

  /// Values as `dtype` holds them.
  var rounded: SmallModel {
    var model = self
    for (name, _) in Self.shapes { model.values[name] = widened(Adapter.storedValues(values[name] ?? [], as: dtype)) }
    return model
  }

  private func widened(_ stored: [UInt8]) -> [Float] {
    let count = stored.count / dtype.byteCount
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      stored.withUnsafeBytes {
        FloatCodec.decode($0, as: dtype, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      }
      initialized = count
    }
  }

  @discardableResult
  func write(to directory: String, vocabulary: Int = 40) throws -> String {
    try FileSystem.createDirectory(directory)
    let tensors = try Self.shapes.map { try TensorDescription(name: $0.name, dtype: dtype, shape: $0.shape) }
    let writer = try ShardedCheckpointWriter(directory: directory, tensors: tensors)
    for tensor in tensors {
      try Adapter.storedValues(values[tensor.name] ?? [], as: dtype).withUnsafeBytes {
        try writer.append(tensor.name, $0)
      }
    }
    try writer.finish()
    try FileSystem.writeAtomically(
      "{\"model_type\": \"llama\", \"vocab_size\": \(vocabulary), \"torch_dtype\": \"\(dtype.configurationName)\"}",
      to: FileSystem.join(directory, "config.json"))
    try FileSystem.writeAtomically(
      "{\"model\": {\"vocab\": {\"a\": 0, \"b\": 1}}}", to: FileSystem.join(directory, "tokenizer.json"))
    return directory
  }
}

extension Checkpoint {
  func allBytes() throws -> [String: [UInt8]] {
    try Dictionary(
      uniqueKeysWithValues: tensors.map { tensor in (tensor.name, try withBytes(of: tensor.name) { Array($0) }) })
  }
}

/// A base, fine-tunes of it and tickets, on disk.
struct MergeFixture {
  let directory: TemporaryDirectory
  let base: SmallModel
  let dtype: DType

  init(dtype: DType = .float32) throws {
    directory = try TemporaryDirectory()
    self.dtype = dtype
    base = SmallModel.random(seed: 1, dtype: dtype).rounded
    try base.write(to: directory("base"))
    for number in 1...3 { try base.tuned(seed: UInt64(number) + 10).write(to: directory("tuned\(number)")) }
  }

  var basePath: String { directory("base") }
  func tuned(_ number: Int) -> String { directory("tuned\(number)") }

  /// Every `stride`-th weight of the projections, from `offset` on, as `tuned` has it.
  func ticket(_ name: String, from tuned: Int, offset: Int, stride: Int) throws -> String {
    let path = directory(name)
    let model = try Checkpoint(directory: basePath)
    let entries = SmallModel.shapes.filter { $0.name.contains("proj") }.map { name, shape in
      let count = shape.reduce(1, *)
      return Mask.Entry(
        name: name, shape: shape, bits: BitMask((0..<count).map { $0 % stride == offset }))
    }
    let other = try Checkpoint(directory: self.tuned(tuned))
    try Adapter.write(to: path, base: model, mask: try Mask(entries: entries), provenance: .init(method: "test")) {
      tensor, indices in
      let size = tensor.dtype.byteCount
      return try other.withBytes(of: tensor.name) { bytes in
        indices.flatMap { Array(bytes[(Int($0) * size)..<((Int($0) + 1) * size)]) }
      }
    }
    return path
  }

  func recipe(
    _ method: String, _ inputs: [MergeRecipe.Input], _ parameters: [String: ParameterSetting] = [:], base: Bool = true,
    seed: UInt64 = 0
  ) throws -> MergeRecipe {
    MergeRecipe(
      method: try #require(MergeMethod(name: method)), base: base ? basePath : nil, inputs: inputs,
      parameters: parameters, seed: seed)
  }

  func merged(_ recipe: MergeRecipe, workers: Int = 2) throws -> [String: [UInt8]] {
    let path = directory("merged-\(UUID().uuidString)")
    try Merge(recipe, workerCount: workers).writeModel(to: path)
    defer { try? FileSystem.remove(path) }
    return try Checkpoint(directory: path).allBytes()
  }

  func values(_ merged: [String: [UInt8]], _ name: String) -> [Float] {
    let stored = merged[name] ?? []
    let count = stored.count / dtype.byteCount
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      stored.withUnsafeBytes {
        FloatCodec.decode($0, as: dtype, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      }
      initialized = count
    }
  }
}
