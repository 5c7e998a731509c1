import Checkpoints
import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A lock on a file, held by one process at a time, and given back by the system when that ends.
final class FileLock {
  private let descriptor: Int32

  /// Waits until the lock is free.
  ///
  /// - Parameter waiting: called once when another process holds it.
  init(path: String, waiting: () -> Void) throws {
    try FileSystem.createDirectory(FileSystem.parent(of: path))
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw HubError.system(operation: "open", path: path, code: errno) }
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
    waiting()
    while flock(descriptor, LOCK_EX) != 0 {
      let code = errno
      guard code == EINTR else {
        close(descriptor)
        throw HubError.system(operation: "lock", path: path, code: code)
      }
    }
  }

  deinit { close(descriptor) }
}
