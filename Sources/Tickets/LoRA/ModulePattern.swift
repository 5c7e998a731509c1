/// A regular expression over module names, as PEFT's `rank_pattern` and `alpha_pattern` hold them: it fits a name from its beginning, or
/// from behind some dot, to its end (Python's `(.*\.)?(PATTERN)$`).
///
/// All ways to match are followed at the same time (Thompson 1968), so that the time is at most the name's length times
/// ``maximumStateCount``, whatever the pattern. Read are literals, `.`, classes, groups, `|`, `*`, `+`, `?`, `{m,n}`, `^`, `$`, and the escapes
/// `\d`, `\w`, `\s` and their opposites; look-around, back-references, flags and `\b` are refused.
package struct ModulePattern: Equatable, Sendable {
  /// Why a pattern cannot be used.
  package struct Malformed: Error, Equatable { package let reason: String }

  static let maximumStateCount = 2000

  enum State: Equatable, Sendable {
    case one(ModuleCharacters)
    case split(Int, Int)
    case jump(Int)
    case start
    case end
    case match
  }

  private let states: [State]
  /// How much a match costs, roughly: where a pattern branches, all of its states may be followed with every character.
  let cost: Int

  package init(_ pattern: String) throws(Malformed) {
    var compiler = Compiler()
    try compiler.compile(try ModulePatternParser.parse(pattern))
    states = compiler.states + [.match]
    let branches = states.contains { if case .split = $0 { true } else { false } }
    cost = branches ? 12 * states.count : states.count
  }

  package func matches(_ name: String) -> Bool {
    let scalars = Array(name.unicodeScalars)
    var threads = Threads(states: states, count: scalars.count)
    for position in 0...scalars.count {
      let isAfterDot = position > 0 && scalars[position - 1] == "."
      if position == 0 || isAfterDot { threads.follow(0, at: position, in: scalars) }
      if position == scalars.count { break }
      threads.advance(over: scalars[position], to: position + 1, in: scalars)
    }
    return threads.holdsMatch
  }

  // MARK: - Matching

  /// The states that the part read so far can be in.
  private struct Threads {
    let states: [State]
    private var active: [Int] = []
    /// The position at which a state was entered last.
    private var entered: [Int]
    private var pending: [Int] = []

    init(states: [State], count: Int) {
      self.states = states
      entered = Array(repeating: -1, count: states.count)
    }

    var holdsMatch: Bool { active.contains { states[$0] == .match } }

    /// Enters a state and all that it leads to without a character.
    mutating func follow(_ first: Int, at position: Int, in scalars: [Unicode.Scalar]) {
      pending.append(first)
      while let index = pending.popLast() {
        guard entered[index] != position else { continue }
        entered[index] = position
        switch states[index] {
        case .one, .match: active.append(index)
        case .jump(let target): pending.append(target)
        case .split(let left, let right): pending += [right, left]
        case .start: if position == 0 { pending.append(index + 1) }
        case .end: if position == scalars.count { pending.append(index + 1) }
        }
      }
    }

    mutating func advance(over scalar: Unicode.Scalar, to position: Int, in scalars: [Unicode.Scalar]) {
      let before = active
      active = []
      for index in before {
        guard case .one(let characters) = states[index], characters.contains(scalar) else { continue }
        follow(index + 1, at: position, in: scalars)
      }
    }
  }

  // MARK: - Compiling

  private struct Compiler {
    private(set) var states: [State] = []
    private var steps = 0

    mutating func compile(_ syntax: ModulePatternSyntax) throws(Malformed) {
      // Steps too: what is empty makes no states, however often it is repeated.
      steps += 1
      guard states.count < ModulePattern.maximumStateCount, steps <= 2 * ModulePattern.maximumStateCount else {
        throw Malformed(reason: "it is too long when its repetitions are written out")
      }
      switch syntax {
      case .one(let characters): states.append(.one(characters))
      case .start: states.append(.start)
      case .end: states.append(.end)
      case .sequence(let parts): for part in parts { try compile(part) }
      case .alternatives(let parts): try compile(alternatives: parts)
      case .repetition(let body, let least, let most): try compile(body, least, most)
      }
    }

    private mutating func compile(alternatives parts: [ModulePatternSyntax]) throws(Malformed) {
      var jumps: [Int] = []
      for (number, part) in parts.enumerated() {
        guard number + 1 < parts.count else {
          try compile(part)
          break
        }
        let split = states.count
        states.append(.match)
        try compile(part)
        jumps.append(states.count)
        states.append(.match)
        states[split] = .split(split + 1, states.count)
      }
      for jump in jumps { states[jump] = .jump(states.count) }
    }

    private mutating func compile(_ body: ModulePatternSyntax, _ least: Int, _ most: Int?) throws(Malformed) {
      for _ in 0..<least { try compile(body) }
      if let most {
        var splits: [Int] = []
        for _ in least..<most {
          splits.append(states.count)
          states.append(.match)
          try compile(body)
        }
        for split in splits { states[split] = .split(split + 1, states.count) }
      } else {
        let split = states.count
        states.append(.match)
        try compile(body)
        states.append(.jump(split))
        states[split] = .split(split + 1, states.count)
      }
    }
  }
}

/// Characters that a place in a pattern takes.
struct ModuleCharacters: Equatable, Sendable {
  var ranges: [ClosedRange<UInt32>]
  var isNegated = false

  init(_ ranges: [ClosedRange<UInt32>], isNegated: Bool = false) {
    self.ranges = ranges
    self.isNegated = isNegated
  }

  init(_ scalar: Unicode.Scalar) { self.init([scalar.value...scalar.value]) }

  static let notNewline = ModuleCharacters([10...10], isNegated: true)

  func contains(_ scalar: Unicode.Scalar) -> Bool { ranges.contains { $0.contains(scalar.value) } != isNegated }
}
