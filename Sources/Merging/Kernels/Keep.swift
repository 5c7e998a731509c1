internal import Primitives

/// The `count` largest magnitudes of a tensor: those above a bit pattern, and of those equal to it the first ones.
///
/// Magnitudes of finite floats sort as their bit patterns do.
struct Cutoff: Equatable, Sendable {
  var pattern: UInt32
  /// The last index at which a magnitude equal to the pattern belongs to it.
  var lastTie: Int

  static let nothing = Cutoff(pattern: .max, lastTie: -1)
  static let everything = Cutoff(pattern: 0, lastTie: .max)

  @inline(__always)
  func holds(_ magnitude: UInt32, at index: Int) -> Bool {
    magnitude > pattern || (magnitude == pattern && index <= lastTie)
  }
}

/// Which entries of one input's task vector stay in a tensor, and what becomes of their size.
struct Keep: Sendable {
  enum Rule: Sendable {
    case all
    case nothing
    case largest(Cutoff)
    /// The largest, without those of the inner cutoff.
    case band(outer: Cutoff, inner: Cutoff)
    case random(RandomStream, density: Double)
    case sampled(RandomStream, density: Double, epsilon: Double)
  }

  var rule: Rule
  /// What the entries that stay are multiplied by.
  var factor: Float = 1
  /// Divide each by the probability with which it stays.
  var dividesByProbability = false

  /// Whether entries that stay keep their bits.
  var isPlain: Bool {
    if case .all = rule { return true }
    return factor == 1 && !dividesByProbability
  }

  /// Sets dropped entries to zero.
  ///
  /// - Parameters:
  ///   - first: index of the first entry in the tensor.
  ///   - rowLength: of the tensor; where rows matter, `deltas` holds whole ones.
  func apply(to deltas: UnsafeMutablePointer<Float>, first: Int, count: Int, rowLength: Int) {
    switch rule {
    case .all: return
    case .nothing: deltas.update(repeating: 0, count: count)
    case .largest(let cutoff): keepLargest(deltas, cutoff, first: first, count: count)
    case .band(let outer, let inner):
      for index in 0..<count {
        let magnitude = deltas[index].bitPattern & 0x7FFF_FFFF
        if !outer.holds(magnitude, at: first + index) || inner.holds(magnitude, at: first + index) { deltas[index] = 0 }
      }
    case .random(let stream, let density):
      let limit = UInt64(density * 0x1p32)
      for index in 0..<count where stream.half(at: first &+ index) >= limit { deltas[index] = 0 }
    case .sampled(let stream, let density, let epsilon):
      for start in stride(from: 0, to: count, by: rowLength) {
        sample(deltas + start, stream, first: first + start, count: min(rowLength, count - start), density, epsilon)
      }
    }
    let scale = factor * (dividesByProbability ? plainProbability : 1)
    if scale != 1 { for index in 0..<count { deltas[index] *= scale } }
  }

  /// One over the probability that all entries share.
  private var plainProbability: Float {
    if case .random(_, let density) = rule, density > 0 { return Float(1 / density) }
    return 1
  }

  private func keepLargest(_ deltas: UnsafeMutablePointer<Float>, _ cutoff: Cutoff, first: Int, count: Int) {
    guard cutoff.lastTie >= first, cutoff.lastTie < first + count else {
      // All ties here are on one side: one comparison, which vectorises.
      let least = cutoff.lastTie < first ? cutoff.pattern &+ (cutoff.pattern == .max ? 0 : 1) : cutoff.pattern
      for index in 0..<count {
        let bits = deltas[index].bitPattern
        deltas[index] = Float(bitPattern: bits & 0x7FFF_FFFF >= least ? bits : 0)
      }
      return
    }
    for index in 0..<count where !cutoff.holds(deltas[index].bitPattern & 0x7FFF_FFFF, at: first + index) {
      deltas[index] = 0
    }
  }

  /// MagPrune: the smallest of a row stays with probability `density - epsilon`, the largest with `density + epsilon`.
  private func sample(
    _ row: UnsafeMutablePointer<Float>, _ stream: RandomStream, first: Int, count: Int, _ density: Double,
    _ epsilon: Double
  ) {
    let order = [UInt64](unsafeUninitializedCapacity: count) { buffer, initialized in
      for index in 0..<count {
        buffer[index] = UInt64(row[index].bitPattern & 0x7FFF_FFFF) << 32 | UInt64(index)
      }
      initialized = count
      buffer.sort()
    }
    let step = count > 1 ? 2 * epsilon / Double(count - 1) : 0
    let lowest = count > 1 ? density - epsilon : density
    for (rank, key) in order.enumerated() {
      let index = Int(key & 0xFFFF_FFFF)
      let probability = lowest + Double(rank) * step
      if Double(stream.half(at: first + index)) * 0x1p-32 >= probability {
        row[index] = 0
      } else if dividesByProbability {
        row[index] = Float(Double(row[index]) / probability)
      }
    }
  }
}

extension RandomStream {
  /// 32 random bits for the entry at `index`; two entries share one number of the stream.
  @inline(__always)
  func half(at index: Int) -> UInt64 {
    let value = value(at: UInt64(index >> 1))
    return index & 1 == 0 ? value & 0xFFFF_FFFF : value >> 32
  }
}
