import Foundation

/// Lines of standard input, without their ends.
struct LineReader {
  enum Event: Equatable {
    case line(String)
    /// Ctrl-C came while it waited.
    case interrupted
    case end
  }

  static let isTerminal = isatty(STDIN_FILENO) == 1

  private var pending: [UInt8] = []
  private var hasEnded = false

  mutating func next() -> Event {
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        defer { pending.removeSubrange(...end) }
        return .line(String(decoding: pending[..<end], as: UTF8.self))
      }
      if hasEnded {
        defer { pending = [] }
        return pending.isEmpty ? .end : .line(String(decoding: pending, as: UTF8.self))
      }
      var buffer = [UInt8](repeating: 0, count: 1 << 16)
      let count = read(STDIN_FILENO, &buffer, buffer.count)
      if count > 0 {
        pending += buffer[..<count]
      } else if count == 0 || errno != EINTR {
        hasEnded = true
      } else if Interruption.take() {
        // The terminal has dropped the line itself.
        pending = []
        return .interrupted
      }
    }
  }
}
