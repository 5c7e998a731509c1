internal import Foundation

/// Spherical interpolation between two tensors seen as vectors; between nearly parallel ones, linear.
struct SphericalKernel: Sendable, Equatable {
  /// Sums over a part of the tensors.
  struct Sums: Sendable {
    var firstSquares = 0.0
    var secondSquares = 0.0
    var product = 0.0

    static func += (left: inout Sums, right: Sums) {
      left.firstSquares += right.firstSquares
      left.secondSquares += right.secondSquares
      left.product += right.product
    }

    init() {}

    init(_ first: UnsafePointer<Float>, _ second: UnsafePointer<Float>, count: Int) {
      for index in 0..<count {
        let (left, right) = (Double(first[index]), Double(second[index]))
        firstSquares += left * left
        secondSquares += right * right
        product += left * right
      }
    }
  }

  let first: Float
  let second: Float

  /// - Parameter arc: 0 gives the first, 1 the second.
  init(_ sums: Sums, arc: Double) {
    // Vectors of no length have no direction: they are taken as they are.
    let lengths = [sums.firstSquares, sums.secondSquares].map { $0.squareRoot() > 1e-8 ? $0.squareRoot() : 1 }
    let cosine = max(-1, min(1, sums.product / (lengths[0] * lengths[1])))
    guard abs(cosine) <= 0.9995 else {
      (first, second) = (Float(1 - arc), Float(arc))
      return
    }
    let angle = acos(cosine)
    (first, second) = (Float(sin((1 - arc) * angle) / sin(angle)), Float(sin(arc * angle) / sin(angle)))
  }

  func combine(
    _ left: UnsafePointer<Float>, _ right: UnsafePointer<Float>, count: Int, into output: UnsafeMutablePointer<Float>
  ) {
    // The ends are exact, signed zeros included.
    if second == 0, first == 1 { return output.update(from: left, count: count) }
    if first == 0, second == 1 { return output.update(from: right, count: count) }
    for index in 0..<count { output[index] = first * left[index] + second * right[index] }
  }
}
