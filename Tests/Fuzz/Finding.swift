/// Something that must not happen, and the input that makes it happen.
struct Finding: Equatable, Sendable {
  enum Kind: String, CaseIterable, Sendable {
    /// The process died.
    case crash
    /// More processor time than ``Limits/seconds``.
    case hang
    /// More memory at once than twice the input's size and 64 MB.
    case allocation
    /// An error that is none of the project's.
    case error
  }

  let reader: String
  let kind: Kind
  let index: Int
  let detail: String

  /// As a worker tells its parent: one line.
  var line: String { "\(kind.rawValue) \(index) \(detail.split(whereSeparator: \.isNewline).joined(separator: " "))" }

  init(reader: String, kind: Kind, index: Int, detail: String) {
    self.reader = reader
    self.kind = kind
    self.index = index
    self.detail = detail
  }

  init?(line: Substring, reader: String) {
    let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard words.count == 3, let kind = Kind(rawValue: String(words[0])), let index = Int(words[1]) else { return nil }
    self.init(reader: reader, kind: kind, index: index, detail: String(words[2]))
  }
}

/// What one input may cost.
enum Limits {
  /// Of processor time, over all threads. An uninstrumented libtorch aside, the address sanitizer costs a factor of two or three.
  static let seconds = 1
  static let sanitizedSeconds = 5
  /// Without any progress of the worker, processor time or not: something waits for ever.
  static let stallSeconds = 60.0

  static func allocation(forInputOf byteCount: Int) -> Int { 2 * byteCount + 64 << 20 }
}
