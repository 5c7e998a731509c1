/// Which kinds of weights a ticket may have.
public struct ScopeParts: Hashable, Sendable {
  public enum Part: String, CaseIterable, Sendable {
    /// The seven matrices of every layer: ``TicketScope/Projection``.
    case projections
    /// `model.embed_tokens.weight`, which is the head too where the model ties the two.
    case embeddings
    /// `lm_head.weight`, where the model has one of its own.
    case head
    /// The norms' gains: two a layer, and the last.
    case norms

    func contains(_ name: String) -> Bool {
      switch self {
      case .projections: TicketScope.Weight(name: name) != nil
      case .embeddings: name == "model.embed_tokens.weight"
      case .head: name == "lm_head.weight"
      case .norms:
        name == "model.norm.weight"
          || name.hasPrefix("model.layers.")
            && (name.hasSuffix(".input_layernorm.weight") || name.hasSuffix(".post_attention_layernorm.weight"))
      }
    }
  }

  /// The default: the projections alone.
  public static let projections = ScopeParts([.projections])

  /// Without repetition, in the order of ``Part``.
  public let parts: [Part]

  public init(_ parts: Set<Part>) { self.parts = Part.allCases.filter(parts.contains) }

  /// From names between commas; nil for an unknown name, or none.
  public init?(_ text: String) {
    let names = text.split(separator: ",", omittingEmptySubsequences: false)
    let parts = names.compactMap { Part(rawValue: $0.trimmingPrefix { $0 == " " }.description) }
    guard parts.count == names.count else { return nil }
    self.init(Set(parts))
  }

  /// As ``init(_:)`` reads it.
  public var text: String { parts.map(\.rawValue).joined(separator: ",") }

  public func contains(_ name: String) -> Bool { parts.contains { $0.contains(name) } }

  /// The weights of a model that are in scope, in canonical order.
  ///
  /// - Throws: `noScopedWeights`; `scopePartMissing` when the model has none of a part.
  public func names(in model: some Collection<String>) throws -> [String] {
    for part in parts where !model.contains(where: part.contains) {
      throw part == .projections
        ? TicketsError.noScopedWeights(found: model.count) : TicketsError.scopePartMissing(part)
    }
    return TicketScope.canonicalOrder(model.filter(contains))
  }
}

extension ScopeParts: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let parts = ScopeParts(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "unknown part of a scope in '\(text)'")
    }
    self = parts
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}
