import Checkpoints
import Foundation

/// Extraction of a ticket: exactly k weights of largest magnitude, ranked over all tensors together.
public enum TicketSelection {
  /// How many weights to keep.
  public enum Amount: Equatable, Sendable {
    /// Keep round-half-to-even((1 - sparsity) * n) of n weights.
    case sparsity(Double)
    case count(Int)

    /// - Throws: `sparsityOutOfRange`, `countOutOfRange`.
    public func count(of total: Int) throws -> Int {
      switch self {
      case .sparsity(let sparsity):
        guard sparsity >= 0, sparsity < 1 else { throw TicketsError.sparsityOutOfRange(sparsity) }
        return Int(((1 - sparsity) * Double(total)).rounded(.toNearestOrEven))
      case .count(let count):
        guard count >= 0, count <= total else {
          throw TicketsError.countOutOfRange(requested: count, total: total)
        }
        return count
      }
    }

    /// The fraction to freeze, as requested or as it follows from the count.
    func sparsity(of total: Int) -> Double {
      switch self {
      case .sparsity(let sparsity): sparsity
      case .count(let count): total == 0 ? 0 : 1 - Double(count) / Double(total)
      }
    }
  }

  /// Whether tensors compete for the ticket's weights.
  public enum Quota: String, CaseIterable, Codable, Sendable {
    /// All weights in scope are ranked together.
    case global
    /// Each tensor keeps its own share: round-half-to-even((1 - sparsity) * n_t) of its n_t weights. The ticket has exactly the
    /// sum of these, which may differ from the global count by half a weight a tensor.
    case perTensor = "per-tensor"
  }

  /// What to do when fewer weights differ from zero than are to be kept.
  public enum UnchangedWeights: Sendable {
    /// Throw `fewerChangedThanRequested`.
    case refuse
    /// Fill up with unchanged weights by the tie rule: canonical order, then row-major index.
    case fillInOrder
  }

  /// Knobs that change speed and memory, never the result.
  package struct Tuning: Sendable {
    package var workerCount: Int
    /// Most weights of the threshold's bin that are remembered (4 bytes each); with more, the scan goes on in passes.
    package var candidateLimit: Int
    /// Fewest weights for which a sample is worth its while: below, passes over everything take no time.
    package var leastForSample: Int

    package init(
      workerCount: Int = ProcessInfo.processInfo.activeProcessorCount, candidateLimit: Int = 1 << 22,
      leastForSample: Int = 1 << 22
    ) {
      self.leastForSample = max(1, leastForSample)
      self.workerCount = max(1, workerCount)
      self.candidateLimit = max(0, candidateLimit)
    }
  }

  /// Keeps exactly k weights of largest `|tuned - base|`, computed in float32, ranked over all of `names` together.
  ///
  /// Equal magnitudes rank by canonical tensor order, then by row-major index: the result is that of a stable
  /// descending sort. It does not depend on the number of threads. Beside the mask, memory is bounded by a few tens
  /// of megabytes, whatever the size of the model: the weights are read in chunks, in one to four passes.
  ///
  /// - Parameters:
  ///   - names: the scoped tensors, in any order.
  ///   - amount: k, or the sparsity it follows from; relative to all of `names`, exclusion or not.
  ///   - quota: per tensor needs an amount by sparsity.
  ///   - excluding: weights that may not be selected (LoTTO); tensors outside `names` are ignored.
  ///   - baseFingerprint: written into the mask.
  ///   - progress: called from any thread with the fraction done.
  /// - Throws: `sparsityOutOfRange`, `countOutOfRange`, `duplicateTensor`, `shapeMismatch`, `notFinite`,
  ///   `fewerChangedThanRequested`, `capacityTooSmall`, and what the sources throw.
  public static func select(
    base: any WeightSource, tuned: any WeightSource, names: [String], amount: Amount, quota: Quota = .global,
    excluding: Mask? = nil, unchanged: UnchangedWeights = .refuse, baseFingerprint: String? = nil,
    progress: (@Sendable (Double) -> Void)? = nil
  ) throws -> Mask {
    guard quota == .perTensor else {
      return try select(
        base: base, tuned: tuned, names: names, amount: amount, excluding: excluding, unchanged: unchanged,
        baseFingerprint: baseFingerprint, tuning: Tuning(), progress: progress)
    }
    return try perTensor(names, amount: amount, baseFingerprint: baseFingerprint) { name in
      try select(
        base: base, tuned: tuned, names: [name], amount: amount, excluding: excluding, unchanged: unchanged,
        tuning: Tuning())
    }
  }

  /// A ticket of one selection for each tensor.
  static func perTensor(
    _ names: [String], amount: Amount, baseFingerprint: String?, _ selection: (String) throws -> Mask
  ) throws -> Mask {
    guard case .sparsity(let sparsity) = amount else { throw TicketsError.countNeedsGlobalQuota }
    guard Set(names).count == names.count else {
      let repeated = names.first { name in names.count { $0 == name } > 1 }
      throw TicketsError.duplicateTensor(repeated ?? "")
    }
    let entries = try TicketScope.canonicalOrder(names).flatMap { name in
      do {
        return try selection(name).entries
      } catch let error as TicketsError where error.isAboutCounts {
        throw TicketsError.inTensor(name, error)
      }
    }
    return try Mask(entries: entries, sparsity: sparsity, baseFingerprint: baseFingerprint)
  }

  package static func select(
    base: any WeightSource, tuned: any WeightSource, names: [String], amount: Amount, excluding: Mask? = nil,
    unchanged: UnchangedWeights = .refuse, baseFingerprint: String? = nil, tuning: Tuning,
    progress: (@Sendable (Double) -> Void)? = nil
  ) throws -> Mask {
    let tensors = try plannedTensors(names: names, excluding: excluding) { name in
      let shape = try base.shape(of: name)
      let found = try tuned.shape(of: name)
      guard shape == found else { throw TicketsError.shapeMismatch(tensor: name, expected: shape, found: found) }
      return shape
    }
    let keep = try checkedCount(amount, of: tensors)
    let plan = ChunkPlan(tensors: tensors)
    var scan = MagnitudeScan(base: base, tuned: tuned, plan: plan, tuning: tuning, progress: progress)
    try scan.mark(keep, unchanged: unchanged)
    let mask = try plan.mask(sparsity: amount.sparsity(of: plan.count), baseFingerprint: baseFingerprint)
    guard mask.keptCount == keep else { throw TicketsError.weightsChangedDuringSelection }
    progress?(1)
    return mask
  }

  static func plannedTensors(
    names: [String], excluding: Mask?, shape: (String) throws -> [Int]
  ) throws -> [ChunkPlan.Tensor] {
    var seen: Set<String> = []
    return try TicketScope.canonicalOrder(names).map { name in
      guard seen.insert(name).inserted else { throw TicketsError.duplicateTensor(name) }
      let shape = try shape(name)
      guard let count = TensorDescription.elementCount(of: shape) else {
        throw TicketsError.tensorTooLarge(tensor: name, elements: .max, limit: .max)
      }
      let excluded = excluding?[name]
      if let excluded, excluded.shape != shape {
        throw TicketsError.shapeMismatch(tensor: name, expected: shape, found: excluded.shape)
      }
      return ChunkPlan.Tensor(name: name, shape: shape, count: count, excluded: excluded?.bits)
    }
  }

  /// How many weights a selection will keep; said before anything is read, or calibrated.
  ///
  /// - Parameter shapes: of the scoped tensors.
  /// - Throws: `sparsityOutOfRange`, `countOutOfRange`, `shapeMismatch`, `capacityTooSmall`; these `inTensor` where each has its
  ///   own quota.
  public static func count(
    _ amount: Amount, shapes: [String: [Int]], quota: Quota = .global, excluding: Mask? = nil
  ) throws -> Int {
    let tensors = try plannedTensors(names: Array(shapes.keys), excluding: excluding) { shapes[$0] ?? [] }
    guard quota == .perTensor else { return try checkedCount(amount, of: tensors) }
    return try tensors.reduce(0) { total, tensor in
      do {
        return try total + checkedCount(amount, of: [tensor])
      } catch let error as TicketsError where error.isAboutCounts {
        throw TicketsError.inTensor(tensor.name, error)
      }
    }
  }

  static func checkedCount(_ amount: Amount, of tensors: [ChunkPlan.Tensor]) throws -> Int {
    let total = tensors.reduce(0) { $0 + $1.count }
    let excluded = tensors.reduce(0) { $0 + ($1.excluded?.populationCount ?? 0) }
    let keep = try amount.count(of: total)
    guard keep <= total - excluded else {
      throw TicketsError.capacityTooSmall(
        requested: keep, available: total - excluded, excluded: excluded, total: total)
    }
    return keep
  }
}
