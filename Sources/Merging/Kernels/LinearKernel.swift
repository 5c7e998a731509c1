/// Weighted sums of models: `sum(w x) / sum(w)`, or without the division. In float32, in the order of the inputs.
///
/// Where all inputs agree, a normalised sum is what they agree on, bit for bit.
struct LinearKernel: Sendable {
  typealias Vector = SIMD8<Float>

  let weights: [Float]
  let normalizes: Bool

  /// - Parameter count: of elements; all arrays have room for whole vectors.
  func combine(_ inputs: [UnsafePointer<Float>], count: Int, into output: UnsafeMutablePointer<Float>) {
    guard let first = inputs.first else { return }
    let divisor = normalizes ? weights.reduce(0, +) : 1
    let target = UnsafeMutableRawPointer(output)
    weights.withUnsafeBufferPointer { weights in
      inputs.withUnsafeBufferPointer { inputs in
        for offset in stride(from: 0, to: count &* 4, by: MemoryLayout<Vector>.size) {
          let reference = TaskVectorKernel.load(first, offset)
          let bits = unsafeBitCast(reference, to: SIMD8<UInt32>.self)
          var sum = Vector.zero
          var isSame = SIMDMask<SIMD8<Int32>>(repeating: normalizes)
          for input in 0..<weights.count {
            let values = TaskVectorKernel.load(inputs[input], offset)
            isSame = isSame .& (unsafeBitCast(values, to: SIMD8<UInt32>.self) .== bits)
            sum += values * weights[input]
          }
          var result = sum / divisor
          result.replace(with: reference, where: isSame)
          target.storeBytes(of: result, toByteOffset: offset, as: Vector.self)
        }
      }
    }
  }
}
