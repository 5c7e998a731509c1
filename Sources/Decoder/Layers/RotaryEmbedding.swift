package import Checkpoints
internal import Foundation
package import Torch

/// Rotary position embedding (Su et al. 2021) in the half-split layout of Hugging Face, with the default, linear
/// (Chen et al. 2023) and llama3 (Dubey et al. 2024) frequencies.
///
/// Rotation by the negative angle is both the inverse and the gradient.
package final class RotaryEmbedding {
  /// Radians a position, [E/2]; rounded to float32, as the reference keeps them.
  package let frequencies: [Float]
  private let dtype: DType
  private let device: Device
  private var cosine: Tensor
  private var sine: Tensor
  private var tableLength: Int

  package init(_ configuration: ModelConfiguration, dtype: DType, device: Device) throws {
    frequencies = Self.frequencies(
      headSize: configuration.headSize, theta: configuration.ropeTheta, scaling: configuration.ropeScaling)
    self.dtype = dtype == .float64 ? .float64 : .float32
    self.device = device
    tableLength = 0
    cosine = try Tensor.empty([0, frequencies.count], self.dtype, on: device)
    sine = cosine
  }

  package static func frequencies(
    headSize: Int, theta: Double, scaling: ModelConfiguration.RopeScaling
  ) -> [Float] {
    let plain = stride(from: 0, to: headSize, by: 2).map { index in
      1 / Float(pow(theta, Double(index) / Double(headSize)))
    }
    switch scaling {
    case .none: return plain
    case .linear(let factor): return plain.map { $0 / Float(factor) }
    case .llama3(let factor, let low, let high, let original):
      return plain.map { frequency in
        let wavelength = 2 * Double.pi / Double(frequency)
        if wavelength > Double(original) / low { return Float(Double(frequency) / factor) }
        if wavelength < Double(original) / high { return frequency }
        let smooth = (Double(original) / wavelength - low) / (high - low)
        return Float((1 - smooth) * Double(frequency) / factor + smooth * Double(frequency))
      }
    }
  }

  /// Makes the tables long enough for positions below `length`.
  package func prepare(length: Int) throws {
    guard length > tableLength else { return }
    let rows = max(length, 2 * tableLength, 256)
    // The angle is rounded to float32 before its cosine is taken, as in the reference.
    let angles = (0..<rows).flatMap { position in frequencies.map { Double(Float(position) * $0) } }
    func table(_ function: (Double) -> Double) throws -> Tensor {
      let shape = [rows, frequencies.count]
      return dtype == .float64
        ? try Tensor.from(angles.map(function), shape: shape, on: device)
        : try Tensor.from(angles.map { Float(function($0)) }, shape: shape, on: device)
    }
    cosine = try table(cos)
    sine = try table(sin)
    tableLength = rows
  }

  /// Rotates rows `[N, heads E]` in place; `positions` int64 `[N]`, all below the prepared length.
  package func rotate(_ x: Tensor, heads: Int, positions: Tensor, inverse: Bool = false) throws {
    try Kernels.rotate(x, heads: heads, cosine: cosine, sine: sine, positions: positions, inverse: inverse)
  }
}
