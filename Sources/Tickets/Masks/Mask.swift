import Checkpoints

/// A ticket's place in a model: for every scoped weight matrix, which of its weights are trained.
public struct Mask: Equatable, Sendable {
  /// One weight matrix; bit `i` is the weight at row-major index `i`.
  public struct Entry: Equatable, Sendable {
    public let name: String
    public let shape: [Int]
    public let bits: BitMask

    public init(name: String, shape: [Int], bits: BitMask) {
      self.name = name
      self.shape = shape
      self.bits = bits
    }
  }

  /// The tensors, in canonical order.
  public let entries: [Entry]
  /// Number of weights in the ticket.
  public let keptCount: Int
  /// Number of weights in scope.
  public let scopedCount: Int
  /// Fraction of the scope that was to be frozen, as requested; else the fraction that is.
  public let sparsity: Double
  /// Fingerprint of the base model the ticket was extracted for, when known.
  public let baseFingerprint: String?

  private let positions: [String: Int]

  /// Puts `entries` into canonical order.
  ///
  /// - Throws: `duplicateTensor`; `shapeMismatch` when an entry's bits do not belong to its shape.
  public init(entries: [Entry], sparsity: Double? = nil, baseFingerprint: String? = nil) throws {
    var byName: [String: Entry] = [:]
    for entry in entries {
      guard byName.updateValue(entry, forKey: entry.name) == nil else {
        throw TicketsError.duplicateTensor(entry.name)
      }
      guard TensorDescription.elementCount(of: entry.shape) == entry.bits.count else {
        throw TicketsError.shapeMismatch(tensor: entry.name, expected: [entry.bits.count], found: entry.shape)
      }
    }
    self.entries = TicketScope.canonicalOrder(entries.map(\.name)).compactMap { byName[$0] }
    keptCount = self.entries.reduce(0) { $0 + $1.bits.populationCount }
    scopedCount = self.entries.reduce(0) { $0 + $1.bits.count }
    self.sparsity = sparsity ?? (scopedCount == 0 ? 0 : 1 - Double(keptCount) / Double(scopedCount))
    self.baseFingerprint = baseFingerprint
    positions = Dictionary(uniqueKeysWithValues: self.entries.enumerated().map { ($1.name, $0) })
  }

  public subscript(name: String) -> Entry? { positions[name].map { entries[$0] } }

  /// Fraction of the scope that is in the ticket.
  public var density: Double { scopedCount == 0 ? 0 : Double(keptCount) / Double(scopedCount) }
}
