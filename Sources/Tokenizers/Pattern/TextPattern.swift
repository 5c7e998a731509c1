/// What a `Replace` or `Split` component looks for.
enum TextPattern: Sendable {
  case literal([UInt8])
  case words(WordPattern)
  case program(PatternProgram)

  /// From `{"String": ...}` or `{"Regex": ...}`.
  ///
  /// - Throws: `unsupportedPattern` when the expression uses what this library does not read.
  init(_ node: JSONNode) throws {
    if let literal = node.optional("String") {
      self = .literal(try literal.bytes())
      return
    }
    let source = try node.required("Regex").bytes()
    do {
      self = try Self.compile(source)
    } catch {
      throw TokenizerError.unsupportedPattern(
        path: node.file, field: node.field, pattern: String(decoding: source, as: UTF8.self), reason: error.reason)
    }
  }

  private static func compile(_ source: [UInt8]) throws(PatternError) -> TextPattern {
    if let words = WordPattern(source: source) { return .words(words) }
    return .program(try PatternProgram(source))
  }

  /// Matches from left to right; between them lies what does not match.
  func matches(in bytes: UnsafeBufferPointer<UInt8>, range: Range<Int>, into found: inout [Range<Int>]) {
    switch self {
    case .words(let pattern): pattern.split(bytes, range: range, into: &found)
    case .program(let program): PatternMatcher.matches(of: program, in: bytes, range: range, into: &found)
    case .literal(let literal):
      guard !literal.isEmpty else { return }
      var position = range.lowerBound
      while position + literal.count <= range.upperBound {
        if bytes[position] == literal[0], bytes[position..<position + literal.count].elementsEqual(literal) {
          found.append(position..<position + literal.count)
          position += literal.count
        } else {
          position += 1
        }
      }
    }
  }

  func replace(in text: [UInt8], with content: [UInt8]) -> [UInt8] {
    text.withUnsafeBufferPointer { bytes in
      var found: [Range<Int>] = []
      matches(in: bytes, range: 0..<bytes.count, into: &found)
      guard !found.isEmpty else { return text }
      var result: [UInt8] = []
      result.reserveCapacity(text.count + found.count * max(0, content.count - 1))
      var position = 0
      for match in found {
        result.append(contentsOf: bytes[position..<match.lowerBound])
        result.append(contentsOf: content)
        position = match.upperBound
      }
      result.append(contentsOf: bytes[position...])
      return result
    }
  }
}
