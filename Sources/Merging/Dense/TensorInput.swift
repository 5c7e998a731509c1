internal import Checkpoints
internal import Tickets
internal import Torch

/// One input's weights in one tensor.
enum TensorInput: Sendable {
  case stored(Checkpoint)
  case entries(AdapterEntries)
  case lowRank(LowRankUpdate)

  /// Fills `values` with the tuned weights of `range`, as float32.
  func read(
    _ tensor: String, _ range: Range<Int>, base: UnsafePointer<Float>, into values: UnsafeMutablePointer<Float>
  ) throws {
    switch self {
    case .stored(let model):
      try model.readFloats(
        of: tensor, range: range, into: UnsafeMutableBufferPointer(start: values, count: range.count))
    case .entries(let entries):
      values.update(from: base, count: range.count)
      entries.change(values, first: range.lowerBound, count: range.count)
    case .lowRank(let update):
      values.update(from: base, count: range.count)
      update.add(to: values, range: range)
    }
  }
}

extension AdapterEntries {
  /// Turns widened base weights from element `first` on into tuned ones.
  func change(_ values: UnsafeMutablePointer<Float>, first: Int, count: Int) {
    var position = indices.partition(from: first)
    let end = first + count
    while position < indices.count, Int(indices[position]) < end {
      let place = Int(indices[position]) - first
      values[place] = Self.tuned(values[place], by: differences[position], dtype)
      position += 1
    }
  }

  /// The trained weight, from the base's and the difference of their stored patterns.
  @inline(__always)
  static func tuned(_ base: Float, by difference: UInt32, _ dtype: DType) -> Float {
    switch dtype {
    case .bfloat16: Float(bitPattern: base.bitPattern &+ difference &<< 16)
    case .float16:
      FloatCodec.widenFloat16(FloatCodec.narrowFloat16(base) &+ UInt16(truncatingIfNeeded: difference))
    default: Float(bitPattern: base.bitPattern &+ difference)
    }
  }
}

extension [Int32] {
  /// The first position whose value is at least `bound`, in an ascending array.
  func partition(from bound: Int) -> Int {
    var (lower, upper) = (0, count)
    while lower < upper {
      let middle = (lower + upper) / 2
      if Int(self[middle]) < bound { lower = middle + 1 } else { upper = middle }
    }
    return lower
  }
}

/// `scale * B A` of one matrix, B `[outputs, rank]` and A `[rank, inputs]` in float32.
struct LowRankUpdate: Sendable {
  let up: [Float]
  let down: [Float]
  let rank: Int
  let width: Int
  let scale: Float

  /// Adds it to the elements `range` of a row-major `[outputs, width]`.
  func add(to values: UnsafeMutablePointer<Float>, range: Range<Int>) {
    guard width > 0 else { return }
    var start = range.lowerBound
    down.withUnsafeBufferPointer { down in
      var sum = [Float](repeating: 0, count: width)
      while start < range.upperBound {
        let (row, column) = start.quotientAndRemainder(dividingBy: width)
        let length = min(width - column, range.upperBound - start)
        let target = values + (start - range.lowerBound)
        for index in 0..<length { sum[index] = 0 }
        sum.withUnsafeMutableBufferPointer { sum in
          for component in 0..<rank {
            let factor = up[row * rank + component]
            let source = component * width + column
            for index in 0..<length { sum[index] += factor * down[source + index] }
          }
          for index in 0..<length { target[index] += scale * sum[index] }
        }
        start += length
      }
    }
  }
}
