internal import CTorch

extension Tensor {
  /// `self = op(a) op(b)`, or `self += ...` with `accumulating`; `op` transposes where asked. All are matrices.
  public func setProduct(
    _ a: Tensor, _ b: Tensor, transposeA: Bool = false, transposeB: Bool = false, accumulating: Bool = false
  ) throws {
    try check(ct_gemm(a.handle, transposeA, b.handle, transposeB, 1, accumulating ? 1 : 0, handle), a, b, self)
  }

  /// `self = x w'`, or `self += ...`: `x` `[M, I]`, `w` `[O, I]`. In float32 on the CPU each row is computed as it would be alone,
  /// so that it does not depend on its neighbours. Made for few rows; see ``rowProductSuitsMany``.
  public func setRowProduct(_ x: Tensor, _ w: Tensor, accumulating: Bool = false) throws {
    try check(ct_row_product(x.handle, w.handle, accumulating, handle), x, w, self)
  }

  /// Whether ``setRowProduct(_:_:accumulating:)`` is as fast as ``setProduct(_:_:transposeA:transposeB:accumulating:)`` for many rows of
  /// float32 on the CPU, and as independent of their number.
  public static var rowProductSuitsMany: Bool { ct_row_product_suits_many() }

  /// `self += factor * source`; `source` broadcasts to this shape.
  public func add(_ source: Tensor, times factor: Double = 1) throws {
    try check(ct_add(handle, source.handle, factor), self, source)
  }

  /// `self += a * b`, element by element; all of one shape and type.
  public func addProduct(_ a: Tensor, _ b: Tensor) throws {
    try check(ct_add_product(handle, a.handle, b.handle), self, a, b)
  }

  public func scale(by factor: Double) throws { try check(ct_scale(handle, factor), self) }

  /// Sum of all elements. Waits for the device.
  public func sum() throws -> Double {
    var result = 0.0
    try check(ct_sum(handle, &result), self)
    return result
  }

  /// Sum of the squares of all elements. Waits for the device.
  public func sumOfSquares() throws -> Double {
    var result = 0.0
    try check(ct_sum_of_squares(handle, &result), self)
    return result
  }

  /// `self[c] += sum over r of source[r, c]`.
  public func accumulateColumnSums(of source: Tensor) throws {
    try check(ct_accumulate_column_sums(source.handle, handle), source, self)
  }
}

// MARK: - Indexing

extension Tensor {
  /// `self[i, :] = table[rows[i], :]`; `rows` is int64 `[R]`.
  public func setRows(of table: Tensor, at rows: Tensor) throws {
    try check(ct_gather_rows(table.handle, rows.handle, handle), table, rows, self)
  }

  /// `self[rows[i], :] += source[i, :]`; repeated rows add up.
  public func accumulateRows(_ source: Tensor, at rows: Tensor) throws {
    try check(ct_accumulate_rows(handle, rows.handle, source.handle), self, rows, source)
  }

  /// `self[i] = source.flat[index[i]]`, or `+=` with `accumulating`; `index` is int32 or int64.
  public func gather(from source: Tensor, at index: Tensor, accumulating: Bool = false) throws {
    try check(ct_gather_flat(source.handle, index.handle, accumulating, handle), source, index, self)
  }

  /// `self.flat[index[i]] = values[i]`, rounded to this element type; indices must be distinct.
  public func scatter(_ values: Tensor, at index: Tensor) throws {
    try check(ct_scatter_flat(handle, index.handle, values.handle), self, index, values)
  }
}
