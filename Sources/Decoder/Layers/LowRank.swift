package import Torch

/// Low-rank addition to the parts of a ``Linear`` that share its input (LoRA, Hu et al. 2022): for each part
/// `y[:, rows] += s d(x) A' B'`, with A `[R, I]`, B `[O, R]`, a fixed scale s, and dropout d on the way in.
///
/// N rows, I input width, O outputs of a part, R rank, G parts handled by one product: all of them, since they share x, but
/// one at a time under dropout, which draws for every part anew.
///
/// Backward, with `u = s d(x) A'` and `v = s dy B`, both `[N, R]`: `dB = dy' u`, `dA = v' d(x)`, `dx += d(v A)`. No matrix of
/// the weight's own size appears. Nothing is saved: u costs a share of about R / O of the layer's product to compute again.
package struct LowRank {
  package struct Part {
    /// A, `[R, I]`: a view of the stack.
    package let down: Parameter
    /// B, `[O, R]`.
    package let up: Parameter
    /// The part's columns in y.
    package let rows: Range<Int>

    package init(down: Parameter, up: Parameter, rows: Range<Int>) {
      self.down = down
      self.up = up
      self.rows = rows
    }
  }

  /// What one product serves.
  private struct Group {
    let index: Int
    let parts: ArraySlice<Part>
    let downGRI: Tensor
  }

  package let parts: [Part]
  package let scale: Double
  package let dropout: Dropout
  /// All parts' A, one after another, `[parts R, I]`.
  private let stack: Tensor

  package init(parts: [Part], stack: Tensor, scale: Double, dropout: Dropout) {
    self.parts = parts
    self.stack = stack
    self.scale = scale
    self.dropout = dropout
  }

  package var rank: Int { stack.shape[0] / parts.count }

  /// `y += s d(x) A' B'`, part by part.
  package func forward(_ xNI: Tensor, adding yNO: Tensor, rowwise: Bool = false, workspace: Workspace) throws {
    for group in try groups {
      let inner = try inner(try dropped(xNI, group, workspace), group, rowwise: rowwise, workspace)
      for (place, part) in group.parts.enumerated() {
        let (target, source) = (try yNO.columns(part.rows), try columns(place, of: inner))
        if rowwise {
          try target.setRowProduct(source, part.up.value, accumulating: true)
        } else {
          try target.setProduct(source, part.up.value, transposeB: true, accumulating: true)
        }
      }
    }
  }

  /// `dx += d(v A)` where somebody needs dx. Leaves v in the workspace for ``weightBackward(_:input:sink:workspace:)``, which comes next.
  package func inputBackward(_ dyNO: Tensor, adding dxNI: Tensor?, workspace: Workspace) throws {
    for group in try groups {
      let gradient = try innerGradient(dyNO.shape[0], group, workspace)
      for (place, part) in group.parts.enumerated() {
        try columns(place, of: gradient).setProduct(try dyNO.columns(part.rows), part.up.value)
      }
      if scale != 1 { try gradient.scale(by: scale) }
      guard let dxNI else { continue }
      guard let seed = dropout.seed(of: group.parts) else {
        try dxNI.setProduct(gradient, group.downGRI, accumulating: true)
        continue
      }
      let dropped = try workspace.buffer(.droppedInput, dxNI.shape)
      try dropped.setProduct(gradient, group.downGRI)
      try Kernels.dropout(dropped, probability: dropout.probability, seed: seed, into: dropped)
      try dxNI.add(dropped)
    }
  }

  package func weightBackward(_ dyNO: Tensor, input xNI: Tensor, sink: any GradientSink, workspace: Workspace) throws {
    for group in try groups {
      // Both gradients are of A and B as forward used them, so u comes before the sink may update A.
      let input = try dropped(xNI, group, workspace)
      let inner = try inner(input, group, workspace)
      for (place, part) in group.parts.enumerated() where sink.needsGradient(of: part.up) {
        let gradient = try workspace.buffer(.weightGradient, part.up.shape)
        try gradient.setProduct(try dyNO.columns(part.rows), try columns(place, of: inner), transposeA: true)
        try sink.consume(gradient, of: part.up)
      }
      guard group.parts.contains(where: { sink.needsGradient(of: $0.down) }) else { continue }
      let gradient = try workspace.buffer(.weightGradient, group.downGRI.shape)
      try gradient.setProduct(try innerGradient(dyNO.shape[0], group, workspace), input, transposeA: true)
      for (place, part) in group.parts.enumerated() where sink.needsGradient(of: part.down) {
        try sink.consume(try gradient.rows((place * rank)..<((place + 1) * rank)), of: part.down)
      }
    }
  }

  // MARK: - Groups

  private var groups: [Group] {
    get throws {
      guard dropout.probability > 0 else { return [Group(index: 0, parts: parts[...], downGRI: stack)] }
      return try parts.indices.map { index in
        Group(index: index, parts: parts[index...index], downGRI: try stack.rows((index * rank)..<((index + 1) * rank)))
      }
    }
  }

  /// u of a group's parts, side by side: `[N, G R]`.
  private func inner(
    _ droppedNI: Tensor, _ group: Group, rowwise: Bool = false, _ workspace: Workspace
  ) throws -> Tensor {
    let inner = try workspace.buffer(.lowRank, [droppedNI.shape[0], group.downGRI.shape[0]])
    if rowwise {
      try inner.setRowProduct(droppedNI, group.downGRI)
    } else {
      try inner.setProduct(droppedNI, group.downGRI, transposeB: true)
    }
    if scale != 1 { try inner.scale(by: scale) }
    return inner
  }

  /// v of a group's parts, `[N, G R]`; it stays from one half of the backward pass to the other.
  private func innerGradient(_ count: Int, _ group: Group, _ workspace: Workspace) throws -> Tensor {
    try workspace.buffer(.lowRankGradient, layer: group.index, [count, group.downGRI.shape[0]])
  }

  private func columns(_ place: Int, of inner: Tensor) throws -> Tensor {
    try inner.columns((place * rank)..<((place + 1) * rank))
  }

  /// d(x); x itself where nothing falls out.
  private func dropped(_ xNI: Tensor, _ group: Group, _ workspace: Workspace) throws -> Tensor {
    guard let seed = dropout.seed(of: group.parts) else { return xNI }
    let dropped = try workspace.buffer(.droppedInput, xNI.shape)
    try Kernels.dropout(xNI, probability: dropout.probability, seed: seed, into: dropped)
    return dropped
  }
}
