import Foundation

/// Where commands write: results to standard output, progress and notes to standard error.
enum Output {
  static func result(_ text: String) { raw(text + "\n") }

  static func note(_ text: String) {
    clearLine()
    write(text + "\n", to: STDERR_FILENO)
  }

  /// Invites a line on a terminal.
  static func prompt(_ text: String) { write(text, to: STDERR_FILENO) }

  /// One object on one line, keys sorted.
  static func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    result(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// A result that cannot be delivered, to a full disk for instance, ends the program: nothing after it has a purpose.
  static func raw(_ text: String) {
    guard let code = write(text, to: STDOUT_FILENO) else { return }
    note("Error: standard output: cannot write: \(String(cString: strerror(code)))")
    exit(EXIT_FAILURE)
  }

  /// Replaces the current line on a terminal; elsewhere writes nothing.
  static func progress(_ text: String) {
    guard isTerminal else { return }
    write("\r\u{1B}[2K" + text, to: STDERR_FILENO)
  }

  static func clearLine() { if isTerminal { write("\r\u{1B}[2K", to: STDERR_FILENO) } }

  static let isTerminal = isatty(2) == 1

  /// All of it. Returns the system's error code when it fails.
  @discardableResult
  private static func write(_ text: String, to descriptor: Int32) -> Int32? {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 { bytes = bytes.dropFirst(count) } else if errno != EINTR { return errno }
    }
    return nil
  }
}
