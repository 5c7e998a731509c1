public import Torch

/// The trained weights of one tensor: where they are, and their values as stored.
public struct AdapterEntries: Equatable, Sendable {
  public let name: String
  public let dtype: DType
  /// Flat row-major indices, strictly ascending.
  public let indices: [Int32]
  /// One element of `dtype` for each index, little-endian.
  public let values: [UInt8]

  package init(name: String, dtype: DType, indices: [Int32], values: [UInt8]) {
    precondition(values.count == indices.count * dtype.byteCount, "\(values.count) bytes for \(indices.count) weights")
    self.name = name
    self.dtype = dtype
    self.indices = indices
    self.values = values
  }

  /// Writes the trained values into a tensor's bytes.
  ///
  /// - Precondition: every index lies inside `tensor`.
  public func scatter(into tensor: UnsafeMutableRawBufferPointer) {
    scatter(values, into: tensor)
  }

  /// Writes other values to the same places: those that ``gather(from:)`` read there before, to remove the adapter.
  ///
  /// - Precondition: as many values as indices, and every index lies inside `tensor`.
  public func scatter(_ values: [UInt8], into tensor: UnsafeMutableRawBufferPointer) {
    let size = dtype.byteCount
    precondition(values.count == indices.count * size, "\(values.count) bytes for \(indices.count) weights")
    checkRange(elements: tensor.count / size)
    values.withUnsafeBytes { values in
      scatter(values, positions: 0..<indices.count, into: tensor, firstElement: 0)
    }
  }

  /// The tensor's present values at the indices, as stored.
  ///
  /// - Precondition: every index lies inside `tensor`.
  public func gather(from tensor: UnsafeRawBufferPointer) -> [UInt8] {
    checkRange(elements: tensor.count / dtype.byteCount)
    return gatherElements(at: indices, size: dtype.byteCount, from: tensor)
  }

  /// Writes the values of `positions` into a part of the tensor that begins at `firstElement`.
  func scatter(
    _ values: UnsafeRawBufferPointer, positions: Range<Int>, into part: UnsafeMutableRawBufferPointer,
    firstElement: Int
  ) {
    guard let source = values.baseAddress, let target = part.baseAddress else { return }
    let size = dtype.byteCount
    indices.withUnsafeBufferPointer { indices in
      switch size {
      case 4:
        for position in positions {
          target.storeBytes(
            of: source.loadUnaligned(fromByteOffset: position &* 4, as: UInt32.self),
            toByteOffset: (Int(indices[position]) &- firstElement) &* 4, as: UInt32.self)
        }
      case 2:
        for position in positions {
          target.storeBytes(
            of: source.loadUnaligned(fromByteOffset: position &* 2, as: UInt16.self),
            toByteOffset: (Int(indices[position]) &- firstElement) &* 2, as: UInt16.self)
        }
      default:
        for position in positions {
          (target + (Int(indices[position]) - firstElement) * size).copyMemory(
            from: source + position * size, byteCount: size)
        }
      }
    }
  }

  /// The indices ascend, so that the ends tell for all.
  private func checkRange(elements: Int) {
    guard let first = indices.first, let last = indices.last else { return }
    precondition(first >= 0 && Int(last) < elements, "index \(last) is outside tensor \(name) of \(elements) elements")
  }
}

/// Elements of `size` bytes at ascending positions inside `tensor`.
func gatherElements(at indices: [Int32], size: Int, from tensor: UnsafeRawBufferPointer) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: indices.count * size) { buffer, initialized in
    initialized = indices.count * size
    guard let source = tensor.baseAddress, let start = buffer.baseAddress else { return }
    let target = UnsafeMutableRawPointer(start)
    switch size {
    case 4:
      for (position, index) in indices.enumerated() {
        target.storeBytes(
          of: source.loadUnaligned(fromByteOffset: Int(index) &* 4, as: UInt32.self),
          toByteOffset: position &* 4, as: UInt32.self)
      }
    case 2:
      for (position, index) in indices.enumerated() {
        target.storeBytes(
          of: source.loadUnaligned(fromByteOffset: Int(index) &* 2, as: UInt16.self),
          toByteOffset: position &* 2, as: UInt16.self)
      }
    default:
      for (position, index) in indices.enumerated() {
        (target + position * size).copyMemory(from: source + Int(index) * size, byteCount: size)
      }
    }
  }
}
