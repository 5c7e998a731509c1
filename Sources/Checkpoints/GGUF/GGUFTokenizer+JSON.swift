import Primitives

/// The tokenizer in Hugging Face's files.
extension GGUFTokenizer {
  /// `tokenizer.json`, as the `tokenizers` library reads it.
  var tokenizerJSON: JSONValue {
    [
      "version": "1.0", "truncation": .null, "padding": .null,
      "added_tokens": .array(addedTokens.map { addedToken($0, includingID: true) }),
      "normalizer": normalizer, "pre_tokenizer": preTokenizer, "post_processor": postProcessor, "decoder": decoder,
      "model": modelJSON,
    ]
  }

  /// `tokenizer_config.json`. The generic class makes transformers use `tokenizer.json` as it is: the class it would
  /// choose for llama builds its own pre-tokenizer. The chat template is here, where releases 4 and 5 both look.
  var configurationJSON: JSONValue {
    var members: [JSONValue.Member] = [
      ("tokenizer_class", "PreTrainedTokenizerFast"),
      ("add_bos_token", .bool(addsBOS)),
      ("add_eos_token", .bool(addsEOS)),
      ("clean_up_tokenization_spaces", false),
      ("model_input_names", ["input_ids", "attention_mask"]),
    ]
    if let maximumLength { members.append(("model_max_length", .integer(maximumLength))) }
    members += namedTokens.map { ($0, .string($1)) }
    members.append(
      ("added_tokens_decoder", .object(addedTokens.map { ("\($0)", addedToken($0, includingID: false)) })))
    if let chatTemplate { members.append(("chat_template", .string(chatTemplate))) }
    return .object(members)
  }

  /// `special_tokens_map.json`.
  var specialTokensJSON: JSONValue { .object(namedTokens.map { ($0, .string($1)) }) }

  /// `generation_config.json`.
  var generationJSON: JSONValue { .object([("_from_model_config", true)] + modelTokenIDs) }

  /// The token ids that `config.json` and `generation_config.json` hold.
  var modelTokenIDs: [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    if let bosID { members.append(("bos_token_id", .integer(bosID))) }
    if let end = endIDs.first {
      members.append(("eos_token_id", endIDs.count == 1 ? .integer(end) : .array(endIDs.map(JSONValue.integer))))
    }
    if let paddingID { members.append(("pad_token_id", .integer(paddingID))) }
    return members
  }

  private var namedTokens: [(String, String)] {
    [("bos_token", bosID), ("eos_token", eosID), ("unk_token", unknownID), ("pad_token", paddingID)]
      .compactMap { name, id in id.map { (name, tokens[$0]) } }
  }

  /// Tokens that are found in the text before anything else; those with a role always are, whatever their kind.
  private var addedTokens: [Int] {
    tokens.indices.filter { [.unknown, .control, .userDefined].contains(kinds[$0]) || hasRole($0) }
  }

  private func hasRole(_ id: Int) -> Bool {
    [bosID, eosID, unknownID, paddingID].contains(id) || otherEndIDs.contains(id)
  }

  private func addedToken(_ id: Int, includingID: Bool) -> JSONValue {
    let members: [JSONValue.Member] = [
      ("content", .string(tokens[id])), ("single_word", false), ("lstrip", false), ("rstrip", false),
      ("normalized", false), ("special", .bool(kinds[id] != .userDefined || hasRole(id))),
    ]
    return .object((includingID ? [("id", .integer(id))] : []) + members)
  }

  private var modelJSON: JSONValue {
    let merges: [(String, String)]
    var ignoresMerges = false
    var isSentencePiece = false
    switch model {
    case .byteLevel(let preTokenizer, let stored):
      merges = stored
      ignoresMerges = preTokenizer == .llama3
    case .sentencePiece(let derived):
      merges = derived
      isSentencePiece = true
    }
    let unknown = isSentencePiece ? unknownID.map { JSONValue.string(tokens[$0]) } : nil
    return [
      "type": "BPE", "dropout": .null, "unk_token": unknown ?? .null, "continuing_subword_prefix": .null,
      "end_of_word_suffix": .null, "fuse_unk": .bool(isSentencePiece), "byte_fallback": .bool(isSentencePiece),
      "ignore_merges": .bool(ignoresMerges),
      "vocab": .object(tokens.enumerated().map { ($1, .integer($0)) }),
      "merges": .array(merges.map { [.string($0), .string($1)] }),
    ]
  }

  // MARK: Pipeline

  private var normalizer: JSONValue {
    switch model {
    case .byteLevel(.qwen2, _): return ["type": "NFC"]
    case .byteLevel: return .null
    case .sentencePiece:
      let replace: JSONValue = ["type": "Replace", "pattern": ["String": " "], "content": "▁"]
      guard addsSpacePrefix else { return replace }
      return ["type": "Sequence", "normalizers": [["type": "Prepend", "prepend": "▁"], replace]]
    }
  }

  private var preTokenizer: JSONValue {
    guard case .byteLevel(let kind, _) = model else { return .null }
    switch kind {
    case .gpt2: return byteLevel(usesPattern: true)
    case .digitsThenGPT2:
      return [
        "type": "Sequence",
        "pretokenizers": [["type": "Digits", "individual_digits": true], byteLevel(usesPattern: true)],
      ]
    case .llama3, .qwen2:
      let digits = kind == .llama3 ? #"\p{N}{1,3}"# : #"\p{N}"#
      let pattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + digits
        + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
      return [
        "type": "Sequence",
        "pretokenizers": [
          ["type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated", "invert": false],
          byteLevel(usesPattern: false),
        ],
      ]
    }
  }

  private func byteLevel(usesPattern: Bool) -> JSONValue {
    [
      "type": "ByteLevel", "add_prefix_space": .bool(addsSpacePrefix), "trim_offsets": true,
      "use_regex": .bool(usesPattern),
    ]
  }

  private var decoder: JSONValue {
    guard case .sentencePiece = model else {
      return ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true]
    }
    var steps: [JSONValue] = [
      ["type": "Replace", "pattern": ["String": "▁"], "content": " "], ["type": "ByteFallback"], ["type": "Fuse"],
    ]
    if addsSpacePrefix { steps.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
    return ["type": "Sequence", "decoders": .array(steps)]
  }

  private var postProcessor: JSONValue {
    let byteLevel: JSONValue = [
      "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true,
    ]
    let isByteLevel = if case .byteLevel = model { true } else { false }
    guard addsBOS || addsEOS else { return isByteLevel ? byteLevel : .null }
    return isByteLevel ? ["type": "Sequence", "processors": [byteLevel, template]] : template
  }

  /// The beginning and end tokens around a text, and around each of a pair.
  private var template: JSONValue {
    let bos = addsBOS ? bosID.map { tokens[$0] } : nil
    let eos = addsEOS ? eosID.map { tokens[$0] } : nil
    func sequence(_ name: String, _ type: Int) -> [JSONValue] {
      let special = { (token: String) -> JSONValue in
        ["SpecialToken": ["id": .string(token), "type_id": .integer(type)]]
      }
      let text: JSONValue = ["Sequence": ["id": .string(name), "type_id": .integer(type)]]
      return (bos.map { [special($0)] } ?? []) + [text] + (eos.map { [special($0)] } ?? [])
    }
    let ids = [addsBOS ? bosID : nil, addsEOS ? eosID : nil].compactMap { $0 }
    let unique = ids.count == 2 && ids[0] == ids[1] ? [ids[0]] : ids
    let members = unique.map { id -> JSONValue.Member in
      let token = JSONValue.string(tokens[id])
      return (tokens[id], ["id": token, "ids": [.integer(id)], "tokens": [token]])
    }
    return [
      "type": "TemplateProcessing", "single": .array(sequence("A", 0)),
      "pair": .array(sequence("A", 0) + sequence("B", 1)), "special_tokens": .object(members),
    ]
  }
}
