/// A step that cuts text into words, or rewrites them.
enum PreTokenizer: Sendable {
  enum PrependScheme: String, Sendable { case first, never, always }
  /// Single characters that act as delimiters.
  enum ScalarKind: Sendable { case number, whitespace, punctuation }

  case split(TextPattern, SplitBehavior, isInverted: Bool)
  case splitScalars(ScalarKind, SplitBehavior)
  case prefixSpace
  case byteAlphabet
  case metaspace(replacement: [UInt8], PrependScheme, splits: Bool)

  /// The steps `node` describes, sequences flattened.
  static func load(_ node: JSONNode) throws -> [PreTokenizer] {
    let type = try node.type()
    switch type {
    case "Sequence": return try node.required("pretokenizers").elements().flatMap(load)
    case "ByteLevel": return try byteLevel(node)
    case "Digits":
      let isIndividual = try node.flag("individual_digits", default: false)
      return [.splitScalars(.number, isIndividual ? .isolated : .contiguous)]
    case "Punctuation":
      return [.splitScalars(.punctuation, try node.optional("behavior").map(SplitBehavior.init) ?? .isolated)]
    case "WhitespaceSplit": return [.splitScalars(.whitespace, .removed)]
    case "Whitespace":
      return [.split(try compiled(#"\w+|[^\w\s]+"#, node), .removed, isInverted: true)]
    case "CharDelimiterSplit":
      return [.split(.literal(try node.required("delimiter").bytes()), .removed, isInverted: false)]
    case "Split":
      let behavior = try SplitBehavior(node.required("behavior"))
      let isInverted = try node.flag("invert", default: false)
      return [.split(try TextPattern(node.required("pattern")), behavior, isInverted: isInverted)]
    case "Metaspace": return [try metaspace(node)]
    default: throw node.unsupportedComponent(type)
    }
  }

  private static func compiled(_ source: String, _ node: JSONNode) throws -> TextPattern {
    do {
      return .program(try PatternProgram(Array(source.utf8)))
    } catch {
      throw TokenizerError.unsupportedPattern(
        path: node.file, field: node.field, pattern: source, reason: error.reason)
    }
  }

  private static func byteLevel(_ node: JSONNode) throws -> [PreTokenizer] {
    var steps: [PreTokenizer] = []
    if try node.flag("add_prefix_space", default: true) { steps.append(.prefixSpace) }
    if try node.flag("use_regex", default: true) { steps.append(.split(.words(.gpt2), .isolated, isInverted: false)) }
    return steps + [.byteAlphabet]
  }

  private static func metaspace(_ node: JSONNode) throws -> PreTokenizer {
    let scheme = try MetaspaceOptions.scheme(node)
    let replacement = try MetaspaceOptions.replacement(node)
    return .metaspace(replacement: replacement, scheme, splits: try node.flag("split", default: true))
  }

  /// How many times as long it can make a text.
  var growth: Int {
    switch self {
    case .split, .splitScalars: 1
    case .prefixSpace, .byteAlphabet: 2
    case .metaspace(let replacement, _, _): 2 * replacement.count
    }
  }

  func apply(_ pieces: inout Pieces) {
    switch self {
    case .split(.words(let pattern), .isolated, _):
      pieces.split { bytes, range, parts in pattern.split(bytes, range: range, into: &parts) }
    case .split(let pattern, let behavior, let isInverted):
      var matches: [Range<Int>] = []
      pieces.split { bytes, range, parts in
        matches.removeAll(keepingCapacity: true)
        pattern.matches(in: bytes, range: range, into: &matches)
        behavior.apply(matches, in: range, isInverted: isInverted, into: &parts)
      }
    case .splitScalars(let kind, let behavior): kind.split(&pieces, behavior)
    case .prefixSpace:
      let isReady = pieces.ranges.allSatisfy { pieces.text[$0.lowerBound] == 0x20 }
      guard !isReady else { return }
      pieces.rewrite { bytes, _, text in
        if bytes.first != 0x20 { text.append(0x20) }
        text.append(contentsOf: bytes)
      }
    case .byteAlphabet:
      pieces.rewrite { bytes, _, text in ByteAlphabet.append(bytes, to: &text) }
    case .metaspace(let replacement, let scheme, let splits):
      pieces.rewrite { bytes, startsInput, text in
        let prepends = scheme == .always || (scheme == .first && startsInput)
        if prepends, bytes.first != 0x20, !bytes.starts(with: replacement) { text.append(contentsOf: replacement) }
        for byte in bytes {
          if byte == 0x20 { text.append(contentsOf: replacement) } else { text.append(byte) }
        }
      }
      guard splits else { return }
      let pattern = PreTokenizer.split(.literal(replacement), .mergedWithNext, isInverted: false)
      pattern.apply(&pieces)
    }
  }
}

/// The options that Metaspace has as a pre-tokenizer and as a decoder.
enum MetaspaceOptions {
  static func replacement(_ node: JSONNode) throws -> [UInt8] {
    let field = try node.required("replacement")
    let text = try field.bytes()
    guard UTF8Text.scalars(of: text).count == 1 else { throw field.wrongType("one character") }
    return text
  }

  static func scheme(_ node: JSONNode) throws -> PreTokenizer.PrependScheme {
    var scheme = PreTokenizer.PrependScheme.always
    if let field = node.optional("prepend_scheme") {
      guard let named = PreTokenizer.PrependScheme(rawValue: try field.string()) else {
        throw TokenizerError.unsupportedOption(
          path: node.file, field: field.field, value: try field.string().debugDescription)
      }
      scheme = named
    }
    // The older dialect has only add_prefix_space.
    if let adds = node.optional("add_prefix_space"), try !adds.bool() {
      guard scheme == .never || node.optional("prepend_scheme") == nil else {
        throw TokenizerError.unsupportedOption(
          path: node.file, field: adds.field, value: "false together with prepend_scheme '\(scheme.rawValue)'")
      }
      return .never
    }
    return scheme
  }
}

extension PreTokenizer.ScalarKind {
  /// The reference takes numbers and punctuation from newer tables than its regular expressions do.
  private func contains(_ value: UInt32) -> Bool {
    guard let scalar = Unicode.Scalar(value) else { return false }
    switch self {
    case .whitespace: return scalar.properties.isWhitespace
    case .number: return CategoryMask.number.contains(Category(scalar.properties.generalCategory))
    case .punctuation:
      switch value {
      case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: return true
      default: return CategoryMask.punctuation.contains(Category(scalar.properties.generalCategory))
      }
    }
  }

  fileprivate func split(_ pieces: inout Pieces, _ behavior: SplitBehavior) {
    let ascii = (UInt32(0)..<128).map(contains)
    ascii.withUnsafeBufferPointer { ascii in
      var matches: [Range<Int>] = []
      pieces.split { bytes, range, parts in
        matches.removeAll(keepingCapacity: true)
        var position = range.lowerBound
        while position < range.upperBound {
          let first = bytes[position]
          if first < 0x80 {
            if ascii[Int(first)] { matches.append(position..<position + 1) }
            position += 1
          } else {
            let (scalar, length) = UTF8Text.scalar(in: bytes, at: position)
            if contains(scalar) { matches.append(position..<position + length) }
            position += length
          }
        }
        if matches.isEmpty {
          parts.append(range)
        } else {
          behavior.apply(matches, in: range, isInverted: false, into: &parts)
        }
      }
    }
  }
}
