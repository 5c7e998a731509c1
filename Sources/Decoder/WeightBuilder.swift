internal import Checkpoints
internal import Torch

/// How a model's weights come into memory.
package enum WeightStorage: Sendable {
  case copied
  /// Embedding and head, which tickets leave alone, stay in the checkpoint's file where it has them in the type computed in, on
  /// the CPU: their pages are read when they are needed, and shared with the system's file cache. The file must not be
  /// rewritten or truncated in place meanwhile; one that is replaced by rename does no harm.
  case mapped
}

/// Allocates weights, stacks those that share an input, and lists them in model order.
struct WeightBuilder {
  let configuration: ModelConfiguration
  let dtype: DType
  let device: Device
  /// Where weights may lie in its file.
  let checkpoint: Checkpoint?
  var parameters: [Parameter] = []
  /// Names of parameters that lie in the checkpoint's file.
  var mapped: Set<String> = []

  init(_ configuration: ModelConfiguration, dtype: DType, device: Device, checkpoint: Checkpoint?) {
    self.configuration = configuration
    self.dtype = dtype
    self.device = device
    self.checkpoint = checkpoint
  }

  mutating func matrix(_ name: String, _ shape: [Int]) throws -> Parameter {
    let parameter = Parameter(name: name, value: try Tensor.empty(shape, dtype, on: device))
    parameters.append(parameter)
    return parameter
  }

  /// The embedding or the head, in the file where that is possible.
  mutating func vocabulary(_ name: String, _ shape: [Int]) throws -> Parameter {
    guard device.kind == .cpu, let checkpoint, let stored = try? checkpoint.description(of: name),
      stored.dtype == dtype, stored.shape == shape, let mapping = try checkpoint.privateMapping(of: name)
    else { return try matrix(name, shape) }
    let parameter = Parameter(name: name, value: try Tensor.over(mapping.bytes, shape, dtype, keeping: mapping))
    parameters.append(parameter)
    mapped.insert(name)
    return parameter
  }

  mutating func norm(_ name: String) throws -> RMSNorm {
    RMSNorm(weight: try matrix(name, [configuration.hiddenSize]), epsilon: configuration.rmsNormEpsilon)
  }

  /// One buffer for all parts; each part's parameter is a view of its rows.
  mutating func linear(_ parts: [(name: String, outputs: Int)], inputs: Int, bias hasBias: Bool) throws -> Linear {
    let total = parts.reduce(0) { $0 + $1.outputs }
    let weight = try Tensor.empty([total, inputs], dtype, on: device)
    let bias = hasBias ? try Tensor.empty([total], dtype, on: device) : nil
    var start = 0
    var built: [Linear.Part] = []
    for part in parts {
      let rows = start..<(start + part.outputs)
      let weightPart = Parameter(name: part.name + ".weight", value: try weight.rows(rows))
      let biasPart = try bias.map { Parameter(name: part.name + ".bias", value: try $0.rows(rows)) }
      parameters.append(weightPart)
      if let biasPart { parameters.append(biasPart) }
      built.append(Linear.Part(weight: weightPart, bias: biasPart, rows: rows))
      start = rows.upperBound
    }
    return Linear(weight: weight, bias: bias, parts: built)
  }

  mutating func block(_ layer: Int, rotary: RotaryEmbedding) throws -> TransformerBlock {
    let c = configuration
    let prefix = "model.layers.\(layer)."
    let queryWidth = c.headCount * c.headSize
    let keyWidth = c.keyValueHeadCount * c.headSize
    let attentionNorm = try norm(prefix + "input_layernorm.weight")
    let queryKeyValue = try linear(
      [
        (prefix + "self_attn.q_proj", queryWidth), (prefix + "self_attn.k_proj", keyWidth),
        (prefix + "self_attn.v_proj", keyWidth),
      ], inputs: c.hiddenSize, bias: c.hasQueryKeyValueBias)
    let output = try linear([(prefix + "self_attn.o_proj", c.hiddenSize)], inputs: queryWidth, bias: c.hasOutputBias)
    let feedForwardNorm = try norm(prefix + "post_attention_layernorm.weight")
    let gateUp = try linear(
      [(prefix + "mlp.gate_proj", c.intermediateSize), (prefix + "mlp.up_proj", c.intermediateSize)],
      inputs: c.hiddenSize, bias: c.hasMLPBias)
    let down = try linear([(prefix + "mlp.down_proj", c.hiddenSize)], inputs: c.intermediateSize, bias: c.hasMLPBias)
    let attention = Attention(
      queryKeyValue: queryKeyValue, output: output, rotary: rotary, heads: c.headCount,
      keyValueHeads: c.keyValueHeadCount, headSize: c.headSize, window: c.slidingWindow ?? 0)
    return TransformerBlock(
      attentionNorm: attentionNorm, attention: attention, feedForwardNorm: feedForwardNorm,
      feedForward: FeedForward(gateUp: gateUp, down: down))
  }
}
