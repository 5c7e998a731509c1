import Checkpoints
import Decoder
import TestSupport
import Testing
import Torch

/// Tiny random models as transformers saves them, against transformers and autograd, each sequence run on its own there.
@Suite(.engine) struct ModelGoldenTests {
  @Test(arguments: Goldens.models) func logits(_ name: String) throws {
    let reference = try GoldenModel(name)
    let model = try reference.load()
    #expect(model.dtype == .float32)
    let logits: [Double] = try model.logits(try reference.sequences(model)).values()
    expectClose(logits, try reference.goldens.values("logits"), absolute: 5e-5, name)
  }

  @Test(arguments: Goldens.models) func lossesAndEveryGradient(_ name: String) throws {
    let reference = try GoldenModel(name)
    let model = try reference.load()
    let sink = RecordingSink()
    let sequences = try reference.sequences(model)
    let losses: [Double] = try model.backward(
      sequences, labels: try reference.labels(), scale: reference.scale, sink: sink
    ).values()
    let expected = try reference.goldens.values("losses")
    expectClose(losses, expected, absolute: 5e-5, name)
    expectClose(
      try model.losses(sequences, labels: try reference.labels()).values(), expected, absolute: 5e-5, name)
    let names = reference.goldens.file.tensors.map(\.name).filter { $0.hasPrefix("gradient.") }
    #expect(Set(names) == Set(model.parameters.map { "gradient." + $0.name }))
    for parameter in model.parameters {
      let gradient = try #require(sink.gradients[parameter.name])
      let errors = relativeErrors(gradient, try reference.goldens.values("gradient." + parameter.name))
      #expect(errors.maximum < 1e-4 && errors.norm < 1e-4, "\(name) \(parameter.name): \(errors)")
    }
  }

  /// float64 needs no tolerance for our own rounding, only for the reference's float32.
  @Test(arguments: Goldens.models) func float64(_ name: String) throws {
    let reference = try GoldenModel(name)
    let model = try reference.load(.float64)
    let sink = RecordingSink()
    _ = try model.backward(
      try reference.sequences(model), labels: try reference.labels(), scale: reference.scale, sink: sink)
    for parameter in model.parameters {
      let gradient = try #require(sink.gradients[parameter.name])
      let errors = relativeErrors(gradient, try reference.goldens.values("gradient." + parameter.name))
      #expect(errors.norm < 2e-5, "\(name) \(parameter.name): \(errors)")
    }
  }

  @Test(arguments: Goldens.models, [(DType.bfloat16, 0.05), (.float16, 0.01)])
  func halfPrecision(_ name: String, _ precision: (dtype: DType, tolerance: Double)) throws {
    let reference = try GoldenModel(name)
    let model = try reference.load(precision.dtype)
    #expect(model.dtype == precision.dtype)
    let sequences = try reference.sequences(model)
    let logits: [Double] = try model.logits(sequences).values()
    let errors = relativeErrors(logits, try reference.goldens.values("logits"))
    #expect(errors.norm < precision.tolerance, "\(errors)")
    let sink = RecordingSink()
    _ = try model.backward(sequences, labels: try reference.labels(), scale: reference.scale, sink: sink)
    for parameter in model.parameters {
      let gradient = try #require(sink.gradients[parameter.name])
      let errors = relativeErrors(gradient, try reference.goldens.values("gradient." + parameter.name))
      // Sums that nearly cancel, as the gradients of query biases do, keep fewer digits.
      #expect(errors.norm < 3 * precision.tolerance, "\(parameter.name): \(errors)")
    }
  }

  @Test(arguments: Goldens.models) func greedyContinuations(_ name: String) throws {
    let reference = try GoldenModel(name)
    let model = try reference.load()
    let options = try SamplingOptions(maximumTokens: 64)
    let prompts = try reference.prompts
    let expected = try reference.continuations
    #expect(try Generator(model).generate(prompts, options: options) == expected)
    for (prompt, continuation) in zip(prompts, expected) {  // One at a time as well.
      #expect(try Generator(model).generate([prompt], options: options) == [continuation])
    }
  }

  /// Prompt and cached steps give what one full pass gives, beyond the cache's first capacity.
  @Test(arguments: Goldens.models) func cachedDecodingEqualsFullForward(_ name: String) throws {
    let reference = try GoldenModel(name)
    let model = try reference.load()
    let sequences = zip(reference.offsets, reference.offsets.dropFirst()).map { start, end in
      reference.tokens[Int(start)..<Int(end)].map(Int.init)
    }.filter { $0.count > 3 }
    let full: [[Double]] = try sequences.map { try model.logits(try model.pack([$0])).values() }
    let width = model.configuration.vocabularySize
    let cache = try KeyValueCache(model: model, slots: sequences.count, capacity: 1)
    let heads = sequences.map { Array($0[..<2]) }
    let first: [Double] = try model.prefill(
      try model.pack(heads), slots: Array(sequences.indices), cache: cache
    ).values()
    for (index, expected) in full.enumerated() {
      let found = Array(first[(index * width)..<((index + 1) * width)])
      expectClose(found, Array(expected[width..<(2 * width)]), absolute: 5e-5, "\(name), prompt \(index)")
    }
    for place in 2..<(sequences.map(\.count).max() ?? 0) {
      let active = sequences.indices.filter { sequences[$0].count > place }
      let rows: [Double] = try model.decode(active.map { sequences[$0][place] }, slots: active, cache: cache).values()
      for (row, index) in active.enumerated() {
        let found = Array(rows[(row * width)..<((row + 1) * width)])
        let expected = Array(full[index][(place * width)..<((place + 1) * width)])
        expectClose(found, expected, absolute: 5e-5, "\(name), sequence \(index), place \(place)")
      }
    }
    #expect(cache.capacity >= sequences.map(\.count).max() ?? 0)
  }

  /// Packed or alone, first or last: the same sequence, the same logits.
  @Test(arguments: ["llama-tied", "mistral"]) func packingChangesNothing(_ name: String) throws {
    let reference = try GoldenModel(name)
    let model = try reference.load()
    let logits: [Double] = try model.logits(try reference.sequences(model)).values()
    let width = model.configuration.vocabularySize
    for (start, end) in zip(reference.offsets.map(Int.init), reference.offsets.dropFirst().map(Int.init)) {
      let alone: [Double] = try model.logits(try model.pack([reference.tokens[start..<end].map(Int.init)])).values()
      expectClose(alone, Array(logits[(start * width)..<(end * width)]), absolute: 1e-5, name)
    }
  }

  /// A model returns to its checkpoint, to the bit.
  @Test func loadingAgainRestoresTheBase() throws {
    let reference = try GoldenModel("mistral")
    let model = try reference.load()
    let before = try model.parameters.map { try $0.value.values(as: Float.self) }
    for parameter in model.parameters { try parameter.value.fill(0.125) }
    try model.load(try Checkpoint(directory: reference.directory))
    #expect(try model.parameters.map { try $0.value.values(as: Float.self) } == before)
  }
}
