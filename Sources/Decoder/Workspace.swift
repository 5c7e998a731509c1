package import Torch

/// Buffers that live from step to step, so that a step allocates nothing once the largest batch was seen.
///
/// Each slot holds one flat buffer that grows when needed; what a slot returns is a view of its beginning, contiguous and
/// uninitialised, valid until the same slot is asked for again.
package final class Workspace {
  /// What a buffer is for. Slots kept for backward exist once a layer.
  package enum Role: Hashable {
    case residual, middle, queryKeyValue, attended, logSumExp, gateUp  // kept for backward
    case normalized, rstd, hidden, hiddenGradient, queryKeyValueGradient, attendedGradient, inputGradient,
      weightGradient
    case labelHidden, labelNormalized, labelRstd, logits, losses, labelGradient, residualGradient, embeddingGradient
    case vectorGradient
  }

  private struct Slot: Hashable {
    let role: Role
    let layer: Int
  }

  let dtype: DType
  let device: Device
  private var buffers: [Slot: Tensor] = [:]

  package init(dtype: DType, device: Device) {
    self.dtype = dtype
    self.device = device
  }

  /// The type of sums and statistics: float64 for a float64 model, else float32.
  var statisticsType: DType { dtype == .float64 ? .float64 : .float32 }

  package func buffer(_ role: Role, layer: Int = 0, _ shape: [Int], _ dtype: DType? = nil) throws -> Tensor {
    let slot = Slot(role: role, layer: layer)
    let count = shape.reduce(1, *)
    let wanted = dtype ?? self.dtype
    if let held = buffers[slot], held.elementCount >= count, held.dtype == wanted {
      return try held.rows(0..<count).view(shape)
    }
    buffers[slot] = nil
    let fresh = try Tensor.empty([count], wanted, on: device)
    buffers[slot] = fresh
    return try fresh.view(shape)
  }
}
