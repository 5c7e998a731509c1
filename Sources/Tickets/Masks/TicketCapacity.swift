/// How many weights earlier tickets leave for another one.
public struct TicketCapacity: Equatable, Sendable {
  /// A tensor whose own share of a ticket is more than it has left.
  public struct Shortage: Equatable, Sendable {
    public let tensor: String
    public let requested: Int
    public let free: Int
  }

  /// Free weights (`kept`) of those in scope, by layer and projection.
  public let free: MaskDensity
  /// Weights in scope that some ticket has.
  public var taken: Int { free.total.scoped - free.total.kept }
  private let tensors: [(name: String, cell: MaskDensity.Cell)]

  /// - Parameters:
  ///   - shapes: of the weights in scope.
  ///   - taken: the union of the tickets; nil for none.
  /// - Throws: `shapeMismatch`.
  public init(shapes: [String: [Int]], taken: Mask?) throws {
    let planned = try TicketSelection.plannedTensors(names: Array(shapes.keys), excluding: taken) { shapes[$0] ?? [] }
    tensors = planned.map { ($0.name, .init(kept: $0.count - ($0.excluded?.populationCount ?? 0), scoped: $0.count)) }
    free = MaskDensity(tensors)
  }

  /// Weights that a ticket of this sparsity needs, over all tensors.
  ///
  /// - Throws: `sparsityOutOfRange`.
  public func requested(_ sparsity: Double, _ quota: TicketSelection.Quota = .global) throws -> Int {
    let amount = TicketSelection.Amount.sparsity(sparsity)
    guard quota == .perTensor else { return try amount.count(of: free.total.scoped) }
    return try tensors.reduce(0) { try $0 + amount.count(of: $1.cell.scoped) }
  }

  /// Tensors that have too little left for their own shares of a ticket, in canonical order.
  ///
  /// - Throws: `sparsityOutOfRange`.
  public func shortages(_ sparsity: Double) throws -> [Shortage] {
    try tensors.compactMap { name, cell in
      let requested = try TicketSelection.Amount.sparsity(sparsity).count(of: cell.scoped)
      return requested > cell.kept ? Shortage(tensor: name, requested: requested, free: cell.kept) : nil
    }
  }

  public static func == (left: TicketCapacity, right: TicketCapacity) -> Bool { left.free == right.free }
}
