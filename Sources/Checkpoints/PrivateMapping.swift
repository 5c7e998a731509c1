#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Part of a file as memory that may be written to: pages are read when they are first looked at, and a page that is written to
/// becomes the process's own, so that nothing reaches the file. Unmapped with the last reference.
///
/// A file that somebody rewrites in place meanwhile changes pages not yet written to; one that is truncated ends the process
/// with SIGBUS. Files replaced by rename, as this project writes them, are safe.
package final class PrivateMapping: @unchecked Sendable {
  package let bytes: UnsafeMutableRawBufferPointer
  private let mapping: UnsafeMutableRawBufferPointer

  /// - Parameter range: Bytes of the open file `descriptor`, not empty.
  init(descriptor: Int32, range: Range<Int>, path: String) throws {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let first = range.lowerBound / page * page
    let count = range.upperBound - first
    let protection = PROT_READ | PROT_WRITE
    guard let start = mmap(nil, count, protection, MAP_PRIVATE, descriptor, off_t(first)), start != MAP_FAILED else {
      throw CheckpointError.system(operation: "map", path: path, code: errno)
    }
    mapping = UnsafeMutableRawBufferPointer(start: start, count: count)
    bytes = UnsafeMutableRawBufferPointer(rebasing: mapping[(range.lowerBound - first)...])
  }

  deinit { munmap(mapping.baseAddress, mapping.count) }
}
