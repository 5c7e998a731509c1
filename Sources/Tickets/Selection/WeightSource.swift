/// Anything that can give a tensor's values piece by piece as float32: a checkpoint, or a live model.
///
/// Selection reads from several threads at once, and reads every tensor more than once; the values must not change
/// meanwhile.
public protocol WeightSource: Sendable {
  /// - Throws: when there is no such tensor.
  func shape(of name: String) throws -> [Int]

  /// Writes the elements `range`, in row-major order and converted to float32, to the start of `buffer`.
  func readFloats(of name: String, range: Range<Int>, into buffer: UnsafeMutableBufferPointer<Float>) throws

  /// Lends the elements `range` to `body`; a source that holds float32 values in memory may lend them without a copy.
  ///
  /// - Parameter scratch: room for at least `range.count` values.
  func withFloats<Result>(
    of name: String, range: Range<Int>, scratch: UnsafeMutableBufferPointer<Float>,
    _ body: (UnsafePointer<Float>) throws -> Result
  ) throws -> Result
}

extension WeightSource {
  public func withFloats<Result>(
    of name: String, range: Range<Int>, scratch: UnsafeMutableBufferPointer<Float>,
    _ body: (UnsafePointer<Float>) throws -> Result
  ) throws -> Result {
    let target = UnsafeMutableBufferPointer(rebasing: scratch[..<range.count])
    try readFloats(of: name, range: range, into: target)
    guard let start = scratch.baseAddress else { preconditionFailure("no room for \(range.count) values") }
    return try body(UnsafePointer(start))
  }
}

/// Zeros in another source's shapes: against it, the other's own values are ranked.
public struct ZeroWeights: WeightSource {
  private let shapes: any WeightSource

  public init(like shapes: any WeightSource) { self.shapes = shapes }

  public func shape(of name: String) throws -> [Int] { try shapes.shape(of: name) }

  public func readFloats(of name: String, range: Range<Int>, into buffer: UnsafeMutableBufferPointer<Float>) throws {
    for index in 0..<range.count { buffer[index] = 0 }
  }
}
