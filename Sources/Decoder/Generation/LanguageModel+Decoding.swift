internal import Checkpoints
package import Torch

extension LanguageModel {
  /// Whether prompts that are read together come out as each would by itself.
  package var readsPromptsRowwise: Bool { device == .cpu && dtype == .float32 && Tensor.rowProductSuitsMany }

  /// Runs prompts through the model and fills `slots` of the cache. Logits after each prompt's last token, `[B, V]`.
  package func prefill(_ sequences: PackedSequences, slots: [Int], cache: KeyValueCache) throws -> Tensor {
    let hidden = try prefillStates(sequences, slots: slots, cache: cache)
    let lastRows = sequences.offsets.dropFirst().map { Int64($0) - 1 }
    return try head.logits(hidden, rows: try Tensor.from(lastRows, on: device), rowwise: true, workspace: workspace)
  }

  /// The same up to the hidden states of every token, `[N, D]`; nil: nothing is kept for later tokens.
  func prefillStates(_ sequences: PackedSequences, slots: [Int], cache: KeyValueCache?) throws -> Tensor {
    try rotary.prepare(length: sequences.longest)
    try cache?.reserve(sequences.longest)
    let shape = [sequences.tokenCount, configuration.hiddenSize]
    var hidden = try workspace.buffer(.residual, layer: 0, shape)
    try hidden.setRows(of: embeddingVD.value, at: sequences.tokens)
    for (layer, block) in blocks.enumerated() {
      let output = try workspace.buffer(.residual, layer: (layer + 1) % 2, shape)
      let saved = try block.forward(
        hidden, sequences: sequences, layer: 0, into: output, rowwise: readsPromptsRowwise, workspace: workspace)
      if let cache {
        try store(saved.attention.qkvNQ, sequences: sequences, slots: slots, layer: layer, cache: cache)
      }
      hidden = output
    }
    for (index, slot) in slots.enumerated() {
      cache?.setLength(Int(sequences.offsets[index + 1] - sequences.offsets[index]), slot: slot)
    }
    return hidden
  }

  /// Appends one token to each of `slots` and returns the logits after it, `[B, V]`; a buffer the next call overwrites.
  package func decode(_ tokens: [Int], slots: [Int], cache: KeyValueCache) throws -> Tensor {
    let places = slots.map { cache.lengths[$0] }
    let hidden = try append(tokens, slots: slots, places: places, rowwise: true, cache: cache)
    let rows = try Tensor.from((0..<Int64(tokens.count)).map { $0 }, on: device)
    return try head.logits(hidden, rows: rows, rowwise: true, workspace: workspace)
  }

  /// Appends tokens one after another to a single slot, all in one pass, and returns the logits after the last, `[1, V]`;
  /// a buffer the next call overwrites.
  ///
  /// - Throws: ``DecoderError`` for no tokens, or ids outside the vocabulary.
  package func extend(_ tokens: [Int], slot: Int, cache: KeyValueCache) throws -> Tensor {
    guard !tokens.isEmpty else { throw DecoderError.emptySequence(index: 0) }
    for token in tokens where token < 0 || token >= configuration.vocabularySize {
      throw DecoderError.tokenOutsideVocabulary(token: token, vocabularySize: configuration.vocabularySize)
    }
    let start = cache.lengths[slot]
    let places = tokens.indices.map { start + Int32(clamping: $0) }
    let hidden = try append(tokens, slots: tokens.map { _ in slot }, places: places, cache: cache)
    let last = try Tensor.from([Int64(tokens.count - 1)], on: device)
    return try head.logits(hidden, rows: last, rowwise: true, workspace: workspace)
  }

  /// Hidden states `[B, D]` of tokens at their places in cache slots, where each sees what stands before it in its slot.
  ///
  /// - Parameter rowwise: Each row as it would be alone, whatever else is appended; nil: where there are few.
  func append(
    _ tokens: [Int], slots: [Int], places: [Int32], rowwise: Bool? = nil, cache: KeyValueCache
  ) throws -> Tensor {
    let lengths = places.map { $0 + 1 }
    let longest = Int(lengths.max() ?? 0)
    try rotary.prepare(length: longest)
    try cache.reserve(longest)
    let positions = try Tensor.from(places.map(Int64.init), on: device)
    let hidden = try workspace.buffer(.residual, layer: 0, [tokens.count, configuration.hiddenSize])
    try hidden.setRows(of: embeddingVD.value, at: try Tensor.from(tokens.map(Int64.init), on: device))
    let place = DecodingPlace(
      slots: slots.map(Int32.init(clamping:)), places: places, lengths: lengths, positions: positions,
      rowwise: rowwise ?? (tokens.count <= 32))
    for (layer, block) in blocks.enumerated() {
      try block.decode(hidden, at: place, layer: layer, cache: cache, workspace: workspace)
    }
    for (slot, length) in zip(slots, lengths) { cache.setLength(Int(length), slot: slot) }
    return hidden
  }

  private func store(
    _ qkvNQ: Tensor, sequences: PackedSequences, slots: [Int], layer: Int, cache: KeyValueCache
  ) throws {
    let attention = blocks[layer].attention
    let keys = try qkvNQ.columns(attention.keyColumns)
    let values = try qkvNQ.columns(attention.valueColumns)
    for (index, slot) in slots.enumerated() {
      let rows = Int(sequences.offsets[index])..<Int(sequences.offsets[index + 1])
      try cache.store(keys: try keys.rows(rows), values: try values.rows(rows), layer: layer, slot: slot)
    }
  }
}

/// Where one decoding step's B tokens go: one in each of several slots, or several in one.
struct DecodingPlace {
  let slots: [Int32]
  /// Each token's place in its cache slot.
  let places: [Int32]
  /// Tokens visible to each, itself included.
  let lengths: [Int32]
  /// int64 `[B]`, the same as `places`, on the device.
  let positions: Tensor
  /// See ``Tensor/setRowProduct(_:_:accumulating:)``.
  let rowwise: Bool
}

extension Attention {
  var keyColumns: Range<Int> { queryWidth..<(queryWidth + keyWidth) }
  var valueColumns: Range<Int> { (queryWidth + keyWidth)..<(queryWidth + 2 * keyWidth) }

  func decode(
    _ xBD: Tensor, at place: DecodingPlace, layer: Int, cache: KeyValueCache, adding outputBD: Tensor,
    workspace: Workspace
  ) throws {
    let qkv = try projected(
      xBD, positions: place.positions, layer: 0, rowwise: place.rowwise, workspace: workspace)
    let (keys, values) = (cache.keys[layer], cache.values[layer])
    try Kernels.append(try qkv.columns(keyColumns), to: keys, slots: place.slots, places: place.places)
    try Kernels.append(try qkv.columns(valueColumns), to: values, slots: place.slots, places: place.places)
    let attended = try workspace.buffer(.attended, [xBD.shape[0], queryWidth])
    try Kernels.attentionDecode(
      q: try qkv.columns(0..<queryWidth), keys: keys, values: values, slots: place.slots, lengths: place.lengths,
      window: window, into: attended)
    try output.forward(
      attended, into: outputBD, accumulating: true, rowwise: place.rowwise, workspace: workspace)
  }
}

extension TransformerBlock {
  /// The layer for new tokens; `hiddenBD` is updated in place.
  func decode(
    _ hiddenBD: Tensor, at place: DecodingPlace, layer: Int, cache: KeyValueCache, workspace: Workspace
  ) throws {
    let normalized = try workspace.buffer(.normalized, hiddenBD.shape)
    let rstd = try workspace.buffer(.rstd, [hiddenBD.shape[0]], workspace.statisticsType)
    try attentionNorm.forward(hiddenBD, into: normalized, rstd: rstd)
    try attention.decode(
      normalized, at: place, layer: layer, cache: cache, adding: hiddenBD, workspace: workspace)
    try feedForwardNorm.forward(hiddenBD, into: normalized, rstd: rstd)
    _ = try feedForward.forward(
      normalized, layer: 0, adding: hiddenBD, rowwise: place.rowwise, workspace: workspace)
  }
}
