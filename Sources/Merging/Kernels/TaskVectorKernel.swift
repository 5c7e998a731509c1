/// Adds weighted task vectors to a base: `base + lambda * sum(w d) / divisor`.
///
/// With sign election (TIES) an entry's sign is that of `sum(w d)`, a sum of zero counting as positive; only entries `w d` of
/// that sign count, and the divisor is the sum of their weights. All in float32, in the order of the inputs.
///
/// Two cases do not go through arithmetic, so that they are exact: where no task vector counts, the result is the base's weight;
/// where one alone counts, with a factor of one in all, it is the tuned weight.
struct TaskVectorKernel: Sendable {
  typealias Vector = SIMD8<Float>

  /// What the inputs' task vectors are multiplied by.
  let weights: [Float]
  /// Whether an input's task vector is `tuned - base` where it is not zero.
  let isPlain: [Bool]
  let electsSign: Bool
  let normalizes: Bool
  let lambda: Float

  /// - Parameters:
  ///   - tuned: The inputs' weights; of `deltas` `tuned - base`, made sparse.
  ///   - count: of elements; all arrays have room for whole vectors.
  func combine(
    base: UnsafePointer<Float>, tuned: [UnsafePointer<Float>], deltas: [UnsafePointer<Float>], count: Int,
    into output: UnsafeMutablePointer<Float>
  ) {
    let total = weights.reduce(0, +)
    let fixed = normalizes ? (abs(total) < 1e-8 ? 1 : total) : 1
    let marks = zip(weights, isPlain).map { weight, isPlain -> Float in
      let divisor = electsSign && normalizes ? (weight == 0 ? 1 : weight) : fixed
      return isPlain && weight / divisor * lambda == 1 ? Self.exactMark : 0
    }
    let target = UnsafeMutableRawPointer(output)
    weights.withUnsafeBufferPointer { weights in
      marks.withUnsafeBufferPointer { marks in
        tuned.withUnsafeBufferPointer { tuned in
          deltas.withUnsafeBufferPointer { deltas in
            let inputs = 0..<weights.count
            // Masks are only compared into and selected by: the operators that combine them work lane by lane.
            for offset in stride(from: 0, to: count &* 4, by: MemoryLayout<Vector>.size) {
              let old = Self.load(base, offset)
              var direction = Vector(repeating: 1)
              if electsSign {
                var sum = Vector.zero
                for input in inputs { sum += Self.load(deltas[input], offset) * weights[input] }
                direction = Vector(repeating: -1).replacing(with: 1, where: sum .>= 0)
              }
              var (mixed, divisor, owner) = (Vector.zero, Vector.zero, old)
              var (counted, mark) = (Vector.zero, Vector.zero)
              for input in inputs {
                let change = Self.load(deltas[input], offset) * weights[input]
                let counts = electsSign ? change * direction .> 0 : change .!= 0
                mixed.replace(with: mixed + change, where: counts)
                divisor.replace(with: divisor + weights[input], where: counts)
                owner.replace(with: Self.load(tuned[input], offset), where: counts)
                mark.replace(with: marks[input], where: counts)
                counted.replace(with: counted + 1, where: counts)
              }
              if electsSign, normalizes {
                divisor.replace(with: 1, where: divisor .== 0)
              } else {
                divisor = Vector(repeating: fixed)
              }
              var result = old + mixed / divisor * lambda
              result.replace(with: owner, where: counted + mark .== 1 + Self.exactMark)
              result.replace(with: old, where: counted .== 0)
              target.storeBytes(of: result, toByteOffset: offset, as: Vector.self)
            }
          }
        }
      }
    }
  }

  /// Added to the number of task vectors that count where the last of them would be exact alone.
  private static let exactMark: Float = 0.5

  /// `tuned - base`.
  ///
  /// - Returns: whether all of them are finite.
  static func subtract(
    _ base: UnsafePointer<Float>, from tuned: UnsafePointer<Float>, count: Int, into deltas: UnsafeMutablePointer<Float>
  ) -> Bool {
    let target = UnsafeMutableRawPointer(deltas)
    var largest = SIMD8<UInt32>.zero
    let whole = count & ~7
    for offset in stride(from: 0, to: whole &* 4, by: MemoryLayout<Vector>.size) {
      let difference = load(tuned, offset) - load(base, offset)
      target.storeBytes(of: difference, toByteOffset: offset, as: Vector.self)
      let bits = unsafeBitCast(difference, to: SIMD8<UInt32>.self) & 0x7FFF_FFFF
      largest.replace(with: bits, where: bits .> largest)
    }
    var isFinite = largest.max() < 0x7F80_0000
    for index in whole..<count {
      deltas[index] = tuned[index] - base[index]
      isFinite = isFinite && deltas[index].isFinite
    }
    return isFinite
  }

  @inline(__always)
  static func load(_ values: UnsafePointer<Float>, _ offset: Int) -> Vector {
    UnsafeRawPointer(values).loadUnaligned(fromByteOffset: offset, as: Vector.self)
  }
}
