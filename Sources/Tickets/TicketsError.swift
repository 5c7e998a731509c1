public import Foundation

/// What can go wrong with tickets: scopes, masks, selection and adapters.
public enum TicketsError: Error, Equatable, Sendable {
  // Scope and sources
  case noScopedWeights(found: Int)
  case scopePartMissing(ScopeParts.Part)
  case duplicateTensor(String)
  case missingTensors([String])
  case shapeMismatch(tensor: String, expected: [Int], found: [Int])
  case tensorTooLarge(tensor: String, elements: Int, limit: Int)

  // Selection
  case sparsityOutOfRange(Double)
  case countOutOfRange(requested: Int, total: Int)
  case notFinite(tensor: String, index: Int, source: NonFiniteSource)
  case fewerChangedThanRequested(changed: Int, requested: Int, total: Int)
  case countNeedsGlobalQuota
  case scoresMalformed(path: String, problem: String)
  case capacityTooSmall(requested: Int, available: Int, excluded: Int, total: Int)
  case weightsChangedDuringSelection
  /// Of one tensor, where each has a quota of its own.
  indirect case inTensor(String, TicketsError)

  // Masks
  case maskMalformed(path: String, problem: String)
  case paddingBitsSet(count: Int)
  case packedByteCount(expected: Int, found: Int)
  case masksCoverDifferentTensors([String])
  case maskDoesNotFit([String])
  case ticketsOverlap(shared: Int, kept: Int)

  // Adapters
  case adapterMalformed(path: String, problem: String)
  case adapterUnsupportedVersion(path: String, version: Int)
  case adapterDoesNotFit(path: String, problems: [String])
  case wrongBase(adapter: String, tensors: [String])
  case adaptersOverlap(first: String, second: String, tensor: String, count: Int)
  case trainedOutsideMask(tensor: String, index: Int)
  case wrongValueCount(tensor: String, expected: Int, found: Int)
  case outputIsTheBase(String)
  case adapterNotApplied(adapter: String, tensors: [String])
  case elementTypeNotHeld(tensor: String, dtype: String)
  case modelsDiffer(path: String, problems: [String])
  case nothingChanged(base: String, tuned: String)
  case basesDiffer(first: String, second: String, tensor: String)
  case adapterNeedsBase(adapter: String, coding: ValueCoding)
  case adapterIsLossy(adapter: String, coding: ValueCoding)
  case updateNotHeld(tensor: String, index: Int, coding: ValueCoding)

  // Ledgers
  case ledgerMalformed(path: String, problem: String)
  case ledgerMissing(directory: String)
  case ledgerNameUnusable(String)
  case ledgerTaskExists(name: String, directory: String)
  case ledgerHasNoTask(name: String, directory: String)
  case ledgerBaseChanged(directory: String)
  case ledgerCopyFailed(path: String, reason: String)

  /// Where a value that is not finite was met.
  public enum NonFiniteSource: String, Equatable, Sendable {
    case base = "the base weight"
    case tuned = "the tuned weight"
    case difference = "the difference tuned - base"
  }
}

extension TicketsError {
  /// Whether it tells of numbers without their tensor.
  var isAboutCounts: Bool {
    switch self {
    case .fewerChangedThanRequested, .capacityTooSmall: true
    default: false
    }
  }
}

extension TicketsError: CustomStringConvertible, LocalizedError {
  public var errorDescription: String? { description }

  public var description: String {
    switch self {
    case .noScopedWeights, .scopePartMissing, .duplicateTensor, .missingTensors, .shapeMismatch, .tensorTooLarge:
      sourceDescription
    case .sparsityOutOfRange, .countOutOfRange, .notFinite, .fewerChangedThanRequested, .capacityTooSmall,
      .weightsChangedDuringSelection, .inTensor, .countNeedsGlobalQuota, .scoresMalformed:
      selectionDescription
    case .maskMalformed, .paddingBitsSet, .packedByteCount, .masksCoverDifferentTensors, .maskDoesNotFit,
      .ticketsOverlap:
      maskDescription
    case .adapterMalformed, .adapterUnsupportedVersion, .adapterDoesNotFit, .wrongBase, .adaptersOverlap,
      .trainedOutsideMask, .wrongValueCount, .outputIsTheBase, .adapterNotApplied, .elementTypeNotHeld,
      .modelsDiffer, .nothingChanged, .basesDiffer, .adapterNeedsBase, .adapterIsLossy,
      .updateNotHeld:
      adapterDescription
    case .ledgerMalformed, .ledgerMissing, .ledgerNameUnusable, .ledgerTaskExists, .ledgerHasNoTask,
      .ledgerBaseChanged, .ledgerCopyFailed:
      ledgerDescription
    }
  }

  private var ledgerDescription: String {
    switch self {
    case .ledgerMalformed(let path, let problem):
      "\(path) is not a usable ledger: \(problem); write the model directory again from base and adapters"
    case .ledgerMissing(let directory):
      "\(directory) has no ledger; lota ledger add makes one"
    case .ledgerNameUnusable(let name):
      "a task cannot be named '\(name)'; use letters, digits, dots, hyphens and underscores, no dot first"
    case .ledgerTaskExists(let name, let directory):
      "\(directory) has a task \(name) already; give another name, or remove that task first"
    case .ledgerHasNoTask(let name, let directory):
      "\(directory) has no task \(name); lota ledger show lists its tasks"
    case .ledgerBaseChanged(let directory):
      """
      \(directory) was changed outside its tasks: without them its weights are not the base's that the ledger names; \
      write it again from base and adapters
      """
    case .ledgerCopyFailed(let path, let reason):
      "\(path) cannot be copied: \(reason)"
    default: ""
    }
  }

  private var sourceDescription: String {
    switch self {
    case .noScopedWeights(let found):
      """
      none of the \(found) tensors is a projection weight (model.layers.N.self_attn.{q,k,v,o}_proj.weight or \
      model.layers.N.mlp.{gate,up,down}_proj.weight); is this a Llama or Mistral model?
      """
    case .scopePartMissing(.head):
      "the model has no lm_head.weight: its head is the embedding matrix; give the scope embeddings instead of head"
    case .scopePartMissing(let part):
      "the model has no \(part.rawValue) that the scope asks for; leave \(part.rawValue) out of it"
    case .duplicateTensor(let name):
      "tensor \(name) is listed twice; list every tensor once"
    case .missingTensors(let names):
      "the model lacks \(Self.list(names)); use a model of the same architecture"
    case .shapeMismatch(let tensor, let expected, let found):
      "tensor \(tensor) has shape \(found), expected \(expected); use a model of the same architecture"
    case .tensorTooLarge(let tensor, let elements, let limit):
      "tensor \(tensor) has \(elements) elements; at most \(limit) can be indexed"
    default: ""
    }
  }

  private var selectionDescription: String {
    switch self {
    case .sparsityOutOfRange(let sparsity):
      "sparsity \(sparsity) is outside [0, 1); give the fraction of weights to freeze, 0.9 for example"
    case .countOutOfRange(let requested, let total):
      "cannot keep \(requested) of \(total) weights; give a count from 0 to \(total)"
    case .notFinite(let tensor, let index, let source):
      """
      \(source.rawValue) is NaN or infinite in tensor \(tensor) at index \(index); \
      calibration has diverged or the file is damaged: lower the learning rate or fetch the file again
      """
    case .fewerChangedThanRequested(let changed, let requested, let total):
      """
      only \(changed) of \(total) weights changed, but the ticket needs \(requested); calibrate for more steps, \
      raise the sparsity to at least \(Self.sparsity(keeping: changed, of: total)), or keep float32 weights \
      (bfloat16 rounds small updates away)
      """
    case .capacityTooSmall(let requested, let available, let excluded, let total):
      """
      the ticket needs \(requested) weights, but \(excluded) of \(total) belong to excluded tickets and only \
      \(available) are left; raise the sparsity or exclude fewer tickets
      """
    case .scoresMalformed(let path, let problem):
      "\(path) is not a file of scores: it is \(problem); write it with lota calibrate --rank-by"
    case .countNeedsGlobalQuota:
      "a quota for each tensor follows from a sparsity, not from a count; give a sparsity"
    case .inTensor(let tensor, let problem):
      "tensor \(tensor), by its own quota: \(problem)"
    case .weightsChangedDuringSelection:
      "the weights changed while they were ranked; let nothing write to them during selection"
    default: ""
    }
  }

  private var maskDescription: String {
    switch self {
    case .maskMalformed(let path, let problem):
      "\(path) is not a usable mask: \(problem); write it again"
    case .paddingBitsSet(let count):
      "the unused bits after bit \(count) are not zero"
    case .packedByteCount(let expected, let found):
      "\(found) packed bytes, expected \(expected)"
    case .masksCoverDifferentTensors(let problems):
      "the masks belong to different models: \(Self.list(problems)); use masks of one model"
    case .maskDoesNotFit(let problems):
      "the mask does not fit the model: \(Self.list(problems)); use a mask made from this model"
    case .ticketsOverlap(let shared, let kept):
      """
      \(shared) of the ticket's \(kept) weights belong to excluded tickets; extract it again without them \
      (lota mask extract --exclude), or exclude fewer
      """
    default: ""
    }
  }

  private var adapterDescription: String {
    switch self {
    case .adapterMalformed(let path, let problem):
      "\(path) is not a usable adapter: \(problem); write or fetch it again"
    case .adapterUnsupportedVersion(let path, let version):
      """
      \(path) has adapter format version \(version), and this program reads version \
      \(AdapterConfiguration.currentVersion); use the release that wrote it, or write the adapter again
      """
    case .adapterDoesNotFit(let path, let problems):
      "adapter \(path) does not fit the model: \(Self.list(problems)); use the base it was trained on"
    case .wrongBase(let adapter, let tensors):
      "adapter \(adapter) was trained on another base: \(Self.list(tensors)) differ(s); use the base it was trained on"
    case .adaptersOverlap(let first, let second, let tensor, let count):
      """
      adapters \(first) and \(second) both change \(count) weights of tensor \(tensor); \
      only disjoint tickets can be applied together
      """
    case .trainedOutsideMask(let tensor, let index):
      "tensor \(tensor) differs from the base outside the mask, first at index \(index); use the run's own mask"
    case .wrongValueCount(let tensor, let expected, let found):
      "\(found) bytes of trained values for tensor \(tensor), expected \(expected)"
    case .outputIsTheBase(let path):
      "\(path) is the model itself; choose another directory for the result"
    case .adapterNotApplied(let adapter, let tensors):
      """
      the model does not hold adapter \(adapter): \(Self.list(tensors)) differ(s) from its trained weights; \
      remove it from the model that it was applied to
      """
    case .modelsDiffer(let path, let problems):
      "\(path) is not a fine-tune of the base: \(Self.list(problems)); use two models of one architecture and type"
    case .nothingChanged(let base, let tuned):
      "\(tuned) has the same weights as \(base): there is nothing to extract"
    case .basesDiffer(let first, let second, let tensor):
      """
      adapters \(first) and \(second) were trained on different bases (tensor \(tensor)); only adapters of one base \
      can be compared
      """
    case .adapterNeedsBase(let adapter, let coding):
      "adapter \(adapter) holds \(coding.rawValue) updates, which say nothing without its base; give the base as well"
    case .adapterIsLossy(let adapter, let coding):
      """
      adapter \(adapter) holds \(coding.rawValue) updates already, and its error would no longer be known; \
      encode the exact adapter that it was made from
      """
    case .updateNotHeld(let tensor, let index, let coding):
      """
      the update of tensor \(tensor) at index \(index) is NaN, infinite or too large for \(coding.rawValue) updates; \
      store exact values
      """
    case .elementTypeNotHeld(let tensor, let dtype):
      "tensor \(tensor) is \(dtype); adapters hold changes of F32, BF16 and F16 weights"
    default: ""
    }
  }

  /// The first three, and how many more there are.
  private static func list(_ items: [String]) -> String {
    let shown = items.prefix(3).joined(separator: ", ")
    return items.count > 3 ? "\(shown) and \(items.count - 3) more" : shown
  }

  /// The smallest sparsity, rounded up to four places, that keeps at most `count` of `total`.
  private static func sparsity(keeping count: Int, of total: Int) -> Double {
    guard total > 0 else { return 0 }
    return ((1 - Double(count) / Double(total)) * 10_000).rounded(.up) / 10_000
  }
}
