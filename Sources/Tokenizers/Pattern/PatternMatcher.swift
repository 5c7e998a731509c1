/// Runs a program over one piece of text. Assertions see the piece only, not what stands around it.
struct PatternMatcher {
  private let bytes: UnsafeBufferPointer<UInt8>
  private let range: Range<Int>
  private var stack: [Choice] = []
  /// How many more steps may be taken.
  private var steps: Int

  /// Patterns that real tokenizers use take a few steps a byte; one that tries the same again and again is stopped here.
  private static let stepsPerByte = 5000

  /// Where to go on when the present way fails.
  private struct Choice {
    let instruction: Int
    var position: Int
    /// Of a greedy run: the least position, to which `position` falls back one scalar at a time.
    /// Of a lazy run: how many more scalars it may take.
    let limit: Int
    /// The lazy run's own instruction, else -1.
    let lazyRun: Int
  }

  init(bytes: UnsafeBufferPointer<UInt8>, range: Range<Int>) {
    self.bytes = bytes
    self.range = range
    steps = (range.count + 4) * Self.stepsPerByte
  }

  /// All matches from left to right; an empty one is left out where the previous match ended. A pattern that takes more than
  /// ``stepsPerByte`` finds nothing more in the text.
  static func matches(
    of program: PatternProgram, in bytes: UnsafeBufferPointer<UInt8>, range: Range<Int>,
    into found: inout [Range<Int>]
  ) {
    var matcher = PatternMatcher(bytes: bytes, range: range)
    var position = range.lowerBound
    var previousEnd = -1
    while position <= range.upperBound {
      if let end = matcher.match(program, at: position), end != position || end != previousEnd {
        found.append(position..<end)
        previousEnd = end
        if end > position {
          position = end
          continue
        }
      }
      guard position < range.upperBound, matcher.steps > 0 else { return }
      position += UTF8Text.scalar(in: bytes, at: position).length
    }
  }

  /// End of the match that starts at `start`.
  private mutating func match(_ program: PatternProgram, at start: Int) -> Int? {
    let base = stack.count
    defer { stack.removeLast(stack.count - base) }
    var index = 0
    var position = start
    while true {
      steps -= 1
      guard steps > 0 else { return nil }
      if let next = step(program, index, &position) {
        guard next >= 0 else { return position }
        index = next
      } else {
        guard let resumed = resume(program, above: base, &position) else { return nil }
        index = resumed
      }
    }
  }

  /// The next instruction, -1 when the program has matched, nil on failure.
  private mutating func step(_ program: PatternProgram, _ index: Int, _ position: inout Int) -> Int? {
    switch program.instructions[index] {
    case .match: return -1
    case .set(let set):
      guard position < range.upperBound else { return nil }
      let (scalar, length) = UTF8Text.scalar(in: bytes, at: position)
      guard set.contains(scalar) else { return nil }
      position += length
    case .run(let set, let minimum, let maximum, let greed):
      return run(set, minimum, maximum, greed, index, &position)
    case .jump(let target): return target
    case .fork(let preferred, let other):
      stack.append(Choice(instruction: other, position: position, limit: position, lazyRun: -1))
      return preferred
    case .lookahead(let body, let isNegative):
      guard (match(body, at: position) != nil) != isNegative else { return nil }
    case .lookbehind(let set, let isNegative):
      guard (scalarBefore(position).map(set.contains) ?? false) != isNegative else { return nil }
    case .assertion(let assertion): guard holds(assertion, at: position) else { return nil }
    case .atomic(let body):
      guard let end = match(body, at: position) else { return nil }
      position = end
    }
    return index + 1
  }

  private mutating func run(
    _ set: ScalarSet, _ minimum: Int, _ maximum: Int, _ greed: PatternSyntax.Greed, _ index: Int,
    _ position: inout Int
  ) -> Int? {
    var cursor = position
    var count = 0
    var floor = minimum == 0 ? position : -1
    let wanted = greed == .lazy ? minimum : maximum
    while count < wanted, cursor < range.upperBound {
      let (scalar, length) = UTF8Text.scalar(in: bytes, at: cursor)
      guard set.contains(scalar) else { break }
      cursor += length
      count += 1
      if count == minimum { floor = cursor }
    }
    steps -= count
    guard floor >= 0 else { return nil }
    position = cursor
    if greed == .greedy, cursor > floor {
      let back = UTF8Text.start(before: cursor, in: bytes)
      stack.append(Choice(instruction: index + 1, position: back, limit: floor, lazyRun: -1))
    } else if greed == .lazy, maximum > minimum {
      let more = maximum == .max ? Int.max : maximum - minimum
      stack.append(Choice(instruction: index + 1, position: cursor, limit: more, lazyRun: index))
    }
    return index + 1
  }

  /// Takes up the latest choice that leads on; nil when none is left above `base`.
  private mutating func resume(_ program: PatternProgram, above base: Int, _ position: inout Int) -> Int? {
    while stack.count > base {
      var choice = stack.removeLast()
      guard choice.lazyRun >= 0 else {
        position = choice.position
        if choice.position > choice.limit {
          choice.position = UTF8Text.start(before: choice.position, in: bytes)
          stack.append(choice)
        }
        return choice.instruction
      }
      guard case .run(let set, _, _, _) = program.instructions[choice.lazyRun], choice.position < range.upperBound
      else { continue }
      let (scalar, length) = UTF8Text.scalar(in: bytes, at: choice.position)
      guard set.contains(scalar) else { continue }
      position = choice.position + length
      if choice.limit > 1 {
        let left = choice.limit == .max ? Int.max : choice.limit - 1
        stack.append(
          Choice(instruction: choice.instruction, position: position, limit: left, lazyRun: choice.lazyRun))
      }
      return choice.instruction
    }
    return nil
  }

  private func scalarBefore(_ position: Int) -> UInt32? {
    guard position > range.lowerBound else { return nil }
    return UTF8Text.scalar(in: bytes, at: UTF8Text.start(before: position, in: bytes)).value
  }

  private func isWord(at position: Int) -> Bool {
    position < range.upperBound && ScalarClass.of(UTF8Text.scalar(in: bytes, at: position).value).isWord
  }

  private func holds(_ assertion: PatternSyntax.Assertion, at position: Int) -> Bool {
    let isWordBefore = scalarBefore(position).map { ScalarClass.of($0).isWord } ?? false
    switch assertion {
    case .textStart: return position == range.lowerBound
    case .textEnd: return position == range.upperBound
    case .textEndOrFinalNewline:
      return position == range.upperBound || (position == range.upperBound - 1 && bytes[position] == 0x0A)
    case .lineStart:
      return position == range.lowerBound || (position < range.upperBound && bytes[position - 1] == 0x0A)
    case .lineEnd: return position == range.upperBound || bytes[position] == 0x0A
    case .wordBoundary: return isWordBefore != isWord(at: position)
    case .notWordBoundary: return isWordBefore == isWord(at: position)
    }
  }
}
