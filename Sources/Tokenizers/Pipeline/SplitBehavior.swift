/// What becomes of the delimiters a split finds.
enum SplitBehavior: String, Sendable {
  case removed = "Removed"
  case isolated = "Isolated"
  case mergedWithPrevious = "MergedWithPrevious"
  case mergedWithNext = "MergedWithNext"
  case contiguous = "Contiguous"

  init(_ node: JSONNode) throws {
    let name = try node.string()
    guard let behavior = SplitBehavior(rawValue: name) else {
      throw TokenizerError.unsupportedOption(path: node.file, field: node.field, value: name.debugDescription)
    }
    self = behavior
  }

  /// Appends the pieces of `range`. With `isInverted` what lies between the matches is the delimiter.
  func apply(
    _ matches: [Range<Int>], in range: Range<Int>, isInverted: Bool, into pieces: inout [Range<Int>]
  ) {
    var spans: [(range: Range<Int>, isDelimiter: Bool)] = []
    spans.reserveCapacity(matches.count * 2 + 1)
    var position = range.lowerBound
    for match in matches {
      if match.lowerBound > position { spans.append((position..<match.lowerBound, isInverted)) }
      spans.append((match, !isInverted))
      position = match.upperBound
    }
    if position < range.upperBound { spans.append((position..<range.upperBound, isInverted)) }
    switch self {
    case .isolated: pieces.append(contentsOf: spans.lazy.map(\.range))
    case .removed: for span in spans where !span.isDelimiter { pieces.append(span.range) }
    case .contiguous: Self.merge(spans, into: &pieces) { $0 == $1 }
    case .mergedWithPrevious: Self.merge(spans, into: &pieces) { isDelimiter, follows in isDelimiter && !follows }
    case .mergedWithNext:
      var reversed: [Range<Int>] = []
      var follows = false
      for span in spans.reversed() {
        if span.isDelimiter, !follows, let last = reversed.popLast() {
          reversed.append(span.range.lowerBound..<last.upperBound)
        } else {
          reversed.append(span.range)
        }
        follows = span.isDelimiter
      }
      pieces.append(contentsOf: reversed.reversed())
    }
  }

  /// Joins a span to the one before when `joins(it is a delimiter, the one before is)`.
  private static func merge(
    _ spans: [(range: Range<Int>, isDelimiter: Bool)], into pieces: inout [Range<Int>],
    joins: (Bool, Bool) -> Bool
  ) {
    let first = pieces.count
    var follows = false
    for span in spans {
      if pieces.count > first, joins(span.isDelimiter, follows), let last = pieces.popLast() {
        pieces.append(last.lowerBound..<span.range.upperBound)
      } else {
        pieces.append(span.range)
      }
      follows = span.isDelimiter
    }
  }
}
