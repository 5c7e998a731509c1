import Primitives

/// Which rows each step trains on: a pure function of the step, so that a run resumes from its step number alone.
///
/// Every epoch has its own permutation, drawn from a stream of (seed, "order", epoch), or the file's order.
public struct BatchOrder: Equatable, Sendable {
  public enum Length: Equatable, Sendable {
    /// Full batches; one that reaches the end of the data goes on in the next epoch. Without shuffling, step `s` holds
    /// rows `(s * batchSize + i) % rowCount`.
    case steps(Int)
    /// Every row once an epoch; an epoch's last batch may be smaller. A fraction trains on that share of the last
    /// epoch's rows, rounded to the nearest row, at least one.
    case epochs(Double)
  }

  public let rowCount: Int
  public let batchSize: Int
  public let seed: UInt64
  public let shuffles: Bool
  public let length: Length

  public init(rowCount: Int, batchSize: Int, seed: UInt64, shuffles: Bool = true, length: Length) {
    precondition(rowCount > 0 && batchSize > 0, "\(rowCount) rows in batches of \(batchSize)")
    switch length {
    case .steps(let count): precondition(count >= 0, "\(count) steps")
    case .epochs(let count): precondition(count >= 0 && count < 1e6, "\(count) epochs")
    }
    self.rowCount = rowCount
    self.batchSize = batchSize
    self.seed = seed
    self.shuffles = shuffles
    self.length = length
  }

  public var stepCount: Int {
    switch length {
    case .steps(let count): return count
    case .epochs(let count):
      let (whole, rest) = Self.split(count, rowCount: rowCount)
      return whole * stepsPerEpoch + Self.ceilingDivision(rest, batchSize)
    }
  }

  /// Steps that visit every row once.
  public var stepsPerEpoch: Int { Self.ceilingDivision(rowCount, batchSize) }

  /// Indices of the rows of `step`, which counts from zero.
  public func rows(step: Int) -> [Int] { rows(step: step, order: permutation) }

  /// Calls `body` with the rows of every step; each epoch is shuffled once.
  func forEachStep(_ body: ([Int]) -> Void) {
    var shuffled = (epoch: -1, order: [Int]())
    for step in 0..<stepCount {
      body(
        rows(step: step) { epoch in
          if shuffled.epoch != epoch { shuffled = (epoch, permutation(epoch: epoch)) }
          return shuffled.order
        })
    }
  }

  /// - Parameter order: all rows of an epoch, in its order.
  private func rows(step: Int, order: (_ epoch: Int) -> [Int]) -> [Int] {
    precondition(step >= 0 && step < stepCount, "step \(step) of \(stepCount)")
    switch length {
    case .steps:
      return wrapping(from: step * batchSize, order: order)
    case .epochs(let count):
      let epoch = step / stepsPerEpoch
      let (whole, rest) = Self.split(count, rowCount: rowCount)
      let available = epoch < whole ? rowCount : rest
      let start = step % stepsPerEpoch * batchSize
      return Array(order(epoch)[start..<min(start + batchSize, available)])
    }
  }

  private func wrapping(from start: Int, order: (_ epoch: Int) -> [Int]) -> [Int] {
    var rows: [Int] = []
    rows.reserveCapacity(batchSize)
    var position = start
    while rows.count < batchSize {
      let order = order(position / rowCount)
      let first = position % rowCount
      let taken = order[first..<min(rowCount, first + batchSize - rows.count)]
      rows += taken
      position += taken.count
    }
    return rows
  }

  private func permutation(epoch: Int) -> [Int] {
    var order = Array(0..<rowCount)
    guard shuffles else { return order }
    var stream = RandomStream(seed: seed, purpose: "order", index: UInt64(epoch))
    stream.shuffle(&order)
    return order
  }

  /// Whole epochs, and the rows of a last partial one.
  private static func split(_ epochs: Double, rowCount: Int) -> (whole: Int, rest: Int) {
    let whole = Int(epochs.rounded(.down))
    let fraction = epochs - Double(whole)
    guard fraction > 0 else { return (whole, 0) }
    let rest = max(1, Int((fraction * Double(rowCount)).rounded()))
    return rest == rowCount ? (whole + 1, 0) : (whole, rest)
  }

  private static func ceilingDivision(_ value: Int, _ divisor: Int) -> Int { (value + divisor - 1) / divisor }
}
