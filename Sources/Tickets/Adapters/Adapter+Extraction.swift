public import Checkpoints
import Synchronization
import Torch

/// What became of a dense fine-tune's changes in the adapter that was extracted from it.
public struct ExtractionSummary: Codable, Equatable, Sendable {
  /// Weights whose bits differ between base and fine-tune.
  public let changed: Int
  /// Of them, those that the adapter holds.
  public let kept: Int
  /// Weights of all tensors.
  public let total: Int

  /// How the adapter stores the changes.
  public let coding: ValueCoding

  /// Whether base and adapter give the fine-tune bit for bit.
  public var isExact: Bool { changed == kept && !coding.isLossy }
}

extension Adapter {
  /// Most weights changed, as a share of all, that are still taken as a sparse update.
  public static let sparseShare = 0.5

  /// Writes the adapter of a dense fine-tune.
  ///
  /// When at most ``sparseShare`` of the weights changed, all of them are kept, in whatever tensors, and the adapter is exact
  /// unless `coding` is lossy. Else,
  /// or when `amount` is given and fewer fit, the scoped weights of largest change are kept, ranked as a ticket is.
  ///
  /// - Throws: `modelsDiffer` when the two models' tensors are not the same; `nothingChanged`; as
  ///   ``write(to:base:mask:provenance:fingerprint:coding:overwrite:values:)``.
  public static func extract(
    base: Checkpoint, tuned: Checkpoint, output directory: String, amount: TicketSelection.Amount? = nil,
    coding: ValueCoding = .exact, overwrite: Bool = false
  ) throws -> (adapter: Adapter, summary: ExtractionSummary) {
    try FileSystem.checkPublishable(directory, overwrite: overwrite)
    try checkSameTensors(base: base, tuned: tuned)
    let changes = try changedWeights(base: base, tuned: tuned)
    guard changes.keptCount > 0 else { throw TicketsError.nothingChanged(base: base.path, tuned: tuned.path) }
    let names = TicketScope.scopedNames(of: base.tensors.map(\.name))
    let scoped = try names.reduce(0) { $0 + (try base.description(of: $1).elementCount) }
    let room = try amount.map { try $0.count(of: scoped) } ?? Int(sparseShare * Double(changes.scopedCount))
    let fits = changes.keptCount <= room
    guard fits || !names.isEmpty else { throw TicketsError.noScopedWeights(found: base.tensors.count) }
    let fingerprint = try ModelFingerprint(base)
    let mask =
      try fits
      ? changes
      : TicketSelection.select(
        base: base, tuned: tuned, names: names, amount: amount ?? .sparsity(0.9), unchanged: .fillInOrder,
        baseFingerprint: fingerprint.value)
    let adapter = try write(
      to: directory, base: base, mask: mask,
      provenance: Provenance(method: "extracted", training: ["exact": "\(fits && !coding.isLossy)"]),
      fingerprint: fingerprint,
      coding: coding, overwrite: overwrite
    ) { try storedWeights(of: tuned, tensor: $0, indices: $1) }
    let kept = mask.entries.reduce(0) { $0 + (changes[$1.name]?.bits.intersectionCount($1.bits) ?? 0) }
    return (
      adapter,
      ExtractionSummary(changed: changes.keptCount, kept: kept, total: changes.scopedCount, coding: coding)
    )
  }

  /// Which weights of which floating-point tensors differ, bit by bit. Other tensors must be equal.
  private static func changedWeights(base: Checkpoint, tuned: Checkpoint) throws -> Mask {
    let names = TicketScope.canonicalOrder(base.tensors.map(\.name))
    let entries = Mutex<[Mask.Entry]>([])
    try inParallel(names.count) { position in
      let tensor = try base.description(of: names[position])
      let bits = try base.withBytes(of: tensor.name) { old in
        try tuned.withBytes(of: tensor.name) { differingElements(old, $0, size: tensor.dtype.byteCount) }
      }
      try base.adviseDone(with: tensor.name)
      try tuned.adviseDone(with: tensor.name)
      let entry = Mask.Entry(name: tensor.name, shape: tensor.shape, bits: bits)
      guard bits.populationCount == 0 || PatternDifference.width(of: tensor.dtype) != nil else {
        throw TicketsError.elementTypeNotHeld(tensor: tensor.name, dtype: tensor.dtype.rawValue)
      }
      entries.withLock { $0.append(entry) }
    }
    return try Mask(entries: entries.withLock { $0 })
  }

  private static func differingElements(
    _ old: UnsafeRawBufferPointer, _ new: UnsafeRawBufferPointer, size: Int
  ) -> BitMask {
    let count = old.count / size
    var words = [UInt64](repeating: 0, count: BitMask.wordCount(for: count))
    guard let left = old.baseAddress, let right = new.baseAddress else { return BitMask(count: count) }
    for word in words.indices {
      var bits: UInt64 = 0
      for element in (word * 64)..<min(word * 64 + 64, count) {
        let differs =
          switch size {
          case 4:
            left.loadUnaligned(fromByteOffset: element &* 4, as: UInt32.self)
              != right.loadUnaligned(fromByteOffset: element &* 4, as: UInt32.self)
          case 2:
            left.loadUnaligned(fromByteOffset: element &* 2, as: UInt16.self)
              != right.loadUnaligned(fromByteOffset: element &* 2, as: UInt16.self)
          default:
            (element * size..<(element + 1) * size).contains { old[$0] != new[$0] }
          }
        if differs { bits |= 1 &<< UInt64(element & 63) }
      }
      words[word] = bits
    }
    return BitMask(count: count, words: words)
  }
}
