internal import Foundation
internal import Primitives

/// What stands beside `tokenizer.json`: `tokenizer_config.json`, and in older directories `special_tokens_map.json`.
///
/// As in transformers 5, `add_bos_token` and `add_eos_token` do not count: the post-processor of `tokenizer.json`
/// does. Nor does `clean_up_tokenization_spaces`, which it ignores for byte-pair encodings.
struct TokenizerConfiguration {
  /// The roles of special tokens, by their names in the files.
  static let roles = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]

  /// By role.
  private(set) var named: [String: AddedToken] = [:]
  private(set) var additional: [AddedToken] = []
  /// `added_tokens_decoder`, by id.
  private(set) var added: [(id: Int, token: AddedToken)] = []
  private(set) var chatTemplate: String?

  /// All files may be absent.
  init(directory: String) throws {
    let base = URL(fileURLWithPath: directory)
    if let map = try Self.read(base.appendingPathComponent("special_tokens_map.json")) { try addNamed(map) }
    if let configuration = try Self.read(base.appendingPathComponent("tokenizer_config.json")) {
      try addNamed(configuration)
      try addDecoder(configuration)
      chatTemplate = try Self.template(configuration)
    }
    let jinja = base.appendingPathComponent("chat_template.jinja")
    if FileManager.default.fileExists(atPath: jinja.path) {
      do {
        chatTemplate = String(decoding: try Data(contentsOf: jinja), as: UTF8.self)
      } catch {
        throw TokenizerError.unreadableFile(path: jinja.path, reason: error.localizedDescription)
      }
    }
  }

  private static func read(_ url: URL) throws -> JSONNode? {
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    let node = try JSONReader.read(file: url.path)
    _ = try node.members()
    return node
  }

  private mutating func addNamed(_ node: JSONNode) throws {
    for role in Self.roles {
      if let field = node.optional(role) { named[role] = try Self.special(field) }
    }
    for name in ["additional_special_tokens", "extra_special_tokens"] {
      guard let field = node.optional(name) else { continue }
      switch field.value {
      case .array: additional = try field.elements().map(Self.special)
      case .object(let members):
        additional = try members.map { member in
          try Self.special(JSONNode(value: member.value, file: field.file, field: field.field))
        }
      default: throw field.wrongType("an array")
      }
    }
  }

  /// A string, or an object with `content` and flags.
  private static func special(_ node: JSONNode) throws -> AddedToken {
    if case .string(let content) = node.value { return AddedToken(special: Array(content.utf8)) }
    var token = try AddedToken(node)
    token.isSpecial = true
    return token
  }

  private mutating func addDecoder(_ node: JSONNode) throws {
    guard let decoder = node.optional("added_tokens_decoder") else { return }
    for (name, value) in try decoder.members() {
      let token = try AddedToken(JSONNode(value: value, file: decoder.file, field: "\(decoder.field).\(name)"))
      guard let id = Int(name), (0...Vocabulary.maximumID).contains(id) else {
        throw TokenizerError.invalidID(
          path: decoder.file, token: String(decoding: token.content, as: UTF8.self), id: name)
      }
      added.append((id, token))
    }
    added.sort { $0.id < $1.id }
    // A special token named by its text alone has the flags it was added with.
    for (role, token) in named {
      guard let known = added.first(where: { $0.token.content == token.content })?.token else { continue }
      named[role] = known
      named[role]?.isSpecial = true
    }
  }

  /// A template, or several by name, of which `default` counts.
  private static func template(_ node: JSONNode) throws -> String? {
    guard let field = node.optional("chat_template") else { return nil }
    switch field.value {
    case .string(let source): return source
    case .array:
      for entry in try field.elements() where try entry.required("name").string() == "default" {
        return try entry.required("template").string()
      }
      return nil
    default: throw field.wrongType("a string or an array of named templates")
    }
  }
}
