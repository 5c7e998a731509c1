internal import CTorch

/// Kernels of the decoder's layers. N tokens, D width, F intermediate width, V vocabulary, H query heads,
/// K key/value heads, E head size.
public enum Kernels {
  /// `y = x / sqrt(mean(x^2) + epsilon) * w`. `rstdN` is kept for backward.
  public static func rmsNorm(_ xND: Tensor, weight wD: Tensor, epsilon: Double, into yND: Tensor, rstd rstdN: Tensor)
    throws
  {
    try check(ct_rms_norm(xND.handle, wD.handle, epsilon, yND.handle, rstdN.handle), xND, wD, yND, rstdN)
  }

  /// `dx += ...`, and `dw += ...` where given.
  public static func rmsNormBackward(
    _ dyND: Tensor, input xND: Tensor, weight wD: Tensor, rstd rstdN: Tensor, accumulating dxND: Tensor,
    weightGradient dwD: Tensor?
  ) throws {
    try check(
      ct_rms_norm_backward(dyND.handle, xND.handle, wD.handle, rstdN.handle, dxND.handle, dwD?.handle),
      dyND, xND, wD, rstdN, dxND, dwD)
  }

  /// Rotates every head of `x` (rows `[N, heads E]`, possibly columns of a wider matrix) in place; `inverse` rotates back.
  public static func rotate(
    _ x: Tensor, heads: Int, cosine: Tensor, sine: Tensor, positions: Tensor, inverse: Bool = false
  ) throws {
    try check(
      ct_rotary(x.handle, Int64(heads), cosine.handle, sine.handle, positions.handle, inverse), x, cosine, positions)
  }

  /// `h = silu(gu[:, :F]) * gu[:, F:]`.
  public static func swiGLU(_ gu: Tensor, into h: Tensor) throws { try check(ct_swiglu(gu.handle, h.handle), gu, h) }

  /// Replaces `gu` by its gradient, and the gradient of `h` by `h`, computed again.
  public static func swiGLUBackward(_ gu: Tensor, gradientToOutput h: Tensor) throws {
    try check(ct_swiglu_backward(gu.handle, h.handle), gu, h)
  }

  /// `out = source / (1 - probability)`, or 0 with that probability: the same elements for the same seed and kind of device,
  /// so that a gradient goes through the same call. `out` may be `source`.
  public static func dropout(_ source: Tensor, probability: Double, seed: UInt64, into out: Tensor) throws {
    try check(ct_dropout(source.handle, probability, seed, out.handle), source, out)
  }

  /// `losses[i] = -log softmax(logits[i])[targets[i]]`; with `gradientScale`, logits become `scale * (softmax - onehot)`.
  public static func crossEntropy(_ logits: Tensor, targets: Tensor, gradientScale: Double?, losses: Tensor) throws {
    try check(
      ct_cross_entropy(logits.handle, targets.handle, gradientScale != nil, gradientScale ?? 0, losses.handle),
      logits, targets, losses)
  }

  /// Whether ``sampledProduct(_:turned:inputs:index:rowStart:accumulating:into:)`` exists for the type and device.
  public static func canSampleProducts(_ dtype: DType, on device: Device) -> Bool {
    dtype == .float32 && device == .cpu
  }

  /// Elements that ``turnInputs(_:into:)`` writes for `rows` tokens of `width` inputs.
  public static func turnedSize(rows: Int, width: Int) -> Int { Int(ct_turned_size(Int64(rows), Int64(width))) }

  /// A layer's input `[N, I]`, laid out for sampled products; `turned` has at least ``turnedSize(rows:width:)`` elements.
  public static func turnInputs(_ xNI: Tensor, into turned: Tensor) throws {
    try check(ct_turn_inputs(xNI.handle, turned.handle), xNI, turned)
  }

  /// `out[e] = sum over n of dy[n, o] x[n, i]`, or `+=`, for the entries `index[e] = o I + i`, which ascend. `dyNO` may be
  /// columns of a wider matrix; `index` int32 `[k]`, `rowStart` int32 `[O + 1]`, `out` float32 `[k]`.
  public static func sampledProduct(
    _ dyNO: Tensor, turned: Tensor, inputs: Int, index: Tensor, rowStart: Tensor, accumulating: Bool, into out: Tensor
  ) throws {
    try check(
      ct_sampled_product(
        dyNO.handle, turned.handle, Int64(inputs), index.handle, rowStart.handle, accumulating, out.handle),
      dyNO, turned, index, rowStart, out)
  }

  /// Causal attention inside each packed sequence. `qkv` `[N, (H + 2K) E]`, `offsets` `[B + 1]`, `window` 0 for none.
  ///
  /// - Parameter deviceOffsets: the offsets on a device that is not the CPU, int32 `[B + 1]`.
  public static func attention(
    qkv: Tensor, offsets: [Int32], deviceOffsets: Tensor? = nil, heads: Int, keyValueHeads: Int, window: Int,
    into out: Tensor, logSumExp: Tensor
  ) throws {
    try check(
      ct_attention(
        qkv.handle, offsets, Int32(clamping: offsets.count - 1), deviceOffsets?.handle, Int64(heads),
        Int64(keyValueHeads), Int64(window), out.handle, logSumExp.handle), qkv, out, logSumExp)
  }

  /// `dqkv` is overwritten.
  public static func attentionBackward(
    _ dout: Tensor, qkv: Tensor, output: Tensor, logSumExp: Tensor, offsets: [Int32], deviceOffsets: Tensor? = nil,
    heads: Int, keyValueHeads: Int, window: Int, into dqkv: Tensor
  ) throws {
    try check(
      ct_attention_backward(
        dout.handle, qkv.handle, output.handle, logSumExp.handle, offsets, Int32(clamping: offsets.count - 1),
        deviceOffsets?.handle, Int64(heads), Int64(keyValueHeads), Int64(window), dqkv.handle), dout, qkv, output,
      logSumExp, dqkv)
  }

  /// `cache[slots[b], places[b]] = rows[b]`: one token's keys or values. `rows` `[B, K E]`, `cache` `[S, T, K, E]`.
  public static func append(_ rows: Tensor, to cache: Tensor, slots: [Int32], places: [Int32]) throws {
    guard slots.count == rows.shape.first, places.count == slots.count else {
      throw TorchError.invalidArgument(
        message: "cache append: one slot and place a row is needed", shapes: [rows.shape])
    }
    try check(ct_cache_append(cache.handle, rows.handle, slots, places), cache, rows)
  }

  /// One new token for each sequence against its cache. `q` `[B, H E]`; `keys`, `values` `[S, T, K, E]`;
  /// `slots` and `lengths` `[B]`.
  public static func attentionDecode(
    q: Tensor, keys: Tensor, values: Tensor, slots: [Int32], lengths: [Int32], window: Int, into out: Tensor
  ) throws {
    guard slots.count == q.shape.first, lengths.count == slots.count else {
      throw TorchError.invalidArgument(
        message: "attention decode: one slot and length a row is needed", shapes: [q.shape])
    }
    try check(
      ct_attention_decode(q.handle, keys.handle, values.handle, slots, lengths, Int64(window), out.handle),
      q, keys, out)
  }
}
