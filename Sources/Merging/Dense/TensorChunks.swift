/// How a tensor is cut: chunks follow each other, all but the last of equal length.
struct TensorChunks: Equatable, Sendable {
  /// Three or four of these fit the second-level cache.
  static let targetLength = 1 << 16

  let elementCount: Int
  /// Elements of a row, all dimensions but the first; of a tensor with one dimension, all.
  let rowLength: Int
  let length: Int

  /// - Parameter wholeRows: rows must not be cut.
  init(shape: [Int], wholeRows: Bool, target: Int = Self.targetLength) {
    elementCount = shape.reduce(1, *)
    rowLength = max(1, shape.count > 1 ? shape.dropFirst().reduce(1, *) : elementCount)
    length = rowLength <= target ? target / rowLength * rowLength : wholeRows ? rowLength : target
  }

  var count: Int { (elementCount + length - 1) / length }

  func range(_ chunk: Int) -> Range<Int> { (chunk * length)..<min((chunk + 1) * length, elementCount) }
}
