/// What a token is, as GGUF's `tokenizer.ggml.token_type` says.
enum GGUFTokenKind: Int {
  case normal = 1
  case unknown = 2
  case control = 3
  case userDefined = 4
  case unused = 5
  case byte = 6
}

/// The tokenizer inside a GGUF file.
struct GGUFTokenizer {
  enum Model {
    /// Byte-level BPE, with its pre-tokenizer; merges as pairs, best first.
    case byteLevel(GGUFPreTokenizer, merges: [(String, String)])
    /// SentencePiece BPE with byte fallback; the file has scores in place of merges.
    case sentencePiece(merges: [(String, String)])
  }

  let tokens: [String]
  let kinds: [GGUFTokenKind]
  let model: Model
  /// A space goes before the text.
  let addsSpacePrefix: Bool
  let addsBOS: Bool
  let addsEOS: Bool
  let bosID: Int?
  let eosID: Int?
  let unknownID: Int?
  let paddingID: Int?
  /// Tokens that end a turn or message, beside `eosID`; generation stops at them too.
  let otherEndIDs: [Int]
  let chatTemplate: String?
  let maximumLength: Int?

  init(_ file: GGUFFile) throws {
    let modelName = try file.string("tokenizer.ggml.model")
    let tokens = try file.strings("tokenizer.ggml.tokens")
    try Self.refuseDuplicates(tokens, path: file.path)
    let kinds = try Self.readKinds(file, count: tokens.count)
    func tokenID(_ name: String) throws -> Int? {
      try file.optionalTokenID("tokenizer.ggml.\(name)_token_id", tokenCount: tokens.count)
    }

    let isSentencePiece: Bool
    let addsBOSByDefault: Bool
    switch modelName {
    case "gpt2":
      let preTokenizer = try GGUFPreTokenizer(file)
      model = .byteLevel(preTokenizer, merges: try GGUFMerges.read(file))
      isSentencePiece = false
      addsBOSByDefault = preTokenizer == .llama3
    case "llama":
      model = .sentencePiece(merges: try GGUFMerges.derive(file, tokens: tokens, kinds: kinds))
      isSentencePiece = true
      addsBOSByDefault = true
    default:
      throw GGUFError.unsupportedTokenizer(path: file.path, model: modelName)
    }
    self.tokens = tokens
    self.kinds = kinds
    bosID = try tokenID("bos")
    eosID = try tokenID("eos")
    unknownID = try tokenID("unknown") ?? kinds.firstIndex(of: .unknown)
    paddingID = try tokenID("padding")
    addsSpacePrefix = try file.optionalBool("tokenizer.ggml.add_space_prefix") ?? isSentencePiece
    addsBOS = try file.optionalBool("tokenizer.ggml.add_bos_token") ?? addsBOSByDefault && bosID != nil
    addsEOS = try file.optionalBool("tokenizer.ggml.add_eos_token") ?? false && eosID != nil
    otherEndIDs = try [tokenID("eot"), tokenID("eom")].compactMap { $0 }
    chatTemplate = try file.optionalString("tokenizer.chat_template")
    maximumLength = try file.optionalSize("llama.context_length")
  }

  /// Every id that ends a text: `eosID` first, none twice.
  var endIDs: [Int] {
    var ids: [Int] = []
    for id in [eosID].compactMap({ $0 }) + otherEndIDs where !ids.contains(id) { ids.append(id) }
    return ids
  }

  private static func readKinds(_ file: GGUFFile, count: Int) throws -> [GGUFTokenKind] {
    let key = "tokenizer.ggml.token_type"
    guard let raw = try file.optionalArray(key, count: count, "integers", { $0.integers }) else {
      return Array(repeating: .normal, count: count)
    }
    return try raw.enumerated().map { index, value in
      guard let kind = GGUFTokenKind(rawValue: value) else {
        throw GGUFError.invalidValue(
          path: file.path, key: key, problem: "gives token \(index) the unknown type \(value)")
      }
      return kind
    }
  }

  private static func refuseDuplicates(_ tokens: [String], path: String) throws {
    var firstIndex: [[UInt8]: Int] = [:]
    firstIndex.reserveCapacity(tokens.count)
    for (index, token) in tokens.enumerated() {
      if let first = firstIndex.updateValue(index, forKey: Array(token.utf8)) {
        throw GGUFError.duplicateToken(path: path, token: token, first: first, second: index)
      }
    }
  }
}

/// How text is cut into words before byte-level BPE (`tokenizer.ggml.pre`).
enum GGUFPreTokenizer: Equatable {
  /// GPT-2's pattern.
  case gpt2
  /// Every digit apart, then GPT-2's pattern.
  case digitsThenGPT2
  /// Llama 3's pattern; words that are tokens are taken whole, without merges.
  case llama3
  /// Qwen 2's pattern, on text in normal form C.
  case qwen2

  static let supportedNames = "gpt-2, default, smollm, starcoder, refact, command-r, llama-bpe, llama3, llama-v3, qwen2"

  /// Files from before the key existed count as GPT-2.
  init(_ file: GGUFFile) throws {
    let name = try file.optionalString("tokenizer.ggml.pre") ?? "default"
    switch name {
    case "gpt-2", "default": self = .gpt2
    case "smollm", "starcoder", "refact", "command-r": self = .digitsThenGPT2
    case "llama-bpe", "llama3", "llama-v3": self = .llama3
    case "qwen2": self = .qwen2
    default: throw GGUFError.unsupportedPreTokenizer(path: file.path, name: name)
    }
  }
}
