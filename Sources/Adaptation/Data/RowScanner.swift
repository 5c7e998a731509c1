import Foundation

/// Gives the rows of a file one after another as bytes, reading it piece by piece.
///
/// Two layouts are read: JSON Lines, and one JSON array of objects (a file whose first character is `[`). A byte order
/// mark, CRLF line ends and blank lines are skipped. Memory is one read buffer and one row.
struct RowScanner {
  private let path: String
  private var bytes: ByteStream
  private var layout: Layout?
  private var row = 0
  private var line = 1

  private enum Layout { case lines, array, finished }

  init(path: String) throws {
    self.path = path
    bytes = try ByteStream(path: path)
  }

  /// The next row, or nil at the end of the file.
  mutating func next() throws -> (location: RowLocation, bytes: [UInt8])? {
    if layout == nil { try open() }
    switch layout {
    case .lines: return try nextLine()
    case .array: return try nextElement()
    case .finished, nil: return nil
    }
  }

  private mutating func open() throws {
    try bytes.skipByteOrderMark()
    try skipBlank()
    guard let first = try bytes.peek() else { return layout = .finished }
    guard first == UInt8(ascii: "[") else { return layout = .lines }
    _ = try bytes.next()
    layout = .array
    try skipBlank()
    if try bytes.peek() == UInt8(ascii: "]") { try closeArray() }
  }

  private mutating func nextLine() throws -> (location: RowLocation, bytes: [UInt8])? {
    try skipBlank()
    guard try bytes.peek() != nil else {
      layout = .finished
      return nil
    }
    row += 1
    let location = here
    var content: [UInt8] = []
    while let byte = try bytes.next(), byte != newline { content.append(byte) }
    line += 1
    while let last = content.last, isBlank(last) { content.removeLast() }
    return (location, content)
  }

  private mutating func nextElement() throws -> (location: RowLocation, bytes: [UInt8])? {
    try skipBlank()
    row += 1
    let location = here
    var content: [UInt8] = []
    var depth = 0
    var inString = false
    var escaped = false
    while let byte = try bytes.next() {
      if byte == newline { line += 1 }
      if inString {
        inString = escaped || byte != UInt8(ascii: "\"")
        escaped = !escaped && byte == UInt8(ascii: "\\")
      } else {
        switch byte {
        case UInt8(ascii: "\""): inString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: ",") where depth == 0:
          return (location, content)
        case UInt8(ascii: "]") where depth == 0:
          try closeArray(consumed: true)
          return (location, content)
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        default: break
        }
      }
      content.append(byte)
    }
    throw TrainingDataError.malformedJSON(location, reason: "the array is not closed")
  }

  /// Accepts nothing but blanks after the array's bracket.
  private mutating func closeArray(consumed: Bool = false) throws {
    if !consumed { _ = try bytes.next() }
    layout = .finished
    try skipBlank()
    if try bytes.peek() != nil {
      throw TrainingDataError.malformedJSON(here, reason: "text follows the array that holds the rows")
    }
  }

  private mutating func skipBlank() throws {
    while let byte = try bytes.peek(), isBlank(byte) {
      if byte == newline { line += 1 }
      _ = try bytes.next()
    }
  }

  private var here: RowLocation { RowLocation(path: path, row: row, line: line) }
  private var newline: UInt8 { UInt8(ascii: "\n") }

  private func isBlank(_ byte: UInt8) -> Bool {
    byte == newline || byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\t")
  }
}

/// A file's bytes, read in pieces of a megabyte.
private struct ByteStream {
  private let path: String
  private let handle: FileHandle
  private var buffer: [UInt8] = []
  private var position = 0
  private var ended = false

  init(path: String) throws {
    self.path = path
    do {
      handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    } catch {
      throw TrainingDataError.unreadable(path: path, reason: Self.reason(path))
    }
  }

  mutating func peek() throws -> UInt8? {
    if position == buffer.count { try refill() }
    return position < buffer.count ? buffer[position] : nil
  }

  mutating func next() throws -> UInt8? {
    guard let byte = try peek() else { return nil }
    position += 1
    return byte
  }

  mutating func skipByteOrderMark() throws {
    _ = try peek()
    if buffer.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
  }

  private mutating func refill() throws {
    guard !ended else { return }
    do {
      buffer = try handle.read(upToCount: 1 << 20).map { [UInt8]($0) } ?? []
    } catch {
      throw TrainingDataError.unreadable(path: path, reason: Self.reason(path))
    }
    position = 0
    if buffer.isEmpty {
      ended = true
      try? handle.close()
    }
  }

  private static func reason(_ path: String) -> String {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else { return "no such file" }
    return isDirectory.boolValue ? "it is a directory" : "permission denied or read error"
  }
}
