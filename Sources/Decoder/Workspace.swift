package import Torch

/// Buffers that live from step to step, so that a step allocates nothing once the largest batch was seen or reserved.
///
/// Each slot holds one flat buffer that grows when needed; what a slot returns is a view of its beginning, contiguous and
/// uninitialised, valid until the same slot is asked for again, or another whose role shares its buffer.
/// ``WorkspaceLayout`` lists what training needs.
package final class Workspace {
  /// What a buffer is for. Slots kept for backward exist once a layer.
  package enum Role: Hashable {
    /// Kept for backward. The last layer's output gives way to its gradient, which then runs down the residual stream.
    case residual, middle, queryKeyValue, attended, logSumExp, gateUp
    /// In use between two products at most.
    case normalized, rstd, hidden, inputGradient, scratch, vectorGradient
    case labelRstd, losses, embeddingGradient
    case lowRank, lowRankGradient, droppedInput
    /// These share buffers of the above.
    case queryKeyValueGradient, labelStates, attendedGradient, logits, weightGradient, turnedInput

    /// The role whose buffer serves this one too: the two are never in use at the same time.
    package var home: Role {
      switch self {
      case .queryKeyValueGradient, .labelStates: .hidden
      case .attendedGradient: .inputGradient
      case .logits, .weightGradient, .turnedInput: .scratch
      default: self
      }
    }
  }

  package struct Slot: Hashable {
    package let role: Role
    package let layer: Int
  }

  let dtype: DType
  let device: Device
  private var buffers: [Slot: Tensor] = [:]

  package init(dtype: DType, device: Device) {
    self.dtype = dtype
    self.device = device
  }

  /// The type of sums and statistics: float64 for a float64 model, else float32.
  var statisticsType: DType { Self.statisticsType(for: dtype) }

  static func statisticsType(for dtype: DType) -> DType { dtype == .float64 ? .float64 : .float32 }

  package func buffer(_ role: Role, layer: Int = 0, _ shape: [Int], _ dtype: DType? = nil) throws -> Tensor {
    let slot = Slot(role: role.home, layer: layer)
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

  /// Holds the layout's buffers and no others. All that is too small or not in it is given up before anything is allocated:
  /// buffers that grew one by one would leave holes too small for their successors.
  package func reserve(_ layout: WorkspaceLayout) throws {
    buffers = buffers.filter { slot, held in
      layout.buffers[slot].map { held.elementCount >= $0.count && held.dtype == $0.dtype } ?? false
    }
    for (slot, wanted) in layout.buffers where buffers[slot] == nil {
      buffers[slot] = try Tensor.empty([wanted.count], wanted.dtype, on: device)
    }
  }

  /// Bytes of all buffers held.
  package var byteCount: Int { buffers.values.reduce(0) { $0 + $1.byteCount } }

  /// Bytes by role, of shared buffers under ``Role/home``, to compare with a layout.
  package var byteCounts: [Role: Int] {
    Dictionary(buffers.map { ($0.key.role, $0.value.byteCount) }, uniquingKeysWith: +)
  }
}
