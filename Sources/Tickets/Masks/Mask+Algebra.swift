extension Mask {
  /// Weights in either mask.
  public func union(_ other: Mask) throws -> Mask { try combined(with: other) { $0.union($1) } }

  /// Weights in both masks.
  public func intersection(_ other: Mask) throws -> Mask { try combined(with: other) { $0.intersection($1) } }

  /// Weights of this mask that are not in the other.
  public func subtracting(_ other: Mask) throws -> Mask { try combined(with: other) { $0.subtracting($1) } }

  /// The scoped weights that are not in the mask.
  public func complement() throws -> Mask {
    try Mask(
      entries: entries.map { Entry(name: $0.name, shape: $0.shape, bits: $0.bits.complement) },
      baseFingerprint: baseFingerprint)
  }

  /// How two masks of one model agree, tensor by tensor.
  ///
  /// - Throws: `masksCoverDifferentTensors`.
  public func overlap(with other: Mask) throws -> MaskOverlap {
    try checkSameTensors(as: other)
    let tensors = zip(entries, other.entries).map { mine, theirs in
      MaskOverlap.Counts(
        name: mine.name, scoped: mine.bits.count, first: mine.bits.populationCount,
        second: theirs.bits.populationCount, both: mine.bits.intersectionCount(theirs.bits))
    }
    return MaskOverlap(tensors: tensors)
  }

  /// A fingerprint is kept when both masks have the same one.
  private func combined(with other: Mask, _ operation: (BitMask, BitMask) -> BitMask) throws -> Mask {
    try checkSameTensors(as: other)
    return try Mask(
      entries: zip(entries, other.entries).map {
        Entry(name: $0.name, shape: $0.shape, bits: operation($0.bits, $1.bits))
      },
      baseFingerprint: baseFingerprint == other.baseFingerprint ? baseFingerprint : nil)
  }

  func checkSameTensors(as other: Mask) throws {
    let problems =
      mismatches(with: Dictionary(uniqueKeysWithValues: other.entries.map { ($0.name, $0.shape) }))
      + other.entries.filter { self[$0.name] == nil }.map { "\($0.name) is only in the second mask" }
    guard problems.isEmpty else { throw TicketsError.masksCoverDifferentTensors(problems) }
  }

  /// Checks that every tensor of the mask exists in a model, in the same shape.
  ///
  /// - Parameter shapes: the model's tensors.
  /// - Throws: `maskDoesNotFit` with every mismatch.
  public func checkFits(shapes: [String: [Int]]) throws {
    let problems = mismatches(with: shapes)
    guard problems.isEmpty else { throw TicketsError.maskDoesNotFit(problems) }
  }

  func mismatches(with shapes: [String: [Int]]) -> [String] {
    entries.compactMap { $0.mismatch(with: shapes) }
  }
}

extension Mask.Entry {
  /// What keeps this entry from fitting a model with these shapes.
  func mismatch(with shapes: [String: [Int]]) -> String? {
    guard let found = shapes[name] else { return "\(name) is missing" }
    return found == shape ? nil : "\(name) has shape \(found), the mask has \(shape)"
  }
}

/// Agreement of two masks.
public struct MaskOverlap: Equatable, Sendable {
  /// Counts of one tensor, or of all together.
  public struct Counts: Equatable, Sendable {
    public let name: String
    public let scoped: Int
    public let first: Int
    public let second: Int
    public let both: Int

    public var union: Int { first + second - both }
    /// Shared weights by weights in either; 1 when both are empty.
    public var jaccard: Double { union == 0 ? 1 : Double(both) / Double(union) }
  }

  /// In canonical order.
  public let tensors: [Counts]

  public var total: Counts {
    Counts(
      name: "total", scoped: tensors.reduce(0) { $0 + $1.scoped }, first: tensors.reduce(0) { $0 + $1.first },
      second: tensors.reduce(0) { $0 + $1.second }, both: tensors.reduce(0) { $0 + $1.both })
  }
}

// MARK: - Density report

/// How a ticket spreads over layers and projections.
public struct MaskDensity: Equatable, Sendable {
  public struct Cell: Equatable, Sendable {
    public var kept = 0
    public var scoped = 0
    public var density: Double { scoped == 0 ? 0 : Double(kept) / Double(scoped) }

    public init(kept: Int = 0, scoped: Int = 0) {
      self.kept = kept
      self.scoped = scoped
    }

    fileprivate mutating func add(_ other: Cell) {
      kept += other.kept
      scoped += other.scoped
    }
  }

  /// Per layer number, ascending.
  public let layers: [(layer: Int, cell: Cell)]
  public let projections: [(projection: TicketScope.Projection, cell: Cell)]
  /// Each projection of each layer.
  public let weights: [TicketScope.Weight: Cell]
  /// Tensors outside the layers' projections.
  public let others: [(name: String, cell: Cell)]
  public let total: Cell

  public init(_ mask: Mask) {
    self.init(mask.entries.map { ($0.name, Cell(kept: $0.bits.populationCount, scoped: $0.bits.count)) })
  }

  /// From counts by tensor name.
  init(_ tensors: [(name: String, cell: Cell)]) {
    var layers: [Int: Cell] = [:]
    var projections: [TicketScope.Projection: Cell] = [:]
    var weights: [TicketScope.Weight: Cell] = [:]
    var others: [(String, Cell)] = []
    var total = Cell()
    for (name, cell) in tensors {
      total.add(cell)
      guard let weight = TicketScope.Weight(name: name) else {
        others.append((name, cell))
        continue
      }
      layers[weight.layer, default: Cell()].add(cell)
      projections[weight.projection, default: Cell()].add(cell)
      weights[weight] = cell
    }
    self.layers = layers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    self.projections = projections.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    self.weights = weights
    self.others = others
    self.total = total
  }

  public static func == (left: MaskDensity, right: MaskDensity) -> Bool {
    left.weights == right.weights && left.total == right.total
      && left.others.map(\.name) == right.others.map(\.name) && left.others.map(\.cell) == right.others.map(\.cell)
  }
}
