internal import CTorch

extension Tensor {
  /// The same elements under another shape; no copy. Strides must allow it.
  public func view(_ shape: [Int]) throws -> Tensor {
    let sizes = shape.map(Int64.init)
    return try Tensor.adopting(self) { ct_reshape_view(handle, sizes, Int32(sizes.count), $0) }
  }

  /// Elements `range` along one dimension; no copy.
  public func narrow(_ dimension: Int, _ range: Range<Int>) throws -> Tensor {
    try Tensor.adopting(self) {
      ct_narrow(handle, Int32(clamping: dimension), Int64(range.lowerBound), Int64(range.count), $0)
    }
  }

  public func rows(_ range: Range<Int>) throws -> Tensor { try narrow(0, range) }
  public func columns(_ range: Range<Int>) throws -> Tensor { try narrow(1, range) }
  public func flattened() throws -> Tensor { try view([elementCount]) }

  /// Two dimensions exchanged; no copy.
  public func transposed(_ first: Int, _ second: Int) throws -> Tensor {
    try Tensor.adopting(self) { ct_transpose(handle, Int32(clamping: first), Int32(clamping: second), $0) }
  }

  /// A contiguous copy, in another element type or on another device where asked.
  public func converted(to dtype: DType? = nil, on device: Device? = nil) throws -> Tensor {
    let target = device ?? self.device
    guard target.isAvailable else { throw TorchError.noSuchDevice(target) }
    return try Tensor.adopting(self) { ct_convert(handle, (dtype ?? self.dtype).cValue, target.cValue, $0) }
  }

  /// Overwrites all elements with those of a tensor of the same shape, converting type and device.
  public func copy(from source: Tensor) throws { try check(ct_copy(handle, source.handle), self, source) }

  public func fill(_ value: Double) throws { try check(ct_fill(handle, value), self) }

  /// Normal numbers around zero, the same for the same seed on the same kind of device.
  public func fillNormal(deviation: Double, seed: UInt64) throws {
    try check(ct_fill_normal(handle, deviation, seed), self)
  }
}
