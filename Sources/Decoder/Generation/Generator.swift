internal import Checkpoints
internal import Torch

/// Continues prompts with a key/value cache, many at a time.
///
/// A continuation depends on its prompt, the options and its number alone, not on what else runs beside it: every row of a prompt
/// or a decoding step is computed as if it were the only one (float32 on the CPU; elsewhere prompts are read one by one, and
/// steps depend on their neighbours as far as the device's matrix products do).
public struct Generator {
  /// Tokens of the prompts that one pass reads: a longer prompt has a pass of its own.
  private static let promptTokens = 1024

  private let model: LanguageModel

  public init(_ model: LanguageModel) { self.model = model }

  /// Continuations of all prompts, without prompt and stop token, in the prompts' order.
  ///
  /// At most `batchSize` run at a time; a finished one leaves the batch at once, and the next prompt in order takes its place.
  /// - Parameters:
  ///   - prompts: Token ids, at least one each.
  ///   - onToken: Called with the prompt's index and each new token as it is drawn; false ends that continuation.
  ///   - onFinish: Called with the prompt's index and its continuation when it has ended. The model may be used in it.
  /// - Throws: ``DecoderError`` for an empty prompt or ids outside the vocabulary; what `onFinish` throws.
  public func generate(
    _ prompts: [[Int]], options: SamplingOptions, batchSize: Int = .max,
    onToken: (_ prompt: Int, _ token: Int) -> Bool = { _, _ in true },
    onFinish: (_ prompt: Int, _ continuation: [Int]) throws -> Void = { _, _ in }
  ) throws -> [[Int]] {
    precondition(batchSize > 0, "a batch of \(batchSize)")
    guard !prompts.isEmpty else { return [] }
    try validate(prompts)
    let slots = min(batchSize, prompts.count)
    let longest = prompts.reduce(0) { max($0, $1.count) }
    let cache = try KeyValueCache(model: model, slots: slots, capacity: longest + min(options.maximumTokens, 256))
    var samplers = prompts.indices.map { Sampler(options, sequence: $0) }
    var continuations: [[Int]] = Array(repeating: [], count: prompts.count)
    var waiting = prompts.indices[...]
    var free = Array((0..<slots).reversed())
    var active: [Row] = []

    /// Takes in what was drawn, and keeps the rows that go on.
    func advance(_ rows: [Row], drawn: [Int]) throws -> [Row] {
      var going: [Row] = []
      for (row, token) in zip(rows, drawn) {
        var goesOn = false
        if !options.stopTokens.contains(token) {
          continuations[row.prompt].append(token)
          let wanted = onToken(row.prompt, token)
          goesOn = wanted && continuations[row.prompt].count < options.maximumTokens
        }
        if goesOn { going.append(Row(prompt: row.prompt, slot: row.slot, token: token)) } else { free.append(row.slot) }
      }
      for row in rows where !going.contains(where: { $0.prompt == row.prompt }) {
        try onFinish(row.prompt, continuations[row.prompt])
      }
      return going
    }

    while true {
      while !free.isEmpty, !waiting.isEmpty {
        var rows: [Row] = []
        var tokens = 0
        while let slot = free.last, let prompt = waiting.first, rows.isEmpty || fits(prompts[prompt].count + tokens) {
          free.removeLast()
          waiting.removeFirst()
          tokens += prompts[prompt].count
          rows.append(Row(prompt: prompt, slot: slot, token: 0))
        }
        let packed = try PackedSequences(
          rows.map { prompts[$0.prompt] }, vocabularySize: model.configuration.vocabularySize, device: model.device)
        let logits = try model.prefill(packed, slots: rows.map(\.slot), cache: cache)
        active += try advance(rows, drawn: try draw(from: logits, rows, &samplers))
      }
      guard !active.isEmpty else { return continuations }
      let logits = try model.decode(active.map(\.token), slots: active.map(\.slot), cache: cache)
      active = try advance(active, drawn: try draw(from: logits, active, &samplers))
    }
  }

  /// Whether prompts of so many tokens are read in one pass: where each comes out as it would by itself, and within bounds.
  private func fits(_ tokens: Int) -> Bool { model.readsPromptsRowwise && tokens <= Self.promptTokens }

  /// One continuation in the making, and its last token.
  private struct Row {
    let prompt: Int
    let slot: Int
    let token: Int
  }

  private func validate(_ prompts: [[Int]]) throws {
    let size = model.configuration.vocabularySize
    for (index, prompt) in prompts.enumerated() {
      guard !prompt.isEmpty else { throw DecoderError.emptySequence(index: index) }
      if let token = prompt.first(where: { $0 < 0 || $0 >= size }) {
        throw DecoderError.tokenOutsideVocabulary(token: token, vocabularySize: size)
      }
    }
  }

  private func draw(from logits: Tensor, _ rows: [Row], _ samplers: inout [Sampler]) throws -> [Int] {
    try logits.withRows { values in
      try zip(rows, values).map { row, logits in try samplers[row.prompt].next(logits) }
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
