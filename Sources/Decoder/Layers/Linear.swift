package import Torch

/// `y = x W' + b`, where W may stack several matrices that share their input (q, k and v; gate and up), so that one
/// matrix product serves them all.
///
/// N rows, I input width, O output width over all stacked parts.
///
/// With a low-rank addition (``LowRank``) all of this is of `y + s x A' B'`.
///
/// Backward: `dx = dy W`, `dW = dy' x`, `db = column sums of dy`. Nothing of its own is saved: the caller hands x back.
package struct Linear {
  package struct Part {
    package let weight: Parameter  // [O_part, I]
    package let bias: Parameter?  // [O_part]
    package let rows: Range<Int>

    package init(weight: Parameter, bias: Parameter?, rows: Range<Int>) {
      self.weight = weight
      self.bias = bias
      self.rows = rows
    }
  }

  let weightOI: Tensor
  let biasO: Tensor?
  package let parts: [Part]
  package var lowRank: LowRank?

  package init(weight: Tensor, bias: Tensor?, parts: [Part]) {
    weightOI = weight
    biasO = bias
    self.parts = parts
  }

  package var outputWidth: Int { weightOI.shape[0] }

  /// - Parameter rowwise: each row computed as it would be alone (``Tensor/setRowProduct(_:_:accumulating:)``).
  package func forward(
    _ xNI: Tensor, into yNO: Tensor, accumulating: Bool = false, rowwise: Bool = false, workspace: Workspace
  ) throws {
    if rowwise {
      try yNO.setRowProduct(xNI, weightOI, accumulating: accumulating)
    } else {
      try yNO.setProduct(xNI, weightOI, transposeB: true, accumulating: accumulating)
    }
    if let biasO { try yNO.add(biasO) }
    try lowRank?.forward(xNI, adding: yNO, rowwise: rowwise, workspace: workspace)
  }

  /// The gradient of the input where somebody needs it, with the weight as forward used it; call it before ``weightBackward(_:input:sink:workspace:)``,
  /// whose sink may update the weight.
  package func inputBackward(_ dyNO: Tensor, into dxNI: Tensor?, workspace: Workspace) throws {
    try dxNI?.setProduct(dyNO, weightOI)
    try lowRank?.inputBackward(dyNO, adding: dxNI, workspace: workspace)
  }

  package func weightBackward(_ dyNO: Tensor, input xNI: Tensor, sink: any GradientSink, workspace: Workspace) throws {
    let demands = parts.map { GradientDemand(sink, $0.weight) }
    func asking(_ demand: GradientDemand) -> [Part] { zip(parts, demands).filter { $0.1 == demand }.map(\.0) }
    try sampledBackward(dyNO, input: xNI, of: asking(.entries), sink: sink, workspace: workspace)
    let wanted = asking(.whole)
    if wanted.count == parts.count {
      let gradient = try workspace.buffer(.weightGradient, weightOI.shape)
      try gradient.setProduct(dyNO, xNI, transposeA: true)
      for part in parts { try sink.consume(try gradient.rows(part.rows), of: part.weight) }
    } else {
      for part in wanted {
        let gradient = try workspace.buffer(.weightGradient, part.weight.shape)
        try gradient.setProduct(try dyNO.columns(part.rows), xNI, transposeA: true)
        try sink.consume(gradient, of: part.weight)
      }
    }
    for part in parts {
      guard let bias = part.bias, sink.needsGradient(of: bias) else { continue }
      let gradient = try workspace.buffer(.vectorGradient, bias.shape)
      try gradient.fill(0)
      try gradient.accumulateColumnSums(of: try dyNO.columns(part.rows))
      try sink.consume(gradient, of: bias)
    }
    try lowRank?.weightBackward(dyNO, input: xNI, sink: sink, workspace: workspace)
  }

  /// The input is laid out once for all parts.
  private func sampledBackward(
    _ dyNO: Tensor, input xNI: Tensor, of parts: [Part], sink: any GradientSink, workspace: Workspace
  ) throws {
    guard !parts.isEmpty else { return }
    let inputs = xNI.shape[1]
    let turned = try workspace.buffer(.turnedInput, [Kernels.turnedSize(rows: xNI.shape[0], width: inputs)])
    try Kernels.turnInputs(xNI, into: turned)
    for part in parts {
      guard let entries = try sink.entries(of: part.weight) else { continue }
      try Kernels.sampledProduct(
        try dyNO.columns(part.rows), turned: turned, inputs: inputs, index: entries.index, rowStart: entries.rowStart,
        accumulating: entries.accumulates, into: entries.gradient)
      try sink.consumeEntries(of: part.weight)
    }
  }
}
