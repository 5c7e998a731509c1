internal import Primitives

/// The model's tokens, both ways. Keys are UTF-8 bytes.
struct Vocabulary: Sendable {
  /// A larger id is refused: it would only be a corrupt file, for which the table by id would be very large.
  static let maximumID = 1 << 20

  private var table: ByteTable
  /// By id; nil where the ids have a hole.
  private var tokens: [[UInt8]?]

  /// - Throws: `wrongType`, `invalidID`, `duplicateID`, `duplicateToken`.
  init(_ node: JSONNode) throws {
    let members = try node.members()
    table = ByteTable(minimumCapacity: members.count)
    tokens = []
    tokens.reserveCapacity(members.count)
    for (name, value) in members {
      let key = Array(name.utf8)
      let id: Int
      switch value {
      case .integer(let number) where (0...Self.maximumID).contains(number): id = number
      case .integer(let number): throw Self.invalid(name, "\(number)", node)
      case .numeral(let text): throw Self.invalid(name, text, node)
      default: throw node.wrongType("an object of integers")
      }
      guard table.insert(key, id) else {
        throw TokenizerError.duplicateToken(path: node.file, token: name)
      }
      if id >= tokens.count { tokens += Array(repeating: nil, count: id + 1 - tokens.count) }
      if let other = tokens[id] {
        throw TokenizerError.duplicateID(
          path: node.file, id: id, first: String(decoding: other, as: UTF8.self), second: name)
      }
      tokens[id] = key
    }
  }

  private static func invalid(_ token: String, _ id: String, _ node: JSONNode) -> TokenizerError {
    .invalidID(path: node.file, token: token, id: id)
  }

  /// Number of tokens.
  var count: Int { table.count }
  /// One more than the greatest id.
  var idLimit: Int { tokens.count }

  func id(of token: [UInt8]) -> Int? { table.value(of: token) }
  func id(of token: UnsafeBufferPointer<UInt8>) -> Int? { table.value(of: token) }

  func token(_ id: Int) -> [UInt8]? { tokens.indices.contains(id) ? tokens[id] : nil }

  /// The ids of the tokens by the bytes that the byte-level alphabet writes as them; tokens with other characters,
  /// which byte-level text never holds, are left out.
  func byteLevelTable() -> ByteTable {
    var raw = ByteTable(minimumCapacity: count)
    for (id, token) in tokens.enumerated() {
      guard let token, let bytes = ByteAlphabet.bytes(of: token) else { continue }
      _ = raw.insert(bytes, id)
    }
    return raw
  }
}
