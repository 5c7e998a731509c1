internal import Checkpoints
public import Decoder
public import Tickets
internal import Torch

extension LoRAAdapter {
  /// Adds `scale * B A` to the live weights, in float32 (float64 for a float64 model); check the base first.
  public func merge(into model: LanguageModel) throws {
    for module in modules {
      guard let weight = model.parameter(named: module.weightName)?.value else { continue }
      let wide: DType = weight.dtype == .float64 ? .float64 : .float32
      let down = try tensor(module.downName, wide, on: weight.device)
      let up = try tensor(module.upName, wide, on: weight.device)
      try up.scale(by: module.scale)
      let sum = weight.dtype == wide ? weight : try weight.converted(to: wide)
      try sum.setProduct(up, down, accumulating: true)
      if weight.dtype != wide { try weight.copy(from: sum) }
    }
  }

  private func tensor(_ name: String, _ dtype: DType, on device: Device) throws -> Tensor {
    let description = try file.description(of: name)
    let stored = try Tensor.empty(description.shape, description.dtype)
    try file.withBytes(of: name) { try stored.copyBytes(from: $0) }
    try file.adviseDone(with: name)
    return try stored.converted(to: dtype, on: device)
  }
}
