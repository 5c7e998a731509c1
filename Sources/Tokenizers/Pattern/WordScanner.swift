/// The pre-tokenization patterns of common models, written out by hand.
///
/// A general regular expression engine gives the same pieces (the tests compare the two), several times slower.
package enum WordPattern: Equatable, Sendable {
  case gpt2
  /// Llama 3 takes up to three digits a piece, Qwen 2 one.
  case llama3(digits: Int)

  package static let gpt2Source =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
  package static let llama3Source =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"#
    + #"\s+(?!\S)|\s+"#
  package static let qwen2Source =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"#
    + #"\s+(?!\S)|\s+"#

  /// The pattern `source` spells, when it is one of those above.
  package init?(source: [UInt8]) {
    if source.elementsEqual(Self.gpt2Source.utf8) {
      self = .gpt2
    } else if source.elementsEqual(Self.llama3Source.utf8) {
      self = .llama3(digits: 3)
    } else if source.elementsEqual(Self.qwen2Source.utf8) {
      self = .llama3(digits: 1)
    } else {
      return nil
    }
  }

  /// The pieces of a whole text.
  package func pieces(of text: String) -> [String] {
    Array(text.utf8).withUnsafeBufferPointer { bytes in
      var ranges: [Range<Int>] = []
      split(bytes, range: 0..<bytes.count, into: &ranges)
      return ranges.map { String(decoding: bytes[$0], as: UTF8.self) }
    }
  }

  /// Cuts `range` into pieces; these patterns leave no byte out.
  func split(_ bytes: UnsafeBufferPointer<UInt8>, range: Range<Int>, into pieces: inout [Range<Int>]) {
    WordScanner.kinds.withUnsafeBufferPointer { kinds in
      let scanner = WordScanner(bytes: bytes, end: range.upperBound, kinds: kinds)
      var position = range.lowerBound
      switch self {
      case .gpt2:
        while position < range.upperBound {
          let end = scanner.gpt2(position)
          pieces.append(position..<end)
          position = end
        }
      case .llama3(let digits):
        while position < range.upperBound {
          let end = scanner.llama3(position, digits: digits)
          pieces.append(position..<end)
          position = end
        }
      }
    }
  }
}

struct WordScanner {
  private let bytes: UnsafeBufferPointer<UInt8>
  private let end: Int
  private let kinds: UnsafeBufferPointer<UInt8>

  private static let other: UInt8 = 0
  private static let letter: UInt8 = 1
  private static let number: UInt8 = 2
  private static let space: UInt8 = 3
  /// `\r` and `\n`, which are spaces too.
  private static let newline: UInt8 = 4

  /// Of the basic plane.
  static let kinds: [UInt8] = (0..<0x10000).map { kind(of: $0) }

  init(bytes: UnsafeBufferPointer<UInt8>, end: Int, kinds: UnsafeBufferPointer<UInt8>) {
    self.bytes = bytes
    self.end = end
    self.kinds = kinds
  }

  private static func kind(of scalar: UInt32) -> UInt8 {
    let scalarClass = ScalarClass.of(scalar)
    if scalar == 0x0A || scalar == 0x0D { return newline }
    if scalarClass.isWhitespace { return space }
    let category = UInt32(1) << UInt32(scalarClass.category)
    if category & CategoryMask.letter.rawValue != 0 { return letter }
    return category & CategoryMask.number.rawValue != 0 ? number : other
  }

  @inline(__always)
  private func kind(at position: Int) -> (kind: UInt8, length: Int) {
    let first = bytes[position]
    if first < 0x80 { return (kinds[Int(first)], 1) }
    let (scalar, length) = UTF8Text.scalar(in: bytes, at: position)
    return (scalar < 0x10000 ? kinds[Int(scalar)] : Self.kind(of: scalar), length)
  }

  /// End of the run of `wanted` that starts at `position`.
  @inline(__always)
  private func run(of wanted: UInt8, from position: Int) -> Int {
    var position = position
    while position < end {
      let (kind, length) = kind(at: position)
      guard kind == wanted else { break }
      position += length
    }
    return position
  }

  /// `\s+(?!\S)|\s+`: all of the run at the end of the text, else all but its last scalar, if something is left.
  @inline(__always)
  private func spaces(from position: Int) -> (piece: Int, afterLastNewline: Int?) {
    var cursor = position
    var last = position
    var afterLastNewline: Int?
    while cursor < end {
      let (kind, length) = kind(at: cursor)
      guard kind >= Self.space else { break }
      last = cursor
      cursor += length
      if kind == Self.newline { afterLastNewline = cursor }
    }
    return (cursor == end || last == position ? cursor : last, afterLastNewline)
  }

  @inline(__always)
  func gpt2(_ start: Int) -> Int {
    var (kind, length) = kind(at: start)
    var body = start + length
    if bytes[start] == UInt8(ascii: "'"), let end = contraction(start, ignoringCase: false) { return end }
    if bytes[start] == UInt8(ascii: " "), body < end {
      let next = self.kind(at: body)
      if next.kind < Self.space {
        kind = next.kind
        body += next.length
      }
    }
    return kind < Self.space ? run(of: kind, from: body) : spaces(from: start).piece
  }

  @inline(__always)
  func llama3(_ start: Int, digits: Int) -> Int {
    let (kind, length) = kind(at: start)
    let next = start + length
    if bytes[start] == UInt8(ascii: "'"), let end = contraction(start, ignoringCase: true) { return end }
    if kind == Self.letter { return run(of: Self.letter, from: next) }
    if kind == Self.number {
      var position = next
      var count = 1
      while count < digits, position < end {
        let (kind, length) = self.kind(at: position)
        guard kind == Self.number else { break }
        position += length
        count += 1
      }
      return position
    }
    if kind != Self.newline, next < end {
      let following = self.kind(at: next)
      if following.kind == Self.letter { return run(of: Self.letter, from: next + following.length) }
      if bytes[start] == UInt8(ascii: " "), following.kind == Self.other { return symbols(from: next) }
    }
    if kind == Self.other { return symbols(from: start) }
    let found = spaces(from: start)
    return found.afterLastNewline ?? found.piece
  }

  /// `[^\s\p{L}\p{N}]+[\r\n]*`
  @inline(__always)
  private func symbols(from position: Int) -> Int {
    var position = run(of: Self.other, from: position)
    while position < end, bytes[position] == 0x0A || bytes[position] == 0x0D { position += 1 }
    return position
  }

  /// `'s|'t|'re|'ve|'m|'ll|'d`
  private func contraction(_ start: Int, ignoringCase: Bool) -> Int? {
    guard start + 1 < end else { return nil }
    let fold: UInt8 = ignoringCase ? 0x20 : 0
    switch bytes[start + 1] | fold {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
      return start + 2
    case UInt8(ascii: "r") where start + 2 < end && bytes[start + 2] | fold == UInt8(ascii: "e"),
      UInt8(ascii: "v") where start + 2 < end && bytes[start + 2] | fold == UInt8(ascii: "e"),
      UInt8(ascii: "l") where start + 2 < end && bytes[start + 2] | fold == UInt8(ascii: "l"):
      return start + 3
    default:
      // U+017F, the long s, folds to s.
      let isLongS = ignoringCase && start + 2 < end && bytes[start + 1] == 0xC5 && bytes[start + 2] == 0xBF
      return isLongS ? start + 3 : nil
    }
  }
}
