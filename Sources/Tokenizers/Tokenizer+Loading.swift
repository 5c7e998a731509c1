internal import Foundation

/// What a tokenizer consists of, as read from its files.
struct TokenizerParts {
  let model: BPEModel
  let normalizers: [TextNormalizer]
  let preTokenizers: [PreTokenizer]
  let decoders: [TokenDecoder]
  let configuration: TokenizerConfiguration
  private(set) var added = AddedTokens()
  private(set) var postProcessor = PostProcessor()
  private let file: String
  private var nextID: Int

  init(directory: String) throws {
    file = URL(fileURLWithPath: directory).appendingPathComponent("tokenizer.json").path
    let root = try JSONReader.read(file: file)
    _ = try root.members()
    if let version = root.optional("version"), try version.string() != "1.0" {
      throw TokenizerError.unsupportedOption(path: file, field: "version", value: try version.string())
    }
    normalizers = try root.optional("normalizer").map(TextNormalizer.load) ?? []
    var steps = try root.optional("pre_tokenizer").map(PreTokenizer.load) ?? []
    var endsInBytes = false
    if case .byteAlphabet? = steps.last { endsInBytes = true }
    model = try BPEModel(try root.required("model"), takesBytes: endsInBytes)
    if model.takesPlainBytes { steps.removeLast() }
    preTokenizers = steps
    decoders = try root.optional("decoder").map(TokenDecoder.load) ?? [.joinWithSpaces]
    try Self.checkGrowth(normalizers.map(\.growth) + preTokenizers.map(\.growth), "normalizer", file)
    try Self.checkGrowth(decoders.map(\.growth), "decoder", file)
    configuration = try TokenizerConfiguration(directory: directory)
    nextID = model.vocabulary.count
    try addTokens(root)
    if let node = root.optional("post_processor") { postProcessor = try PostProcessor(node) }
  }

  /// Refuses steps that together make a text very much longer: each may double it.
  private static func checkGrowth(_ factors: [Int], _ field: String, _ file: String) throws {
    let limit = 256
    let growth = factors.reduce(1) { min($0 * min($1, limit + 1), limit + 1) }
    guard growth <= limit else {
      throw TokenizerError.unsupportedOption(
        path: file, field: field, value: "steps that can make a text more than \(limit) times as long")
    }
  }

  /// In the reference's order: the tokens of `tokenizer.json`, those of the configuration, then special tokens named
  /// only by their role. A token the vocabulary knows keeps its id, others are counted on from the vocabulary's size.
  private mutating func addTokens(_ root: JSONNode) throws {
    for node in try root.optional("added_tokens")?.elements() ?? [] {
      try add(try AddedToken(node), declaredID: try node.required("id").integer(), file: file)
    }
    let configurationFile = URL(fileURLWithPath: file).deletingLastPathComponent()
      .appendingPathComponent("tokenizer_config.json").path
    for (id, token) in configuration.added where added.tokens[id] != token {
      try add(token, declaredID: id, file: configurationFile)
    }
    for token in TokenizerConfiguration.roles.compactMap({ configuration.named[$0] }) {
      // An added token with a role keeps its flags and becomes special.
      var token = added.id(of: token.content).flatMap { added.tokens[$0] } ?? token
      token.isSpecial = true
      try add(token, declaredID: nil, file: configurationFile)
    }
    for token in configuration.additional where added.id(of: token.content) == nil {
      try add(token, declaredID: nil, file: configurationFile)
    }
    added.seal()
  }

  private mutating func add(_ token: AddedToken, declaredID: Int?, file: String) throws {
    guard !token.content.isEmpty else { return }
    let id: Int
    if let known = added.id(of: token.content) ?? model.vocabulary.id(of: token.content) {
      id = known
    } else {
      id = nextID
      nextID += 1
    }
    let text = String(decoding: token.content, as: UTF8.self)
    if let declaredID, !(0...Vocabulary.maximumID).contains(declaredID) {
      throw TokenizerError.invalidID(path: file, token: text, id: "\(declaredID)")
    }
    guard declaredID == nil || declaredID == id else {
      throw TokenizerError.addedTokenMismatch(path: file, token: text, declared: declaredID ?? id, expected: id)
    }
    added.insert(token, id: id, normalizers: normalizers)
  }
}

extension Tokenizer {
  /// Loads `tokenizer.json` and, where present, `tokenizer_config.json`, `special_tokens_map.json` and
  /// `chat_template.jinja` from a model directory.
  ///
  /// - Throws: ``TokenizerError``, which names the file and what is wrong with it.
  public convenience init(directory: String) throws {
    self.init(try TokenizerParts(directory: directory))
  }
}
