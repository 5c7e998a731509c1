/// A regular expression, parsed.
indirect enum PatternSyntax: Equatable {
  enum Greed { case greedy, lazy, possessive }
  enum Assertion { case textStart, textEnd, textEndOrFinalNewline, lineStart, lineEnd, wordBoundary, notWordBoundary }

  case empty
  case set(ScalarSet)
  case sequence([PatternSyntax])
  case alternatives([PatternSyntax])
  case repetition(PatternSyntax, minimum: Int, maximum: Int?, Greed)
  case lookahead(PatternSyntax, isNegative: Bool)
  /// One scalar back.
  case lookbehind(ScalarSet, isNegative: Bool)
  case assertion(Assertion)
  case atomic(PatternSyntax)

  var canBeEmpty: Bool {
    switch self {
    case .empty, .lookahead, .lookbehind, .assertion: true
    case .set: false
    case .sequence(let parts): parts.allSatisfy(\.canBeEmpty)
    case .alternatives(let parts): parts.contains(where: \.canBeEmpty)
    case .repetition(let body, let minimum, _, _): minimum == 0 || body.canBeEmpty
    case .atomic(let body): body.canBeEmpty
    }
  }
}

/// Why a pattern cannot be used.
package struct PatternError: Error, Equatable {
  package let reason: String
}
