import Checkpoints
import Foundation
import Torch

extension TicketLedger {
  /// Adds an adapter's task to a model directory, weights included. The directory's other files stay.
  ///
  /// Without a ledger the directory is taken for a base. The adapter must have been trained on that base: what its tensors are
  /// without all tasks is compared by digest.
  ///
  /// - Throws: `adaptersOverlap` with tensor and count; `wrongBase`, `adapterDoesNotFit`; `adapterNotApplied` when a task's weights
  ///   were changed since; `ledgerTaskExists`, `ledgerNameUnusable`, `adapterNeedsBase` for rounded updates, `ledgerMalformed`.
  @discardableResult
  public static func add(_ adapter: Adapter, as name: String, to directory: String) throws -> TicketLedger {
    guard isUsable(name: name) else { throw TicketsError.ledgerNameUnusable(name) }
    let model = try Checkpoint(directory: directory)
    let known = try TicketLedger(directory: directory)
    if let known, known.tasks.contains(where: { $0.name == name }) {
      throw TicketsError.ledgerTaskExists(name: name, directory: directory)
    }
    guard !adapter.configuration.valueCoding.isLossy else {
      throw TicketsError.adapterNeedsBase(adapter: adapter.path, coding: adapter.configuration.valueCoding)
    }
    try adapter.checkEntries()
    try adapter.checkFits(model)
    let present = try known?.adapters(in: directory) ?? []
    try Adapter.checkDisjoint(present + [adapter])
    for adapter in present { try adapter.verify(appliedIn: model) }
    let base = try BaseDigests(model, without: present)
    let differing = adapter.tensorNames.filter {
      base.fingerprint.sha256(of: $0) != adapter.configuration.baseTensors[$0]?.sha256
    }
    guard differing.isEmpty else { throw TicketsError.wrongBase(adapter: adapter.path, tensors: differing) }
    var ledger = known ?? TicketLedger(baseFingerprint: base.fingerprint.value)
    guard ledger.baseFingerprint == base.fingerprint.value else {
      throw TicketsError.ledgerBaseChanged(directory: directory)
    }
    ledger.tasks.append(try Task(name: name, adapter: adapter))
    try ledger.publish(model, in: directory, changing: adapter, adding: true) {
      try copyAdapter(adapter, to: copyPath(of: name, in: $0))
    }
    return ledger
  }

  /// Takes a task out: on its weights, and only there, the base's values return, bit for bit.
  ///
  /// - Throws: `ledgerHasNoTask`; `adapterNotApplied` when the task's weights were changed since it was added.
  @discardableResult
  public static func remove(_ name: String, from directory: String) throws -> TicketLedger {
    let model = try Checkpoint(directory: directory)
    guard var ledger = try TicketLedger(directory: directory),
      let place = ledger.tasks.firstIndex(where: { $0.name == name })
    else { throw TicketsError.ledgerHasNoTask(name: name, directory: directory) }
    let adapter = try ledger.adapters(in: directory)[place]
    try adapter.checkEntries()
    try adapter.verify(appliedIn: model)
    ledger.tasks.remove(at: place)
    try ledger.publish(model, in: directory, changing: adapter, adding: false) {
      try FileSystem.remove(copyPath(of: name, in: $0))
    }
    return ledger
  }

  /// Checks that a model directory is its base and its tasks and nothing else: every copy intact, tickets disjoint, each task's
  /// weights as trained, and all weights without the tasks the base's by fingerprint.
  ///
  /// - Throws: `ledgerHasNoTask` where there is no ledger; `ledgerBaseChanged`, `adapterNotApplied`, `adaptersOverlap`,
  ///   `ledgerMalformed`, `adapterMalformed`.
  @discardableResult
  public static func verify(_ directory: String) throws -> TicketLedger {
    let model = try Checkpoint(directory: directory)
    guard let ledger = try TicketLedger(directory: directory) else {
      throw TicketsError.ledgerMissing(directory: directory)
    }
    let adapters = try ledger.adapters(in: directory)
    for adapter in adapters {
      try adapter.checkEntries()
      try adapter.verify(appliedIn: model)
    }
    try Adapter.checkDisjoint(adapters)
    guard try BaseDigests(model, without: adapters).fingerprint.value == ledger.baseFingerprint else {
      throw TicketsError.ledgerBaseChanged(directory: directory)
    }
    return ledger
  }

  // MARK: - Parts

  /// Writes the changed weights, the ledger and everything else of the directory aside, then shows them in its place.
  private func publish(
    _ model: Checkpoint, in directory: String, changing adapter: Adapter, adding: Bool,
    _ changeCopies: (_ temporary: String) throws -> Void
  ) throws {
    try FileSystem.publishDirectory(directory, overwrite: true) { temporary in
      try Adapter.writeWeights(
        of: model, to: temporary, adapters: [adapter], base: nil, adding: adding, bufferByteCount: 4 << 20)
      for name in try FileSystem.contents(of: directory) where !Self.isReplaced(name) {
        try Self.copy(FileSystem.join(directory, name), to: FileSystem.join(temporary, name))
      }
      try FileSystem.createDirectory(FileSystem.join(temporary, Self.tasksName))
      try changeCopies(temporary)
      try write(to: temporary)
    }
  }

  /// Weights and the ledger are written anew.
  private static func isReplaced(_ name: String) -> Bool {
    name == fileName || name.hasSuffix(".safetensors") || name.hasSuffix(".safetensors.index.json")
  }

  private static func copy(_ source: String, to target: String) throws {
    do {
      try FileManager.default.copyItem(atPath: source, toPath: target)
    } catch {
      throw TicketsError.ledgerCopyFailed(path: source, reason: error.localizedDescription)
    }
  }

  private static func copyAdapter(_ adapter: Adapter, to target: String) throws {
    try FileSystem.createDirectory(target)
    for name in [Adapter.configurationFileName, Adapter.weightsFileName] {
      try FileSystem.copyFile(from: FileSystem.join(adapter.path, name), to: FileSystem.join(target, name))
    }
  }
}

/// Digests of a model's tensors as they are without some adapters.
private struct BaseDigests {
  let fingerprint: ModelFingerprint

  /// - Throws: `CheckpointError`; `adapterMalformed`.
  /// - Precondition: the adapters fit the model and hold exact values.
  init(_ model: Checkpoint, without adapters: [Adapter]) throws {
    guard !adapters.isEmpty else {
      fingerprint = try ModelFingerprint(model)
      return
    }
    let digests = try model.tensors.map { tensor in
      let entries = try adapters.compactMap { try $0.entries(of: tensor.name) }
      guard !entries.isEmpty else {
        return TensorDigest(tensor: tensor, sha256: try ModelFingerprint.digest(of: tensor.name, in: model))
      }
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: tensor.byteCount, alignment: 16)
      defer { bytes.deallocate() }
      try model.readBytes(of: tensor.name, range: 0..<tensor.byteCount, into: bytes)
      for entry in entries { entry.remove(from: bytes) }
      return TensorDigest(tensor: tensor, sha256: ModelFingerprint.digest(of: UnsafeRawBufferPointer(bytes)))
    }
    fingerprint = ModelFingerprint(tensors: digests)
  }
}
