/// Merge rules of a BPE tokenizer: pairs of tokens, the first applied first.
enum GGUFMerges {
  /// The stored rules of a byte-level tokenizer, whose tokens hold no spaces.
  static func read(_ file: GGUFFile) throws -> [(String, String)] {
    try file.strings("tokenizer.ggml.merges").enumerated().map { index, text in
      let parts = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, let left = String(parts[0]),
        let right = String(parts[1])
      else { throw GGUFError.malformedMerge(path: file.path, index: index, text: text) }
      return (left, right)
    }
  }

  /// Rules that make BPE do what SentencePiece does with scores.
  ///
  /// SentencePiece joins the neighbours whose union is the token of highest score. So each way to split a token into
  /// two tokens is a rule, and rules are ordered by the score of what they make. Ties: longer left part first, then
  /// longer right part, then order of the vocabulary; transformers' converter does the same.
  /// Control, unknown and byte tokens never come from text, so no rule makes them.
  static func derive(_ file: GGUFFile, tokens: [String], kinds: [GGUFTokenKind]) throws -> [(String, String)] {
    let key = "tokenizer.ggml.scores"
    guard let scores = try file.optionalArray(key, count: tokens.count, "float32 numbers", { $0.floats }) else {
      throw GGUFError.missingKey(path: file.path, key: key)
    }
    guard scores.allSatisfy({ !$0.isNaN }) else {
      throw GGUFError.invalidValue(path: file.path, key: key, problem: "holds NaN")
    }
    // Every place to split a token is looked up twice, which takes the square of its length.
    if let long = tokens.indices.first(where: { tokens[$0].utf8.count > longestToken }) {
      throw GGUFError.invalidValue(
        path: file.path, key: "tokenizer.ggml.tokens",
        problem: "gives token \(long) \(tokens[long].utf8.count) bytes; at most \(longestToken) are allowed")
    }
    var idByBytes: [ArraySlice<UInt8>: Int] = [:]
    idByBytes.reserveCapacity(tokens.count)
    for (id, token) in tokens.enumerated() where isMade(kinds[id]) { idByBytes[ArraySlice(token.utf8)] = id }

    var rules: [Rule] = []
    for (id, token) in tokens.enumerated() where isMade(kinds[id]) {
      append(splits(of: token, score: scores[id], idByBytes), to: &rules)
    }
    // The last key makes the order total, since the standard sort promises nothing about equal elements.
    rules.sort { first, second in
      if first.score != second.score { return first.score > second.score }
      if first.leftLength != second.leftLength { return first.leftLength > second.leftLength }
      if first.rightLength != second.rightLength { return first.rightLength > second.rightLength }
      return first.order < second.order
    }
    return rules.map { (tokens[$0.left], tokens[$0.right]) }
  }

  private static let longestToken = 1000

  private struct Rule {
    let left: Int
    let right: Int
    let score: Float
    /// Lengths in code points.
    let leftLength: Int
    let rightLength: Int
    var order = 0
  }

  private static func isMade(_ kind: GGUFTokenKind) -> Bool {
    switch kind {
    case .normal, .userDefined, .unused: true
    case .unknown, .control, .byte: false
    }
  }

  private static func splits(of token: String, score: Float, _ idByBytes: [ArraySlice<UInt8>: Int]) -> [Rule] {
    let bytes = Array(token.utf8)
    let length = token.unicodeScalars.count
    var rules: [Rule] = []
    var leftLength = 0
    for index in bytes.indices.dropFirst() where bytes[index] & 0xC0 != 0x80 {
      leftLength += 1
      guard let left = idByBytes[bytes[..<index]], let right = idByBytes[bytes[index...]] else { continue }
      rules.append(
        Rule(left: left, right: right, score: score, leftLength: leftLength, rightLength: length - leftLength))
    }
    return rules.sorted { ($0.left, $0.right) < ($1.left, $1.right) }
  }

  private static func append(_ local: [Rule], to rules: inout [Rule]) {
    for var rule in local {
      rule.order = rules.count
      rules.append(rule)
    }
  }
}
