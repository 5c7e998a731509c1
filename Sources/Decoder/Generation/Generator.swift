internal import Checkpoints
internal import Torch

/// Continues prompts with a key/value cache, many at a time.
public struct Generator {
  private let model: LanguageModel

  public init(_ model: LanguageModel) { self.model = model }

  /// Continuations of all prompts, without prompt and stop token, in the prompts' order.
  ///
  /// All prompts run together; a finished one leaves the batch, so it costs nothing more.
  /// - Parameters:
  ///   - prompts: Token ids, at least one each.
  ///   - onToken: Called with the prompt's index and each new token as it is drawn; false ends that continuation.
  /// - Throws: ``DecoderError`` for an empty prompt or ids outside the vocabulary.
  public func generate(
    _ prompts: [[Int]], options: SamplingOptions, onToken: (_ prompt: Int, _ token: Int) -> Bool = { _, _ in true }
  ) throws -> [[Int]] {
    guard !prompts.isEmpty else { return [] }
    let vocabulary = model.configuration.vocabularySize
    let packed = try PackedSequences(prompts, vocabularySize: vocabulary, device: model.device)
    let cache = try KeyValueCache(
      model: model, slots: prompts.count, capacity: packed.longest + min(options.maximumTokens, 256))
    var samplers = prompts.indices.map { Sampler(options, sequence: $0) }
    var continuations: [[Int]] = Array(repeating: [], count: prompts.count)
    var active = Array(prompts.indices)
    var logits = try model.prefill(packed, slots: active, cache: cache)
    while true {
      let drawn = try draw(from: logits, active: active, samplers: &samplers)
      var going: [(prompt: Int, token: Int)] = []
      for (prompt, token) in zip(active, drawn) where !options.stopTokens.contains(token) {
        continuations[prompt].append(token)
        let wanted = onToken(prompt, token)
        if wanted, continuations[prompt].count < options.maximumTokens { going.append((prompt, token)) }
      }
      guard !going.isEmpty else { return continuations }
      active = going.map(\.prompt)
      logits = try model.decode(going.map(\.token), slots: active, cache: cache)
    }
  }

  private func draw(from logits: Tensor, active: [Int], samplers: inout [Sampler]) throws -> [Int] {
    try logits.withRows { rows in
      try zip(active, rows).map { prompt, row in try samplers[prompt].next(row) }
    }
  }
}

extension Tensor {
  /// The rows of logits `[B, V]` as float32 in host memory.
  func withRows<Result>(_ body: ([UnsafeBufferPointer<Float>]) throws -> Result) throws -> Result {
    let (count, width) = (shape[0], shape[1])
    let host = dtype == .float32 && device == .cpu ? self : try converted(to: .float32, on: .cpu)
    return try host.withBytes { bytes in
      let values = UnsafeBufferPointer(bytes.bindMemory(to: Float.self))
      return try body((0..<count).map { UnsafeBufferPointer(rebasing: values[($0 * width)..<(($0 + 1) * width)]) })
    }
  }
}
