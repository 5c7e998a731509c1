private import Primitives

/// A seeded stream for tests, with what they draw from it.
package struct SeededGenerator: RandomNumberGenerator {
  private var stream: RandomStream

  package init(seed: UInt64) { stream = RandomStream(state: seed) }

  package mutating func next() -> UInt64 { stream.next() }

  /// Uniform in `0..<bound`.
  package mutating func next(below bound: UInt64) -> UInt64 { UInt64(stream.below(Int(bound))) }

  /// Uniform in `-scale..<scale`.
  package mutating func values(_ count: Int, scale: Double = 1) -> [Double] {
    (0..<count).map { _ in Double.random(in: -scale..<scale, using: &self) }
  }

  package mutating func tokens(_ count: Int, below limit: Int) -> [Int] {
    (0..<count).map { _ in Int.random(in: 0..<limit, using: &self) }
  }
}
