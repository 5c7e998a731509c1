import Checkpoints

/// Weights of earlier tickets, which a new one may not have (LoTTO).
extension Mask {
  /// A ticket from a mask file or an adapter directory.
  ///
  /// - Throws: `maskMalformed`, `adapterMalformed`; `CheckpointError` for what is neither.
  public init(ticket path: String) throws {
    let isAdapter = FileSystem.exists(FileSystem.join(path, Adapter.configurationFileName))
    self = isAdapter ? try Adapter(directory: path).mask() : try Mask(path: path)
  }

  /// Every weight that is in any of several tickets, whatever tensors each covers; nil for none.
  ///
  /// The union keeps a base's fingerprint when all tickets name the same.
  ///
  /// - Parameters:
  ///   - paths: mask files and adapter directories.
  ///   - shapes: the model's tensors; nil: the tickets have to agree among themselves.
  /// - Throws: `masksCoverDifferentTensors`, `maskDoesNotFit` with the path and every mismatch, and what reading throws.
  public static func union(of paths: [String], shapes: [String: [Int]]? = nil) throws -> Mask? {
    guard !paths.isEmpty else { return nil }
    var bits: [String: BitMask] = [:]
    var known = shapes ?? [:]
    var fingerprints: Set<String?> = []
    // An adapter covers what it changes; mask files of one model all cover the same.
    var firstFile: Mask?
    for path in paths {
      let ticket = try Mask(ticket: path)
      if shapes == nil {
        if !FileSystem.isDirectory(path) {
          try firstFile?.checkSameTensors(as: ticket)
          firstFile = firstFile ?? ticket
        }
        for entry in ticket.entries where known[entry.name] == nil { known[entry.name] = entry.shape }
      }
      let problems = ticket.mismatches(with: known)
      guard problems.isEmpty else { throw TicketsError.maskDoesNotFit(problems.map { "\(path): \($0)" }) }
      for entry in ticket.entries { bits[entry.name] = bits[entry.name]?.union(entry.bits) ?? entry.bits }
      fingerprints.insert(ticket.baseFingerprint)
    }
    return try Mask(
      entries: bits.map { Entry(name: $0, shape: known[$0] ?? [], bits: $1) },
      baseFingerprint: fingerprints.count == 1 ? fingerprints.first ?? nil : nil)
  }

  /// Number of weights in both masks; they need not cover the same tensors.
  ///
  /// - Precondition: what both cover has the same shape.
  public func sharedCount(with other: Mask) -> Int {
    entries.reduce(0) { $0 + (other[$1.name]?.bits.intersectionCount($1.bits) ?? 0) }
  }

  /// - Throws: `ticketsOverlap` when the masks share weights.
  public func checkDisjoint(with excluded: Mask?) throws {
    let shared = excluded.map(sharedCount) ?? 0
    guard shared == 0 else { throw TicketsError.ticketsOverlap(shared: shared, kept: keptCount) }
  }
}
