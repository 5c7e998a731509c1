/// A regular expression compiled for a backtracking machine over UTF-8, with the meaning Oniguruma gives it: the first
/// alternative that leads to a match wins.
///
/// The machine keeps its choices on a stack of its own, so text of any length is safe.
package struct PatternProgram: Sendable {
  enum Instruction: Sendable {
    case set(ScalarSet)
    /// As many members as possible (or as few), one choice on the stack for all of them.
    case run(ScalarSet, minimum: Int, maximum: Int, PatternSyntax.Greed)
    case jump(Int)
    case fork(preferred: Int, other: Int)
    case lookahead(PatternProgram, isNegative: Bool)
    case lookbehind(ScalarSet, isNegative: Bool)
    case assertion(PatternSyntax.Assertion)
    case atomic(PatternProgram)
    case match
  }

  private(set) var instructions: [Instruction] = []
  private static let maximumLength = 20_000
  /// Parts compiled: what is empty makes no instructions however often it is repeated, and programs within a program count too.
  private static let maximumWork = 100_000

  package init(_ source: [UInt8]) throws(PatternError) {
    try self.init(PatternParser.parse(source))
  }

  init(_ syntax: PatternSyntax) throws(PatternError) {
    var work = 0
    try self.init(syntax, &work)
  }

  private init(_ syntax: PatternSyntax, _ work: inout Int) throws(PatternError) {
    try compile(syntax, &work)
    instructions.append(.match)
  }

  /// The matches in a whole text.
  package func matches(in text: String) -> [String] {
    Array(text.utf8).withUnsafeBufferPointer { bytes in
      var ranges: [Range<Int>] = []
      PatternMatcher.matches(of: self, in: bytes, range: 0..<bytes.count, into: &ranges)
      return ranges.map { String(decoding: bytes[$0], as: UTF8.self) }
    }
  }

  private mutating func compile(_ syntax: PatternSyntax, _ work: inout Int) throws(PatternError) {
    work += 1
    guard instructions.count < Self.maximumLength, work <= Self.maximumWork else {
      throw PatternError(reason: "too long when expanded")
    }
    switch syntax {
    case .empty: break
    case .set(let set): instructions.append(.set(set))
    case .sequence(let parts): for part in parts { try compile(part, &work) }
    case .alternatives(let parts): try compile(alternatives: parts, &work)
    case .repetition(let body, let minimum, let maximum, let greed):
      try compile(body, minimum: minimum, maximum: maximum, greed: greed, &work)
    case .lookahead(let body, let isNegative):
      instructions.append(.lookahead(try PatternProgram(body, &work), isNegative: isNegative))
    case .lookbehind(let set, let isNegative): instructions.append(.lookbehind(set, isNegative: isNegative))
    case .assertion(let assertion): instructions.append(.assertion(assertion))
    case .atomic(let body): instructions.append(.atomic(try PatternProgram(body, &work)))
    }
  }

  private mutating func compile(alternatives parts: [PatternSyntax], _ work: inout Int) throws(PatternError) {
    var jumps: [Int] = []
    for (index, part) in parts.enumerated() {
      guard index + 1 < parts.count else {
        try compile(part, &work)
        break
      }
      let fork = instructions.count
      instructions.append(.match)
      try compile(part, &work)
      jumps.append(instructions.count)
      instructions.append(.match)
      instructions[fork] = .fork(preferred: fork + 1, other: instructions.count)
    }
    for jump in jumps { instructions[jump] = .jump(instructions.count) }
  }

  private mutating func compile(
    _ body: PatternSyntax, minimum: Int, maximum: Int?, greed: PatternSyntax.Greed, _ work: inout Int
  ) throws(PatternError) {
    if case .set(let set) = body {
      instructions.append(.run(set, minimum: minimum, maximum: maximum ?? .max, greed))
      return
    }
    guard greed != .possessive else {
      let inner = PatternSyntax.repetition(body, minimum: minimum, maximum: maximum, .greedy)
      instructions.append(.atomic(try PatternProgram(inner, &work)))
      return
    }
    for _ in 0..<minimum { try compile(body, &work) }
    func fork(into: Int, past: Int) -> Instruction {
      greed == .greedy ? .fork(preferred: into, other: past) : .fork(preferred: past, other: into)
    }
    if let maximum {
      var forks: [Int] = []
      for _ in minimum..<maximum {
        forks.append(instructions.count)
        instructions.append(.match)
        try compile(body, &work)
      }
      for index in forks { instructions[index] = fork(into: index + 1, past: instructions.count) }
    } else {
      guard !body.canBeEmpty else { throw PatternError(reason: "an unbounded repetition of something empty") }
      let start = instructions.count
      instructions.append(.match)
      try compile(body, &work)
      instructions.append(.jump(start))
      instructions[start] = fork(into: start + 1, past: instructions.count)
    }
  }
}
