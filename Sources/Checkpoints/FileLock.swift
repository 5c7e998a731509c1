#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A lock on a file of its own, held by one process at a time, and given back by the system when that ends, however it ends.
package final class FileLock {
  package let path: String
  private let descriptor: Int32

  /// nil when another process, or another lock of this one, holds it.
  ///
  /// - Throws: ``CheckpointError/system(operation:path:code:)``
  package convenience init?(trying path: String) throws {
    guard let descriptor = try Self.locked(path, LOCK_EX | LOCK_NB) else { return nil }
    self.init(path, descriptor)
  }

  /// Waits until the lock is free.
  ///
  /// - Parameter waiting: called once when another process holds it.
  package convenience init(path: String, waiting: () -> Void) throws {
    if let descriptor = try Self.locked(path, LOCK_EX | LOCK_NB) {
      self.init(path, descriptor)
      return
    }
    waiting()
    while true {
      if let descriptor = try Self.locked(path, LOCK_EX) {
        self.init(path, descriptor)
        return
      }
    }
  }

  private init(_ path: String, _ descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Removes the file while the lock is held. Whoever has opened it by then finds another one under the name, or none.
  package func removeFile() { unlink(path) }

  /// nil where it cannot be had at once, or the file has been removed meanwhile.
  private static func locked(_ path: String, _ operation: Int32) throws -> Int32? {
    try FileSystem.createDirectory(FileSystem.parent(of: path))
    while true {
      let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else { throw CheckpointError.system(operation: "open", path: path, code: errno) }
      while flock(descriptor, operation) != 0 {
        let code = errno
        if code == EINTR { continue }
        close(descriptor)
        if code == EWOULDBLOCK { return nil }
        throw CheckpointError.system(operation: "lock", path: path, code: code)
      }
      if isStillThere(descriptor, path) { return descriptor }
      close(descriptor)
    }
  }

  private static func isStillThere(_ descriptor: Int32, _ path: String) -> Bool {
    var held = stat()
    var found = stat()
    return fstat(descriptor, &held) == 0 && stat(path, &found) == 0 && held.st_ino == found.st_ino
      && held.st_dev == found.st_dev
  }
}
