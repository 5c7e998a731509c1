/// A token beside the model's own, found in the text before anything else happens to it.
struct AddedToken: Equatable, Sendable {
  var content: [UInt8]
  /// Matches only between non-word characters.
  var isSingleWord = false
  /// Takes the white space before it along.
  var stripsLeft = false
  var stripsRight = false
  /// Looked for in normalized text, in its normalized form.
  var isNormalized = false
  /// Left out of decoded text on request.
  var isSpecial = false

  init(special content: [UInt8]) {
    self.content = content
    isSpecial = true
  }

  init(_ node: JSONNode) throws {
    content = try node.required("content").bytes()
    isSpecial = try node.flag("special", default: false)
    isSingleWord = try node.flag("single_word", default: false)
    stripsLeft = try node.flag("lstrip", default: false)
    stripsRight = try node.flag("rstrip", default: false)
    isNormalized = try node.flag("normalized", default: !isSpecial)
  }
}

/// All added tokens, and where they occur in a text.
struct AddedTokens: Sendable {
  private(set) var tokens: [Int: AddedToken] = [:]
  /// By id: the form in which a token with `isNormalized` occurs in text.
  private(set) var normalizedForms: [Int: [UInt8]] = [:]
  private var ids = ByteTable(minimumCapacity: 16)
  private var special = ByteTable(minimumCapacity: 16)
  private var plain = TokenTrie()
  private var normalized = TokenTrie()

  var maximumID: Int { tokens.keys.max() ?? -1 }
  var isEmpty: Bool { tokens.isEmpty }
  var hasNormalizedTokens: Bool { !normalized.isEmpty }
  /// Whether the text around a token decides if it is one.
  var dependOnSurroundings: Bool { tokens.values.contains(where: \.isSingleWord) }

  func id(of content: [UInt8]) -> Int? { ids.value(of: content) }
  func isSpecial(_ content: [UInt8]) -> Bool { special.value(of: content) != nil }

  /// Adds `token` under `id`, or replaces its flags.
  mutating func insert(_ token: AddedToken, id: Int, normalizers: [TextNormalizer]) {
    guard !token.content.isEmpty else { return }
    _ = ids.insert(token.content, id)
    if token.isSpecial { _ = special.insert(token.content, id) }
    tokens[id] = token
    normalizedForms[id] = nil
    if token.isNormalized {
      let form = normalizers.reduce(token.content) { $1.apply($0) }
      if form != token.content { normalizedForms[id] = form }
    }
  }

  /// Call after the last insertion.
  mutating func seal() {
    plain = TokenTrie()
    normalized = TokenTrie()
    for (id, token) in tokens.sorted(by: { $0.key < $1.key }) {
      if token.isNormalized {
        normalized.insert(normalizedForms[id] ?? token.content, id: id)
      } else {
        plain.insert(token.content, id: id)
      }
    }
  }

  /// Cuts `range` at the tokens that are looked for before normalization, or after it.
  func split(
    _ bytes: UnsafeBufferPointer<UInt8>, isNormalized: Bool, _ body: (Range<Int>, Int?) -> Void
  ) {
    let trie = isNormalized ? normalized : plain
    var position = 0
    var pending = 0
    while let (match, id) = trie.firstMatch(in: bytes, from: position) {
      position = match.upperBound
      guard let token = tokens[id] else { continue }
      var (start, end) = (match.lowerBound, match.upperBound)
      if token.isSingleWord, Self.endsWithWord(bytes, start) || Self.startsWithWord(bytes, end) { continue }
      if token.stripsLeft {
        while start > pending, let before = Self.spaceBefore(start, in: bytes) { start = max(before, pending) }
      }
      if token.stripsRight {
        while let after = Self.spaceAfter(end, in: bytes) { end = after }
      }
      if pending < start { body(pending..<start, nil) }
      body(start..<end, id)
      pending = end
    }
    if pending < bytes.count { body(pending..<bytes.count, nil) }
  }

  private static func spaceBefore(_ position: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    guard position > 0 else { return nil }
    let start = UTF8Text.start(before: position, in: bytes)
    return ScalarClass.of(UTF8Text.scalar(in: bytes, at: start).value).isWhitespace ? start : nil
  }

  private static func spaceAfter(_ position: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    guard position < bytes.count else { return nil }
    let (scalar, length) = UTF8Text.scalar(in: bytes, at: position)
    return ScalarClass.of(scalar).isWhitespace ? position + length : nil
  }

  private static func startsWithWord(_ bytes: UnsafeBufferPointer<UInt8>, _ position: Int) -> Bool {
    position < bytes.count && isWord(UTF8Text.scalar(in: bytes, at: position).value)
  }

  private static func endsWithWord(_ bytes: UnsafeBufferPointer<UInt8>, _ position: Int) -> Bool {
    position > 0 && isWord(UTF8Text.scalar(in: bytes, at: UTF8Text.start(before: position, in: bytes)).value)
  }

  /// `\w` as Unicode's annex on regular expressions has it: alphabetic, marks, decimal digits, connectors, joiners.
  private static func isWord(_ value: UInt32) -> Bool {
    guard let scalar = Unicode.Scalar(value) else { return false }
    let mask = CategoryMask.mark.union(.decimalNumber).union(.connectorPunctuation)
    return scalar.properties.isAlphabetic || value == 0x200C || value == 0x200D
      || mask.contains(Category(scalar.properties.generalCategory))
  }
}

/// Byte strings with ids, to be found leftmost, then longest.
struct TokenTrie: Sendable {
  /// Node times 256 plus byte to node.
  private var edges: [Int: Int] = [:]
  private var ids: [Int] = [-1]
  private var firstBytes = [Bool](repeating: false, count: 256)

  var isEmpty: Bool { edges.isEmpty }

  /// Of two equal strings the first one counts.
  mutating func insert(_ text: [UInt8], id: Int) {
    guard let first = text.first else { return }
    firstBytes[Int(first)] = true
    var node = 0
    for byte in text {
      if let next = edges[node << 8 | Int(byte)] {
        node = next
      } else {
        edges[node << 8 | Int(byte)] = ids.count
        node = ids.count
        ids.append(-1)
      }
    }
    if ids[node] < 0 { ids[node] = id }
  }

  func firstMatch(in bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> (Range<Int>, id: Int)? {
    guard !isEmpty else { return nil }
    return firstBytes.withUnsafeBufferPointer { firstBytes in
      var position = start
      while position < bytes.count {
        if firstBytes[Int(bytes[position])], let (end, id) = longest(in: bytes, at: position) {
          return (position..<end, id)
        }
        position += 1
      }
      return nil
    }
  }

  private func longest(in bytes: UnsafeBufferPointer<UInt8>, at start: Int) -> (end: Int, id: Int)? {
    var best: (Int, Int)?
    var node = 0
    var position = start
    while position < bytes.count, let next = edges[node << 8 | Int(bytes[position])] {
      node = next
      position += 1
      if ids[node] >= 0 { best = (position, ids[node]) }
    }
    return best
  }
}
