#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A file that appears under its name only when complete.
///
/// Bytes go to a temporary beside it; ``commit()`` flushes that to disk, renames it, and flushes the directory. Without
/// a commit the temporary is removed and whatever stood under the name stays as it was.
package final class OutputFile {
  package let path: String
  package let temporaryPath: String
  private var descriptor: Int32
  private var isTemporaryPresent = true
  private let buffer: UnsafeMutableRawBufferPointer
  private var bufferedCount = 0

  private static let bufferByteCount = 1 << 20

  package init(path: String) throws {
    self.path = path
    temporaryPath = FileSystem.temporaryPath(beside: path)
    // One of the same name can only be left from a process that is gone.
    unlink(temporaryPath)
    // A temporary beside "" or a directory could be written, but never renamed.
    let isDirectory = FileSystem.isDirectory(path)
    descriptor =
      path.isEmpty || isDirectory ? -1 : open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    let code = isDirectory ? EISDIR : path.isEmpty ? ENOENT : errno
    buffer = .allocate(byteCount: Self.bufferByteCount, alignment: 16)
    if descriptor < 0 {
      isTemporaryPresent = false
      throw CheckpointError.system(operation: "create", path: path, code: code)
    }
  }

  deinit {
    discard()
    buffer.deallocate()
  }

  /// Appends bytes. On failure the temporary is removed at once, to give back the space.
  package func write(_ bytes: UnsafeRawBufferPointer) throws {
    guard descriptor >= 0 else { throw CheckpointError.writerFinished(path: path) }
    if bufferedCount + bytes.count <= buffer.count {
      UnsafeMutableRawBufferPointer(rebasing: buffer[bufferedCount...]).copyMemory(from: bytes)
      bufferedCount += bytes.count
      return
    }
    try flush()
    if bytes.count >= buffer.count {
      try writeThrough(bytes)
    } else {
      buffer.copyMemory(from: bytes)
      bufferedCount = bytes.count
    }
  }

  /// Writes bytes at a place of their own, past the buffer; safe to call from several threads. Not to be mixed with ``write(_:)``.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      let count = pwrite(descriptor, rest.baseAddress, min(rest.count, 1 << 30), off_t(offset + done))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw CheckpointError.system(operation: "write", path: path, code: errno) }
      done += count
    }
  }

  /// Makes the file durable and visible, replacing any earlier one.
  package func commit() throws {
    guard descriptor >= 0 else { throw CheckpointError.writerFinished(path: path) }
    try flush()
    try check(fsync(descriptor) == 0, "flush")
    let status = close(descriptor)
    descriptor = -1
    try check(status == 0, "close")
    try check(rename(temporaryPath, path) == 0, "rename the finished file to")
    isTemporaryPresent = false
    try FileSystem.flushDirectory(FileSystem.parent(of: path))
  }

  /// Gives up: closes and removes the temporary. Harmless after ``commit()``.
  package func discard() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
    if isTemporaryPresent { unlink(temporaryPath) }
    isTemporaryPresent = false
  }

  private func flush() throws {
    let pending = UnsafeRawBufferPointer(rebasing: buffer[..<bufferedCount])
    bufferedCount = 0
    try writeThrough(pending)
  }

  private func writeThrough(_ bytes: UnsafeRawBufferPointer) throws {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      // Qualified, because this class has a `write` of its own.
      #if canImport(Glibc)
      let count = Glibc.write(descriptor, rest.baseAddress, min(rest.count, 1 << 30))
      #elseif canImport(Darwin)
      let count = Darwin.write(descriptor, rest.baseAddress, min(rest.count, 1 << 30))
      #endif
      if count < 0, errno == EINTR { continue }
      try check(count > 0, "write")
      done += count
    }
  }

  private func check(_ condition: Bool, _ operation: String) throws {
    if condition { return }
    let code = errno
    discard()
    throw CheckpointError.system(operation: operation, path: path, code: code)
  }
}
