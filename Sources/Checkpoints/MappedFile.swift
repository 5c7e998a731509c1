#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A regular file opened for reading and mapped read-only; closed and unmapped with the last reference.
///
/// Pages looked at through ``bytes`` count as resident memory until ``releasePages(_:)`` or memory pressure drops them;
/// ``read(at:into:)`` leaves none behind. A file truncated by someone else while mapped ends the process with SIGBUS
/// when the lost part is looked at; files replaced by rename, as this project writes them, are safe.
package final class MappedFile: @unchecked Sendable {
  package let path: String
  package let byteCount: Int
  /// The whole file.
  package let bytes: UnsafeRawBufferPointer
  private let descriptor: Int32

  package init(path: String) throws {
    // Without O_NONBLOCK, opening a pipe would wait for a writer before it could be refused.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let code = errno
      throw code == ENOENT
        ? CheckpointError.fileNotFound(path: path) : CheckpointError.system(operation: "open", path: path, code: code)
    }
    var mapping = UnsafeRawBufferPointer(start: nil, count: 0)
    do {
      var status = stat()
      guard fstat(descriptor, &status) == 0 else {
        throw CheckpointError.system(operation: "examine", path: path, code: errno)
      }
      guard status.st_mode & S_IFMT == S_IFREG else { throw CheckpointError.notARegularFile(path: path) }
      let count = Int(status.st_size)
      if count > 0 {
        guard let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
          throw CheckpointError.system(operation: "map", path: path, code: errno)
        }
        mapping = UnsafeRawBufferPointer(start: start, count: count)
      }
    } catch {
      close(descriptor)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
    self.bytes = mapping
    self.byteCount = mapping.count
  }

  deinit {
    if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
    close(descriptor)
  }

  /// Fills `buffer` with the file's bytes from `offset`, without touching the mapping.
  package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = pread(descriptor, rest.baseAddress, min(rest.count, 1 << 30), off_t(offset + done))
      if count > 0 {
        done += count
      } else if count == 0 {
        throw CheckpointError.unexpectedEndOfFile(path: path, offset: offset + done)
      } else if errno != EINTR {
        throw CheckpointError.system(operation: "read", path: path, code: errno)
      }
    }
  }

  /// Part of the file as memory that may be written to without changing the file.
  ///
  /// - Precondition: `range` is not empty and inside the file.
  package func privateMapping(of range: Range<Int>) throws -> PrivateMapping {
    precondition(!range.isEmpty && range.upperBound <= byteCount, "\(range) of \(byteCount) bytes")
    return try PrivateMapping(descriptor: descriptor, range: range, path: path)
  }

  /// Tells the system that `range` will be read once, front to back.
  package func adviseSequential(_ range: Range<Int>) {
    advise(range, MADV_SEQUENTIAL, wholePagesOnly: false)
  }

  /// Takes the pages wholly inside `range` out of resident memory. The mapping stays valid: they are read again on demand.
  package func releasePages(_ range: Range<Int>) {
    advise(range, MADV_DONTNEED, wholePagesOnly: true)
  }

  private func advise(_ range: Range<Int>, _ advice: Int32, wholePagesOnly: Bool) {
    guard let start = bytes.baseAddress else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let clamped = range.clamped(to: 0..<byteCount)
    var lower = clamped.lowerBound / page * page
    var upper = clamped.upperBound
    if wholePagesOnly {
      lower = (clamped.lowerBound + page - 1) / page * page
      // The last page of the file has no other owner.
      upper = clamped.upperBound == byteCount ? byteCount : clamped.upperBound / page * page
    }
    guard lower < upper else { return }
    // Advice only: a refusal costs speed or memory, never correctness.
    _ = madvise(UnsafeMutableRawPointer(mutating: start + lower), upper - lower, advice)
  }
}
