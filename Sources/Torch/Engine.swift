internal import CTorch

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Facts and settings of the engine as a whole.
public enum Engine {
  /// libtorch's version, `2.13.0` for example.
  public static var version: String { String(cString: ct_version()) }

  /// Instruction set of libtorch's CPU kernels, `AVX512` for example.
  public static var cpuCapability: String { String(cString: ct_cpu_capability()) }

  /// Library of large float32 matrix products on the CPU: `oneDNN` or `BLAS`.
  public static var matrixLibrary: String { String(cString: ct_matrix_library()) }

  /// Threads that one operation uses on the CPU.
  public static var threadCount: Int { Int(ct_threads()) }

  /// - Throws: ``TorchError/invalidArgument(message:shapes:)`` for a count below 1.
  public static func setThreadCount(_ count: Int) throws {
    try check(ct_set_threads(Int32(clamping: count)))
  }

  /// Keeps freed memory in the process: without it, returning and refaulting large blocks halves training speed on Linux.
  public static func keepFreedMemory() { ct_keep_freed_memory() }

  /// Gives freed memory back to the system, between phases for example.
  public static func trimMemory() { ct_trim_memory() }

  /// Path of libtorch's CUDA library, loaded with the first question about CUDA.
  ///
  /// - Throws: ``TorchError/notSupported(message:)`` with the reason where there is none.
  public static func cudaLibrary() throws -> String {
    var path: UnsafePointer<CChar>?
    try check(ct_cuda_library(&path))
    return path.map { String(cString: $0) } ?? ""
  }

  /// The most that libtorch has held on a device other than the CPU since the last reset, in bytes.
  public static func peakMemoryInBytes(on device: Device, reset: Bool = false) throws -> Int {
    var bytes: Int64 = 0
    try check(ct_peak_device_memory(device.cValue, reset, &bytes))
    return Int(bytes)
  }

  /// Waits until queued work on `device` is done.
  public static func synchronize(_ device: Device) throws { try check(ct_synchronize(device.cValue)) }

  /// The largest resident size of this process so far, in bytes.
  public static var peakMemoryInBytes: Int {
    var usage = rusage()
    #if canImport(Darwin)
    getrusage(RUSAGE_SELF, &usage)
    return Int(usage.ru_maxrss)
    #else
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Int(usage.ru_maxrss) * 1024
    #endif
  }
}

/// Turns a status into an error that carries the engine's message and the operands' shapes.
func check(_ status: ct_status, _ operands: Tensor?...) throws {
  guard status != CT_OK else { return }
  throw TorchError(status, operands)
}

extension TorchError {
  /// The last failure on this thread.
  init(_ status: ct_status, _ operands: [Tensor?]) {
    let message = String(cString: ct_last_error())
    let shapes = operands.compactMap { $0?.shape }
    switch status {
    case CT_INVALID_ARGUMENT: self = .invalidArgument(message: message, shapes: shapes)
    case CT_OUT_OF_MEMORY: self = .outOfMemory(message: message, shapes: shapes)
    case CT_NOT_SUPPORTED: self = .notSupported(message: message)
    default: self = .failed(message: message)
    }
  }
}
