/// A step from tokens back to text, described.
enum TokenDecoder: Equatable, Sendable {
  case byteLevel
  case byteFallback
  case fuse
  case replaceLiteral([UInt8], with: [UInt8])
  case strip(scalar: [UInt8], start: Int, stop: Int)
  case metaspace(replacement: [UInt8], dropsFirst: Bool)
  /// Without a decoder the reference joins tokens with spaces.
  case joinWithSpaces

  /// The steps `node` describes, sequences flattened.
  static func load(_ node: JSONNode) throws -> [TokenDecoder] {
    let type = try node.type()
    switch type {
    case "Sequence": return try node.required("decoders").elements().flatMap(load)
    case "ByteLevel": return [.byteLevel]
    case "ByteFallback": return [.byteFallback]
    case "Fuse": return [.fuse]
    case "Replace":
      let pattern = try node.required("pattern")
      guard let literal = pattern.optional("String") else {
        throw TokenizerError.unsupportedOption(
          path: node.file, field: pattern.field, value: "a regular expression in a decoder")
      }
      return [.replaceLiteral(try literal.bytes(), with: try node.required("content").bytes())]
    case "Strip":
      let content = try node.required("content")
      guard UTF8Text.scalars(of: try content.bytes()).count == 1 else { throw content.wrongType("one character") }
      let start = try node.required("start").integer()
      let stop = try node.required("stop").integer()
      guard start >= 0, stop >= 0 else { throw node.wrongType("counts of zero or more") }
      return [.strip(scalar: try content.bytes(), start: start, stop: stop)]
    case "Metaspace":
      let replacement = try MetaspaceOptions.replacement(node)
      return [.metaspace(replacement: replacement, dropsFirst: try MetaspaceOptions.scheme(node) != .never)]
    default: throw node.unsupportedComponent(type)
    }
  }
}

extension TokenDecoder {
  /// How many times as long it can make a token's text.
  var growth: Int {
    switch self {
    case .byteLevel, .byteFallback, .fuse, .strip: 1
    case .joinWithSpaces, .metaspace: 2
    case .replaceLiteral(let pattern, let content):
      pattern.isEmpty ? 1 : max(1, (content.count + pattern.count - 1) / pattern.count)
    }
  }
}

/// Part of a token on its way to text; `ends` marks the token's last part.
struct TokenFragment: Equatable, Sendable {
  var bytes: [UInt8]
  var ends: Bool
}

/// One decoder step in progress. Steps hold back what later tokens may still change, so that decoding piece by piece
/// and decoding at once are the same thing.
struct DecoderStage: Sendable {
  private let decoder: TokenDecoder
  /// Bytes received but not passed on.
  private var held: [UInt8] = []
  /// `byteFallback`: the run of byte tokens. Whether a byte of it is text depends on the whole run.
  private var run: [UInt8] = []
  private var isFirst = true
  private var strip = StripState()

  init(_ decoder: TokenDecoder) { self.decoder = decoder }

  mutating func process(_ fragments: [TokenFragment]) -> [TokenFragment] {
    var output: [TokenFragment] = []
    output.reserveCapacity(fragments.count)
    for fragment in fragments { process(fragment, into: &output) }
    return output
  }

  private mutating func process(_ fragment: TokenFragment, into output: inout [TokenFragment]) {
    switch decoder {
    case .byteLevel:
      held += fragment.bytes
      guard fragment.ends else { return }
      run += ByteAlphabet.bytes(of: held) ?? held
      held.removeAll(keepingCapacity: true)
      let text = UTF8Text.drain(&run, isFinal: false)
      if !text.isEmpty { output.append(TokenFragment(bytes: text, ends: false)) }
    case .byteFallback:
      held += fragment.bytes
      guard fragment.ends else { return }
      if let byte = Self.fallbackByte(held) {
        run.append(byte)
      } else {
        endRun(into: &output)
        output.append(TokenFragment(bytes: held, ends: true))
      }
      held.removeAll(keepingCapacity: true)
    case .fuse: output.append(TokenFragment(bytes: fragment.bytes, ends: false))
    case .replaceLiteral(let pattern, let content):
      held += fragment.bytes
      let text = Self.replace(pattern, with: content, in: &held, isFinal: fragment.ends)
      output.append(TokenFragment(bytes: text, ends: fragment.ends))
    case .strip(let scalar, let start, let stop):
      let text = strip.process(fragment, scalar: scalar, start: start, stop: stop)
      output.append(TokenFragment(bytes: text, ends: fragment.ends))
    case .metaspace(let replacement, let dropsFirst):
      held += fragment.bytes
      guard fragment.ends else { return }
      let content: [UInt8] = isFirst && dropsFirst ? [] : [0x20]
      isFirst = false
      let text = Self.replace(replacement, with: content, in: &held, isFinal: true)
      output.append(TokenFragment(bytes: text, ends: true))
    case .joinWithSpaces:
      output.append(TokenFragment(bytes: isFirst ? fragment.bytes : [0x20] + fragment.bytes, ends: fragment.ends))
      isFirst = false
    }
  }

  /// No token follows.
  mutating func finish() -> [TokenFragment] {
    var output: [TokenFragment] = []
    switch decoder {
    case .byteLevel: output.append(TokenFragment(bytes: UTF8Text.drain(&run, isFinal: true), ends: true))
    case .byteFallback: endRun(into: &output)
    case .fuse: output.append(TokenFragment(bytes: [], ends: true))
    case .replaceLiteral, .strip, .metaspace, .joinWithSpaces: break
    }
    return output
  }

  private mutating func endRun(into output: inout [TokenFragment]) {
    guard !run.isEmpty else { return }
    if UTF8Text.isValid(run) {
      output.append(TokenFragment(bytes: run, ends: true))
    } else {
      for _ in run { output.append(TokenFragment(bytes: UTF8Text.replacementCharacter, ends: true)) }
    }
    run.removeAll(keepingCapacity: true)
  }

  /// The byte that `<0x0A>` stands for.
  private static func fallbackByte(_ token: [UInt8]) -> UInt8? {
    guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">") else { return nil }
    // The reference's parser takes a plus sign too.
    return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
  }

  /// Moves `text` out with every `pattern` replaced; unless `isFinal`, an end that may start a match stays.
  private static func replace(
    _ pattern: [UInt8], with content: [UInt8], in text: inout [UInt8], isFinal: Bool
  ) -> [UInt8] {
    guard let first = pattern.first else {
      defer { text = [] }
      return text
    }
    var output: [UInt8] = []
    output.reserveCapacity(text.count)
    var position = 0
    while position < text.count {
      if text[position] == first {
        let rest = text[position...].prefix(pattern.count)
        if rest.elementsEqual(pattern) {
          output += content
          position += pattern.count
          continue
        }
        if !isFinal, rest.count < pattern.count, pattern.starts(with: rest) { break }
      }
      output.append(text[position])
      position += 1
    }
    text.removeFirst(position)
    return output
  }
}

/// Takes up to `start` copies of a character off a token's front and up to `stop` off its end, as fragments come.
private struct StripState: Sendable {
  private var taken = 0
  private var isAtFront = true
  /// Copies that stand at the end so far, held back because they may be the token's last.
  private var pendingCopies = 0

  mutating func process(_ fragment: TokenFragment, scalar: [UInt8], start: Int, stop: Int) -> [UInt8] {
    var output: [UInt8] = []
    var rest = fragment.bytes[...]
    while isAtFront, taken < start, rest.starts(with: scalar) {
      rest = rest.dropFirst(scalar.count)
      taken += 1
    }
    if !rest.isEmpty { isAtFront = false }
    var copies = 0
    while rest.count >= scalar.count, rest.suffix(scalar.count).elementsEqual(scalar), stop > 0 {
      rest = rest.dropLast(scalar.count)
      copies += 1
    }
    if !rest.isEmpty {
      for _ in 0..<pendingCopies { output += scalar }
      pendingCopies = 0
      output += rest
    }
    pendingCopies += copies
    if fragment.ends {
      for _ in 0..<max(0, pendingCopies - stop) { output += scalar }
      self = StripState()
    }
    return output
  }
}

/// Steps in a row.
struct DecoderChain: Sendable {
  private var stages: [DecoderStage]

  init(_ decoders: [TokenDecoder]) { stages = decoders.map { DecoderStage($0) } }

  /// Text that no later token can change.
  mutating func append(_ tokens: [[UInt8]]) -> [UInt8] {
    run(tokens.map { TokenFragment(bytes: $0, ends: true) }, from: 0)
  }

  mutating func finish() -> [UInt8] {
    var text: [UInt8] = []
    for index in stages.indices {
      let fragments = stages[index].finish()
      text += run(fragments, from: index + 1)
    }
    return text
  }

  private mutating func run(_ fragments: [TokenFragment], from first: Int) -> [UInt8] {
    var fragments = fragments
    for index in first..<max(first, stages.count) where !fragments.isEmpty {
      fragments = stages[index].process(fragments)
    }
    return fragments.reduce(into: []) { $0 += $1.bytes }
  }
}
