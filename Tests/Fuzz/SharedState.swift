import Foundation

/// A few numbers in a file that a worker and its parent both map: what the worker is doing survives its death.
final class SharedState {
  enum Slot: Int, CaseIterable {
    /// Number of the input being read.
    case index
    /// Inputs read to the end.
    case finished
    case accepted
    /// The most that an input allocated beyond what its size justifies is measured against; in bytes, whatever the size.
    case largestAllocation
    case slowestMicroseconds
  }

  private static let byteCount = 4096
  let path: String
  private let slots: UnsafeMutablePointer<Int64>

  init(path: String) throws {
    self.path = path
    let descriptor = Foundation.open(path, O_RDWR | O_CREAT, 0o600)
    guard descriptor >= 0, ftruncate(descriptor, off_t(Self.byteCount)) == 0,
      let memory = mmap(nil, Self.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED
    else { throw HarnessError(reason: "cannot map \(path)") }
    close(descriptor)
    slots = memory.bindMemory(to: Int64.self, capacity: Self.byteCount / 8)
  }

  deinit { munmap(slots, Self.byteCount) }

  subscript(slot: Slot) -> Int {
    get { Int(slots[slot.rawValue]) }
    set { slots[slot.rawValue] = Int64(newValue) }
  }
}
