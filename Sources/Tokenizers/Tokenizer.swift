internal import Synchronization

/// Text to token ids and back, as the `tokenizers` library does it for the same files.
///
/// Loads byte-level BPE (GPT-2, SmolLM2, Llama 3, Qwen 2) and SentencePiece-style BPE with byte fallback (Llama 2,
/// Mistral). Safe to share between threads.
public final class Tokenizer: Sendable {
  let model: BPEModel
  let added: AddedTokens
  let normalizers: [TextNormalizer]
  let preTokenizers: [PreTokenizer]
  let postProcessor: PostProcessor
  let decoders: [TokenDecoder]

  public let bosTokenID: Int?
  public let eosTokenID: Int?
  public let padTokenID: Int?
  public let unknownTokenID: Int?
  /// The source of `chat_template.jinja` or of `chat_template` in `tokenizer_config.json`.
  public let chatTemplate: String?

  /// Caches and buffers of encodings that have ended, for the next ones.
  private let idle = Mutex<[Workspace]>([])
  private static let maximumIdle = 8

  /// One encoding at a time holds it.
  private final class Workspace: @unchecked Sendable {
    var value = BPEModel.Workspace()
  }

  init(_ parts: TokenizerParts) {
    model = parts.model
    added = parts.added
    normalizers = parts.normalizers
    preTokenizers = parts.preTokenizers
    postProcessor = parts.postProcessor
    decoders = parts.decoders
    let added = parts.added
    let model = parts.model
    func id(_ role: String) -> Int? {
      parts.configuration.named[role].flatMap { added.id(of: $0.content) ?? model.vocabulary.id(of: $0.content) }
    }
    bosTokenID = id("bos_token")
    eosTokenID = id("eos_token")
    padTokenID = id("pad_token")
    unknownTokenID = id("unk_token") ?? parts.model.unknownID
    chatTemplate = parts.configuration.chatTemplate
  }

  /// One more than the greatest id, added tokens included.
  public var vocabularySize: Int { max(model.vocabulary.idLimit, added.maximumID + 1) }

  /// The ids of `text`. Special tokens written out in `text` are recognised.
  ///
  /// - Parameter addSpecialTokens: also add what the tokenizer's post-processor puts around a text.
  public func encode(_ text: String, addSpecialTokens: Bool = false) -> [Int] {
    let ids = withWorkspace { workspace in
      var text = text
      return text.withUTF8 { bytes in
        var ids: [Int] = []
        ids.reserveCapacity(bytes.count / 3 + 4)
        encode(bytes, startsInput: true, &workspace, into: &ids)
        return ids
      }
    }
    return addSpecialTokens ? postProcessor.apply(ids) : ids
  }

  /// The ids of `text`, and how many of them stand before each of some places in it.
  ///
  /// A place is found from the added token before it, so that this costs little more than the ids alone in any chat format
  /// that has one in every turn.
  ///
  /// - Parameters:
  ///   - places: UTF-8 offsets in `text`, ascending.
  ///   - budget: bytes of text that may be encoded a second time to find them.
  /// - Returns: nil when more would have to be.
  public func encode(_ text: String, countingBefore places: [Int], budget: Int) -> CountedEncoding? {
    withWorkspace { workspace in
      var text = text
      return text.withUTF8 { bytes in
        var counter = PlaceCounter(places, budget: budget)
        let dependsOnAll = added.dependOnSurroundings
        var ids: [Int] = []
        ids.reserveCapacity(bytes.count / 3 + 4)
        added.split(bytes, isNormalized: false) { range, id in
          let first = ids.count
          encode(
            UnsafeBufferPointer(rebasing: bytes[range]), as: id, startsInput: range.lowerBound == 0, &workspace,
            into: &ids)
          let start = dependsOnAll ? (text: 0, id: 0) : (text: range.lowerBound, id: first)
          counter.count(in: range, ids: ids, start: start, isExactAtEnd: !dependsOnAll) { part in
            guard part.upperBound == bytes.count || !UTF8.isContinuation(bytes[part.upperBound]) else { return nil }
            var ids: [Int] = []
            encode(
              UnsafeBufferPointer(rebasing: bytes[part]), startsInput: part.lowerBound == 0, &workspace, into: &ids)
            return ids
          }
        }
        return counter.isOverBudget ? nil : CountedEncoding(ids: ids, counts: counter.counts)
      }
    }
  }

  private func withWorkspace<Result>(_ body: (inout BPEModel.Workspace) -> Result) -> Result {
    let workspace = idle.withLock { $0.popLast() } ?? Workspace()
    defer { idle.withLock { if $0.count < Self.maximumIdle { $0.append(workspace) } } }
    return body(&workspace.value)
  }

  /// The text of `ids`; ids outside the vocabulary are left out, bytes that are no UTF-8 become U+FFFD.
  public func decode(_ ids: [Int], skipSpecialTokens: Bool = false) -> String {
    var chain = DecoderChain(decoders)
    let tokens = ids.compactMap { decodableToken($0, skipsSpecialTokens: skipSpecialTokens) }
    var text = chain.append(tokens)
    text += chain.finish()
    return String(decoding: text, as: UTF8.self)
  }

  /// The token as the vocabulary spells it.
  public func token(_ id: Int) -> String? {
    (added.tokens[id]?.content ?? model.vocabulary.token(id)).map { String(decoding: $0, as: UTF8.self) }
  }

  public func id(of token: String) -> Int? {
    let bytes = Array(token.utf8)
    return added.id(of: bytes) ?? model.vocabulary.id(of: bytes)
  }

  /// Whether decoding can leave the token out.
  public func isSpecialToken(_ id: Int) -> Bool {
    (added.tokens[id]?.content ?? model.vocabulary.token(id)).map(added.isSpecial) ?? false
  }

  /// What the decoders get for `id`.
  func decodableToken(_ id: Int, skipsSpecialTokens: Bool) -> [UInt8]? {
    let form = added.tokens.isEmpty ? nil : added.normalizedForms[id] ?? added.tokens[id]?.content
    guard let token = form ?? model.vocabulary.token(id) else { return nil }
    return skipsSpecialTokens && added.isSpecial(token) ? nil : token
  }

  private func encode(
    _ bytes: UnsafeBufferPointer<UInt8>, startsInput: Bool, _ workspace: inout BPEModel.Workspace, into ids: inout [Int]
  ) {
    added.split(bytes, isNormalized: false) { range, id in
      let part = UnsafeBufferPointer(rebasing: bytes[range])
      encode(part, as: id, startsInput: startsInput && range.lowerBound == 0, &workspace, into: &ids)
    }
  }

  /// - Parameter id: of an added token; nil for text between two of them.
  private func encode(
    _ part: UnsafeBufferPointer<UInt8>, as id: Int?, startsInput: Bool, _ workspace: inout BPEModel.Workspace,
    into ids: inout [Int]
  ) {
    if let id { return ids.append(id) }
    let text = normalizers.reduce(Array(part)) { $1.apply($0) }
    guard added.hasNormalizedTokens else {
      return encode(Pieces(text: text, startsInput: startsInput), &workspace, into: &ids)
    }
    text.withUnsafeBufferPointer { normalized in
      added.split(normalized, isNormalized: true) { part, id in
        if let id { return ids.append(id) }
        let pieces = Pieces(text: Array(normalized[part]), startsInput: startsInput && part.lowerBound == 0)
        encode(pieces, &workspace, into: &ids)
      }
    }
  }

  private func encode(_ pieces: Pieces, _ workspace: inout BPEModel.Workspace, into ids: inout [Int]) {
    var pieces = pieces
    for step in preTokenizers { step.apply(&pieces) }
    pieces.text.withUnsafeBufferPointer { bytes in
      for range in pieces.ranges {
        model.encode(UnsafeBufferPointer(rebasing: bytes[range]), &workspace, into: &ids)
      }
    }
  }
}
