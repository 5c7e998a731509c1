/// Which weights may be trained sparsely, and in which order they are ranked.
///
/// The scope is the seven projection matrices of every layer. Their canonical order, which decides between equal
/// magnitudes, is the layer number, then q, k, v, o, gate, up, down.
public enum TicketScope {
  /// The projections of one layer, in canonical order.
  public enum Projection: Int, CaseIterable, Comparable, Sendable {
    case query, key, value, output, gate, up, down

    /// The module's path inside a layer, `self_attn.q_proj` for example.
    public var modulePath: String {
      switch self {
      case .query: "self_attn.q_proj"
      case .key: "self_attn.k_proj"
      case .value: "self_attn.v_proj"
      case .output: "self_attn.o_proj"
      case .gate: "mlp.gate_proj"
      case .up: "mlp.up_proj"
      case .down: "mlp.down_proj"
      }
    }

    /// `q`, `k`, `v`, `o`, `gate`, `up` or `down`.
    public var shortName: String {
      switch self {
      case .query: "q"
      case .key: "k"
      case .value: "v"
      case .output: "o"
      case .gate: "gate"
      case .up: "up"
      case .down: "down"
      }
    }

    public static func < (left: Projection, right: Projection) -> Bool { left.rawValue < right.rawValue }

    fileprivate static let byModulePath = Dictionary(
      uniqueKeysWithValues: allCases.map { ($0.modulePath, $0) })
  }

  /// Place of one projection weight in a model.
  public struct Weight: Hashable, Comparable, Sendable {
    public let layer: Int
    public let projection: Projection

    public init(layer: Int, projection: Projection) {
      self.layer = layer
      self.projection = projection
    }

    /// The place that `name` stands for, or nil when it is not a projection weight's name.
    public init?(name: String) {
      let prefix = "model.layers."
      let suffix = ".weight"
      guard name.hasPrefix(prefix), name.hasSuffix(suffix), name.utf8.count > prefix.utf8.count + suffix.utf8.count
      else { return nil }
      let inner = name.dropFirst(prefix.count).dropLast(suffix.count)
      guard let dot = inner.firstIndex(of: "."), let layer = Self.number(inner[..<dot]),
        let projection = Projection.byModulePath[String(inner[inner.index(after: dot)...])]
      else { return nil }
      self.init(layer: layer, projection: projection)
    }

    public var name: String { "model.layers.\(layer).\(projection.modulePath).weight" }

    public static func < (left: Weight, right: Weight) -> Bool {
      (left.layer, left.projection) < (right.layer, right.projection)
    }

    /// Decimal digits without sign or leading zeros, so that one place has exactly one name.
    private static func number(_ text: Substring) -> Int? {
      guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }), text == "0" || text.first != "0"
      else { return nil }
      return Int(text)
    }
  }

  /// The projection weights among `names`, in canonical order.
  public static func scopedNames(of names: some Sequence<String>) -> [String] {
    names.compactMap(Weight.init(name:)).sorted().map(\.name)
  }

  /// All of `names`: projection weights in canonical order, then the others in order of their UTF-8 bytes.
  public static func canonicalOrder(_ names: [String]) -> [String] {
    let others = names.filter { Weight(name: $0) == nil }
    return scopedNames(of: names) + others.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
