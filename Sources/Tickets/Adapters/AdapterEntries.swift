package import Checkpoints
public import Torch

/// The trained weights of one tensor: where they are, and how they differ from the base's.
///
/// A difference is that of the bit patterns, read as integers, modulo 2^width: added to the base's pattern it gives the trained
/// weight, taken away from that it gives the base's, both bit for bit.
public struct AdapterEntries: Equatable, Sendable {
  public let name: String
  /// The base's element type: F32, BF16 or F16.
  public let dtype: DType
  /// Flat row-major indices, strictly ascending.
  public let indices: [Int32]
  /// One for each index; only the low 16 bits are used by 16-bit types.
  public let differences: [UInt32]

  package init(name: String, dtype: DType, indices: [Int32], differences: [UInt32]) {
    precondition(differences.count == indices.count, "\(differences.count) differences for \(indices.count) weights")
    self.name = name
    self.dtype = dtype
    self.indices = indices
    self.differences = differences
  }

  /// Turns a tensor's base weights into trained ones.
  ///
  /// - Precondition: every index lies inside `tensor`, which holds elements of `dtype`.
  public func add(to tensor: UnsafeMutableRawBufferPointer) {
    checkRange(elements: tensor.count / dtype.byteCount)
    change(tensor, firstElement: 0, positions: indices.indices, adding: true)
  }

  /// Turns trained weights back into the base's.
  ///
  /// - Precondition: as above.
  public func remove(from tensor: UnsafeMutableRawBufferPointer) {
    checkRange(elements: tensor.count / dtype.byteCount)
    change(tensor, firstElement: 0, positions: indices.indices, adding: false)
  }

  /// The weights at the indices, as stored: one element of `dtype` for each.
  ///
  /// - Precondition: every index lies inside `tensor`.
  public func gather(from tensor: UnsafeRawBufferPointer) -> [UInt8] {
    checkRange(elements: tensor.count / dtype.byteCount)
    return gatherElements(at: indices, size: dtype.byteCount, from: tensor)
  }

  /// A model file's weights at the indices, as stored; its pages do not stay in memory.
  ///
  /// - Throws: `CheckpointError` when the model has no such tensor.
  /// - Precondition: every index lies inside the tensor.
  package func gather(from model: Checkpoint) throws -> [UInt8] {
    try Adapter.storedWeights(of: model, tensor: try model.description(of: name), indices: indices)
  }

  /// Trained weights from the base's at the indices, both as ``gather(from:)`` gives them.
  ///
  /// - Precondition: one stored element for each index.
  public func trained(from base: [UInt8]) -> [UInt8] {
    precondition(base.count == indices.count * dtype.byteCount, "\(base.count) bytes for \(indices.count) weights")
    var stored = base
    stored.withUnsafeMutableBytes { bytes in
      for (position, difference) in differences.enumerated() {
        if dtype.byteCount == 4 {
          let pattern = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: position &* 4, as: UInt32.self))
          bytes.storeBytes(of: (pattern &+ difference).littleEndian, toByteOffset: position &* 4, as: UInt32.self)
        } else {
          let pattern = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: position &* 2, as: UInt16.self))
          bytes.storeBytes(
            of: (pattern &+ UInt16(truncatingIfNeeded: difference)).littleEndian, toByteOffset: position &* 2,
            as: UInt16.self)
        }
      }
    }
    return stored
  }

  /// Number of weights that both change.
  public func sharedCount(with other: AdapterEntries) -> Int { sharedIndexCount(indices, other.indices) }

  /// Adds or takes away the differences at `positions` in a part of the tensor that begins at `firstElement`.
  func change(
    _ part: UnsafeMutableRawBufferPointer, firstElement: Int, positions: Range<Int>, adding: Bool
  ) {
    guard let target = part.baseAddress else { return }
    let sign: UInt32 = adding ? 1 : .max
    indices.withUnsafeBufferPointer { indices in
      differences.withUnsafeBufferPointer { differences in
        if dtype.byteCount == 4 {
          for position in positions {
            let offset = (Int(indices[position]) &- firstElement) &* 4
            let pattern = UInt32(littleEndian: target.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            target.storeBytes(
              of: (pattern &+ sign &* differences[position]).littleEndian, toByteOffset: offset, as: UInt32.self)
          }
        } else {
          for position in positions {
            let offset = (Int(indices[position]) &- firstElement) &* 2
            let pattern = UInt16(littleEndian: target.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            let difference = UInt16(truncatingIfNeeded: sign &* differences[position])
            target.storeBytes(of: (pattern &+ difference).littleEndian, toByteOffset: offset, as: UInt16.self)
          }
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

/// How many indices two ascending lists share.
func sharedIndexCount(_ first: [Int32], _ second: [Int32]) -> Int {
  var (left, right, shared) = (0, 0, 0)
  while left < first.count, right < second.count {
    let (mine, theirs) = (first[left], second[right])
    if mine == theirs { shared += 1 }
    if mine <= theirs { left += 1 }
    if theirs <= mine { right += 1 }
  }
  return shared
}

/// Elements of `size` bytes at ascending positions inside `tensor`.
func gatherElements(at indices: [Int32], size: Int, from tensor: UnsafeRawBufferPointer) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: indices.count * size) { buffer, initialized in
    initialized = indices.count * size
    guard let source = tensor.baseAddress, let start = buffer.baseAddress else { return }
    let target = UnsafeMutableRawPointer(start)
    if size == 4 {
      for (position, index) in indices.enumerated() {
        target.storeBytes(
          of: source.loadUnaligned(fromByteOffset: Int(index) &* 4, as: UInt32.self),
          toByteOffset: position &* 4, as: UInt32.self)
      }
    } else {
      for (position, index) in indices.enumerated() {
        (target + position * size).copyMemory(from: source + Int(index) * size, byteCount: size)
      }
    }
  }
}

/// Differences of bit patterns between two lists of stored elements of `dtype`, an F32, BF16 or F16.
func patternDifferences(base: [UInt8], trained: [UInt8], dtype: DType) -> [UInt32] {
  base.withUnsafeBytes { base in
    trained.withUnsafeBytes { trained in
      if dtype.byteCount == 4 {
        return (0..<(base.count / 4)).map {
          UInt32(littleEndian: trained.loadUnaligned(fromByteOffset: 4 &* $0, as: UInt32.self))
            &- UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 4 &* $0, as: UInt32.self))
        }
      }
      return (0..<(base.count / 2)).map {
        UInt32(
          UInt16(littleEndian: trained.loadUnaligned(fromByteOffset: 2 &* $0, as: UInt16.self))
            &- UInt16(littleEndian: base.loadUnaligned(fromByteOffset: 2 &* $0, as: UInt16.self)))
      }
    }
  }
}

/// Stored elements of a floating-point `dtype` as float32.
func widened(_ stored: [UInt8], as dtype: DType) -> [Float] {
  let count = stored.count / dtype.byteCount
  return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
    stored.withUnsafeBytes {
      FloatCodec.decode($0, as: dtype, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
    }
    initialized = count
  }
}
