public import Torch

/// Name, element type and shape of one stored tensor.
public struct TensorDescription: Equatable, Hashable, Sendable {
  public let name: String
  public let dtype: DType
  public let shape: [Int]
  /// Product of `shape`; 1 for a scalar.
  public let elementCount: Int

  public var byteCount: Int { elementCount * dtype.byteCount }

  /// - Throws: ``CheckpointError/invalidShape(tensor:shape:)`` for a negative dimension or a size in bytes beyond `Int`.
  public init(name: String, dtype: DType, shape: [Int]) throws {
    guard let count = Self.elementCount(of: shape),
      !count.multipliedReportingOverflow(by: dtype.byteCount).overflow
    else {
      throw CheckpointError.invalidShape(tensor: name, shape: shape)
    }
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.elementCount = count
  }

  /// Product of `shape`, or nil for a negative dimension or a product beyond `Int`.
  package static func elementCount(of shape: [Int]) -> Int? {
    var count = 1
    for size in shape {
      guard size >= 0 else { return nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      if overflow { return nil }
      count = product
    }
    return count
  }
}

extension String {
  /// Order by UTF-8 bytes, which is the order of code points: the same on every platform and in Python.
  package func precedesInBytes(_ other: String) -> Bool {
    utf8.lexicographicallyPrecedes(other.utf8)
  }
}
