package import CTorch

/// A strided array owned by libtorch. A class, since views share storage and operations write in place.
///
/// Not thread-safe: use a tensor from one thread at a time.
public final class Tensor {
  package let handle: ct_tensor
  public let shape: [Int]
  public let dtype: DType
  public let device: Device

  /// Adopts a handle that the caller owns.
  package init(adopting handle: ct_tensor) {
    self.handle = handle
    shape = (0..<ct_rank(handle)).map { Int(ct_size(handle, $0)) }
    dtype = DType(ct_dtype_of(handle))
    device = Device(ct_device_of(handle))
  }

  deinit { ct_release(handle) }

  /// Runs a call that produces a tensor, and adopts the result.
  static func adopting(_ operands: Tensor?..., call: (UnsafeMutablePointer<ct_tensor?>) -> ct_status) throws -> Tensor {
    var result: ct_tensor?
    let status = call(&result)
    guard status == CT_OK, let result else { throw TorchError(status, operands) }
    return Tensor(adopting: result)
  }

  public var elementCount: Int { shape.reduce(1, *) }
  public var byteCount: Int { elementCount * dtype.byteCount }
  public var rank: Int { shape.count }
  public var isContiguous: Bool { ct_is_contiguous(handle) }
}

// MARK: - Creation

extension Tensor {
  /// Uninitialised.
  public static func empty(_ shape: [Int], _ dtype: DType = .float32, on device: Device = .cpu) throws -> Tensor {
    guard device.isAvailable else { throw TorchError.noSuchDevice(device) }
    let sizes = shape.map(Int64.init)
    return try adopting { ct_empty(sizes, Int32(sizes.count), dtype.cValue, device.cValue, $0) }
  }

  public static func full(_ shape: [Int], _ value: Double, _ dtype: DType = .float32, on device: Device = .cpu) throws
    -> Tensor
  {
    guard device.isAvailable else { throw TorchError.noSuchDevice(device) }
    let sizes = shape.map(Int64.init)
    return try adopting { ct_full(sizes, Int32(sizes.count), value, dtype.cValue, device.cValue, $0) }
  }

  public static func zeros(_ shape: [Int], _ dtype: DType = .float32, on device: Device = .cpu) throws -> Tensor {
    try full(shape, 0, dtype, on: device)
  }

  /// A CPU tensor over memory that `owner` keeps, used in place until the last view is gone.
  ///
  /// - Precondition: `memory` is aligned to elements of `dtype`.
  /// - Throws: ``TorchError/invalidArgument(message:shapes:)`` unless `memory` holds exactly the shape's elements.
  package static func over(
    _ memory: UnsafeMutableRawBufferPointer, _ shape: [Int], _ dtype: DType, keeping owner: AnyObject
  ) throws -> Tensor {
    guard memory.count == shape.reduce(dtype.byteCount, *) else {
      throw TorchError.invalidArgument(message: "tensor over \(memory.count) bytes of memory", shapes: [shape])
    }
    let sizes = shape.map(Int64.init)
    let context = Unmanaged.passRetained(owner)
    do {
      return try adopting {
        ct_borrow(
          memory.baseAddress, sizes, Int32(sizes.count), dtype.cValue,
          { context in context.map { Unmanaged<AnyObject>.fromOpaque($0).release() } }, context.toOpaque(), $0)
      }
    } catch {
      context.release()
      throw error
    }
  }

  /// A copy of `values` in row-major order.
  /// - Throws: ``TorchError/invalidArgument(message:shapes:)`` unless the count equals the shape's.
  public static func from<Element: TensorElement>(_ values: [Element], shape: [Int]? = nil, on device: Device = .cpu)
    throws -> Tensor
  {
    let shape = shape ?? [values.count]
    let tensor = try empty(shape, Element.dtype)
    try values.withUnsafeBytes { try tensor.copyBytes(from: $0) }
    return device == .cpu ? tensor : try tensor.converted(on: device)
  }
}

// MARK: - Host memory

extension Tensor {
  /// The elements as raw bytes, for a contiguous CPU tensor.
  /// - Throws: ``TorchError/invalidArgument(message:shapes:)`` for a device tensor or a strided view.
  public func withBytes<R>(_ body: (UnsafeMutableRawBufferPointer) throws -> R) throws -> R {
    guard device.kind == .cpu, isContiguous else {
      throw TorchError.invalidArgument(message: "bytes: the tensor must be contiguous and on the CPU", shapes: [shape])
    }
    let bytes = UnsafeMutableRawBufferPointer(start: byteCount == 0 ? nil : ct_data(handle), count: byteCount)
    return try body(bytes)
  }

  /// Replaces all elements by `source`, row-major, in this tensor's element type.
  public func copyBytes(from source: UnsafeRawBufferPointer) throws {
    try withBytes { destination in
      guard source.count == destination.count else {
        throw TorchError.invalidArgument(
          message: "copy bytes: \(source.count) bytes given, \(destination.count) needed", shapes: [shape])
      }
      destination.copyMemory(from: source)
    }
  }

  /// All elements in row-major order, converted to `Element`'s type.
  public func values<Element: TensorElement>(as type: Element.Type = Element.self) throws -> [Element] {
    let host =
      dtype == Element.dtype && device == .cpu && isContiguous ? self : try converted(to: Element.dtype, on: .cpu)
    return try host.withBytes { Array($0.bindMemory(to: Element.self)) }
  }
}

/// A Swift type with the same layout as a tensor's element.
public protocol TensorElement: BitwiseCopyable {
  static var dtype: DType { get }
}

extension Float: TensorElement { public static var dtype: DType { .float32 } }
extension Double: TensorElement { public static var dtype: DType { .float64 } }
extension Int64: TensorElement { public static var dtype: DType { .int64 } }
extension Int32: TensorElement { public static var dtype: DType { .int32 } }
extension UInt8: TensorElement { public static var dtype: DType { .uint8 } }

extension DType {
  package var cValue: ct_dtype {
    switch self {
    case .float32: CT_FLOAT32
    case .float64: CT_FLOAT64
    case .float16: CT_FLOAT16
    case .bfloat16: CT_BFLOAT16
    case .int64: CT_INT64
    case .int32: CT_INT32
    case .int16: CT_INT16
    case .int8: CT_INT8
    case .uint8: CT_UINT8
    case .bool: CT_BOOL
    }
  }

  init(_ value: ct_dtype) {
    self = DType.allCases.first { $0.cValue == value } ?? .float32
  }
}
