import Checkpoints
import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A blob under way, beside its final name as `DIGEST.incomplete`: it survives an interruption, and what is there is
/// hashed again before more is added.
final class PartialFile {
  private let target: String
  private let path: String
  private let expected: HubDigest
  let byteCount: Int
  private var descriptor: Int32
  private var hasher: HubHasher
  private(set) var position = 0

  init(target: String, digest: HubDigest, byteCount: Int) throws {
    self.target = target
    path = target + ".incomplete"
    expected = digest
    self.byteCount = byteCount
    hasher = HubHasher(digest, byteCount: byteCount)
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
    guard descriptor >= 0 else { throw HubError.system(operation: "create", path: path, code: errno) }
    do { try readBack() } catch {
      close(descriptor)
      throw error
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Bytes still to come.
  var missing: Int { byteCount - position }

  private func readBack() throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 << 20, alignment: 16)
    defer { buffer.deallocate() }
    while true {
      let count = read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw HubError.system(operation: "read", path: path, code: errno) }
      if count == 0 { return }
      // Longer than the file can be: of no use.
      guard count <= missing else { return try restart() }
      hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      position += count
    }
  }

  /// Forgets what is there.
  func restart() throws {
    guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
      throw HubError.system(operation: "empty", path: path, code: errno)
    }
    hasher = HubHasher(expected, byteCount: byteCount)
    position = 0
  }

  /// - Throws: ``HubError/wrongLength(file:expected:found:)`` for bytes beyond the file's end.
  func append(_ data: Data) throws {
    guard data.count <= missing else {
      throw HubError.wrongLength(file: target, expected: byteCount, found: position + data.count)
    }
    try data.withUnsafeBytes { bytes in
      var done = 0
      while done < bytes.count {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
        let count = write(descriptor, rest.baseAddress, rest.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw HubError.system(operation: "write", path: path, code: errno) }
        // Position and hash follow the file at once, so that a failure leaves them agreeing.
        hasher.update(UnsafeRawBufferPointer(rebasing: rest[..<count]))
        position += count
        done += count
      }
    }
  }

  /// Checks the whole and shows it under its name.
  ///
  /// - Throws: ``HubError/corrupted(file:expected:found:)``, after removing what had come.
  func publish() throws {
    let found = hasher.finish()
    guard found == expected.text else {
      unlink(path)
      throw HubError.corrupted(file: target, expected: expected.text, found: found)
    }
    guard fsync(descriptor) == 0 else { throw HubError.system(operation: "flush", path: path, code: errno) }
    guard rename(path, target) == 0 else { throw HubError.system(operation: "rename", path: path, code: errno) }
  }
}
