internal import Primitives

extension BPEModel {
  /// - Parameter takesBytes: the pre-tokenizer ends with the byte-level alphabet. Words then come as plain bytes when
  /// the
  ///   vocabulary holds all 256 of its characters, which ``takesPlainBytes`` tells.
  init(_ node: JSONNode, takesBytes: Bool) throws {
    try Self.check(node)
    vocabulary = try Vocabulary(try node.required("vocab"))
    let merges = try Self.merges(try node.required("merges"), vocabulary)
    self.merges = MergeTable(merges)
    fusesUnknown = try node.flag("fuse_unk", default: false)
    ignoresMerges = try node.flag("ignore_merges", default: false)
    if let unknown = node.optional("unk_token") {
      guard let id = vocabulary.id(of: try unknown.bytes()) else {
        throw TokenizerError.unknownToken(path: node.file, field: unknown.field, token: try unknown.string())
      }
      unknownID = id
    } else {
      unknownID = nil
    }
    let vocabulary = vocabulary
    if try node.flag("byte_fallback", default: false) {
      byteFallback = (UInt8.min...UInt8.max).map { vocabulary.id(of: Self.fallbackToken($0)) }
    } else {
      byteFallback = []
    }
    let alphabet = ByteAlphabet.scalars.map { scalar in
      var token: [UInt8] = []
      UTF8Text.append(scalar, to: &token)
      return vocabulary.id(of: token)
    }
    let plain = takesBytes && alphabet.allSatisfy { $0 != nil }
    byteSymbols = plain ? alphabet.map { UInt32($0 ?? 0) } : []
    wholeWords = plain && ignoresMerges ? vocabulary.byteLevelTable() : nil
    cutsAtMarks = !plain && !ignoresMerges && Self.canCut(merges.lazy.map(\.merged), vocabulary)
  }

  var takesPlainBytes: Bool { !byteSymbols.isEmpty }

  /// `<0x0A>`
  static func fallbackToken(_ byte: UInt8) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    return Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)], UInt8(ascii: ">")]
  }

  private static func check(_ node: JSONNode) throws {
    if let type = node.optional("type"), try type.string() != "BPE" {
      throw node.unsupportedComponent(try type.string())
    }
    if node.optional("type") == nil, node.optional("merges") == nil {
      throw TokenizerError.missingField(path: node.file, field: "\(node.field).merges")
    }
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
      guard let option = node.optional(name) else { continue }
      let value = try option.string()
      guard value.isEmpty else {
        throw TokenizerError.unsupportedOption(path: node.file, field: option.field, value: value.debugDescription)
      }
    }
    if let dropout = node.optional("dropout") {
      switch dropout.value {
      case .integer(0): break
      case .numeral(let text) where Double(text) == 0: break
      case .numeral(let text):
        throw TokenizerError.unsupportedOption(path: node.file, field: dropout.field, value: text)
      default: throw dropout.wrongType("null or 0")
      }
    }
  }

  /// Merges are written `"a b"` or `["a", "b"]`.
  private static func merges(
    _ node: JSONNode, _ vocabulary: Vocabulary
  ) throws -> [(left: Int, right: Int, merged: Int)] {
    guard case .array(let values) = node.value else { throw node.wrongType("an array") }
    var merges: [(left: Int, right: Int, merged: Int)] = []
    merges.reserveCapacity(values.count)
    for (index, value) in values.enumerated() {
      guard let (left, right) = try pair(value, index, node) else { continue }
      func id(_ token: [UInt8]) throws -> Int {
        guard let id = vocabulary.id(of: token) else {
          throw TokenizerError.unknownMergeToken(
            path: node.file, index: index, token: String(decoding: token, as: UTF8.self))
        }
        return id
      }
      merges.append((try id(left), try id(right), try id(left + right)))
    }
    return merges
  }

  private static func pair(_ value: JSONValue, _ index: Int, _ node: JSONNode) throws -> ([UInt8], [UInt8])? {
    switch value {
    case .array(let parts):
      if parts.count == 2, case .string(let left) = parts[0], case .string(let right) = parts[1] {
        return (Array(left.utf8), Array(right.utf8))
      }
      throw TokenizerError.malformedMerge(path: node.file, index: index, merge: "[\(parts.count) elements]")
    case .string(let text):
      let bytes = text.utf8
      if bytes.starts(with: "#version".utf8) { return nil }
      guard let space = bytes.firstIndex(of: 0x20), bytes.lastIndex(of: 0x20) == space else {
        throw TokenizerError.malformedMerge(path: node.file, index: index, merge: text)
      }
      return (Array(bytes[..<space]), Array(bytes[bytes.index(after: space)...]))
    default:
      throw TokenizerError.wrongType(
        path: node.file, field: "\(node.field)[\(index)]", expected: "a string or an array of two strings")
    }
  }

  /// Whether ▁ is a token, and no merge makes a token in which ▁ follows another character.
  private static func canCut(_ merged: some Swift.Sequence<Int>, _ vocabulary: Vocabulary) -> Bool {
    guard vocabulary.id(of: mark) != nil else { return false }
    return merged.allSatisfy { id in
      guard let token = vocabulary.token(id) else { return true }
      var followsOther = false
      var position = 0
      while position < token.count {
        let isMark = token[position...].starts(with: mark)
        if isMark, followsOther { return false }
        followsOther = !isMark
        position += isMark ? 3 : 1
      }
      return true
    }
  }
}
