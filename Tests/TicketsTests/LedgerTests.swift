import Checkpoints
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Tasks in a model directory, added and taken out.
struct LedgerTests {
  private let directory: TemporaryDirectory
  private let base: SmallModel
  private let baseCheckpoint: Checkpoint

  init() throws {
    directory = try TemporaryDirectory()
    base = .random(seed: 3)
    baseCheckpoint = try base.write(to: directory("base"))
    try base.write(to: directory("model"))
    try FileSystem.writeAtomically("mine\n", to: FileSystem.join(directory("model"), "notes.md"))
  }

  /// Weight i of every tensor belongs to task i modulo 7; tasks 5 and 6 are nobody's.
  private func mask(_ task: Int, of model: SmallModel? = nil) throws -> Mask {
    let model = model ?? base
    return try Mask(
      entries: (model.scopedNames + ["model.embed_tokens.weight"]).map { name in
        let shape = model.tensors[name]?.shape ?? []
        return Mask.Entry(
          name: name, shape: shape, bits: BitMask((0..<shape.reduce(1, *)).map { $0 % 7 == task }))
      })
  }

  private func adapter(_ task: Int, _ name: String? = nil) throws -> Adapter {
    let mask = try mask(task)
    let tuned = try base.trained(at: mask, seed: UInt64(task + 10)).write(to: directory("tuned-\(name ?? "\(task)")"))
    return try Adapter.extract(base: baseCheckpoint, tuned: tuned, output: directory("adapter-\(name ?? "\(task)")"))
      .adapter
  }

  private var model: [String: [UInt8]] { get throws { try Checkpoint(directory: directory("model")).allBytes() } }

  /// The values that each tensor must hold: of whichever task owns a weight, else the base's.
  private func expected(_ tasks: Set<Int>) throws -> [String: [UInt8]] {
    var model = base
    for task in tasks {
      let tuned = base.trained(at: try mask(task), seed: UInt64(task + 10))
      for (name, tensor) in tuned.tensors {
        for index in tensor.values.indices where index % 7 == task && name != "model.norm.weight" {
          model.tensors[name]?.values[index] = tensor.values[index]
        }
      }
    }
    return Dictionary(uniqueKeysWithValues: model.tensors.keys.map { ($0, model.bytes(of: $0)) })
  }

  @Test func fiveTasksAndOneOfThemRemoved() throws {
    for task in 0..<5 { try TicketLedger.add(try adapter(task), as: "task-\(task)", to: directory("model")) }
    #expect(try model == expected([0, 1, 2, 3, 4]))
    let ledger = try TicketLedger.verify(directory("model"))
    #expect(ledger.tasks.map(\.name) == (0..<5).map { "task-\($0)" })
    #expect(ledger.baseFingerprint == (try ModelFingerprint(baseCheckpoint).value))
    // Of a tensor of 15 weights tasks 0 owns 3 (0, 7, 14), the others 2.
    #expect(ledger.tasks.map { $0.tensors[projectionNames(1)[0]] } == [3, 2, 2, 2, 2])
    let shapes = base.tensors.mapValues(\.shape)
    let first = ledger.tasks[0].density(shapes: shapes)
    #expect(first.weights[.init(layer: 0, projection: .query)] == .init(kept: 3, scoped: 15))
    #expect(first.others.map(\.name) == ["model.embed_tokens.weight"])

    // The adapters they came from are not needed.
    for task in 0..<5 { try FileSystem.remove(directory("adapter-\(task)")) }
    try TicketLedger.remove("task-2", from: directory("model"))
    #expect(try model == expected([0, 1, 3, 4]))
    #expect(try TicketLedger.verify(directory("model")).tasks.map(\.name) == ["task-0", "task-1", "task-3", "task-4"])
    for task in [4, 0, 3, 1] { try TicketLedger.remove("task-\(task)", from: directory("model")) }
    #expect(try model == baseCheckpoint.allBytes())
    #expect(try TicketLedger.verify(directory("model")).tasks.isEmpty)
    #expect(
      try FileSystem.contents(of: directory("model")) == [
        "config.json", "lota-ledger.json", "lota-tasks", "model.safetensors", "notes.md", "tokenizer.json",
      ])
    #expect(try FileSystem.contents(of: directory("model/lota-tasks")).isEmpty)
  }

  @Test func whatIsRefused() throws {
    let first = try adapter(1)
    let path = directory("model")
    try TicketLedger.add(first, as: "first", to: path)
    let before = try model
    #expect(throws: TicketsError.ledgerTaskExists(name: "first", directory: path)) {
      try TicketLedger.add(try adapter(2), as: "first", to: path)
    }
    // The same weights again: all 2 of the first tensor's 15.
    #expect(
      throws: TicketsError.adaptersOverlap(
        first: path + "/lota-tasks/first", second: first.path, tensor: projectionNames(1)[0], count: 2)
    ) { try TicketLedger.add(first, as: "second", to: path) }
    for name in ["", "a/b", "..", ".x", "a b", "ä"] {
      #expect(throws: TicketsError.ledgerNameUnusable(name)) { try TicketLedger.add(first, as: name, to: path) }
    }
    #expect(throws: TicketsError.ledgerHasNoTask(name: "third", directory: path)) {
      try TicketLedger.remove("third", from: path)
    }
    #expect(throws: TicketsError.ledgerMissing(directory: directory("base"))) {
      try TicketLedger.verify(directory("base"))
    }
    // Trained on another base.
    let other = SmallModel.random(seed: 4)
    let otherBase = try other.write(to: directory("other"))
    let tuned = try other.trained(at: try mask(3, of: other), seed: 1).write(to: directory("other-tuned"))
    let foreign = try Adapter.extract(base: otherBase, tuned: tuned, output: directory("foreign")).adapter
    let error = #expect(throws: TicketsError.self) { try TicketLedger.add(foreign, as: "foreign", to: path) }
    if case .wrongBase? = error {} else { Issue.record("\(String(describing: error))") }
    #expect(try model == before)
    #expect(try TicketLedger.verify(path).tasks.count == 1)
  }

  @Test func changesOutsideTheLedgerAreSeen() throws {
    let path = directory("model")
    try TicketLedger.add(try adapter(1), as: "first", to: path)
    func edit(_ name: String, _ index: Int) throws {
      var changed = SmallModel()
      let checkpoint = try Checkpoint(directory: path)
      for tensor in checkpoint.tensors {
        changed.tensors[tensor.name] = (tensor.shape, try checkpoint.floats(of: tensor.name))
      }
      changed.tensors[name]?.values[index] += 1
      try changed.write(to: directory("edited"))
      try FileSystem.copyFile(from: directory("edited/model.safetensors"), to: path + "/model.safetensors")
    }
    // A weight of nobody's: the task can still be removed, but the model is not what the ledger says.
    try edit("model.norm.weight", 2)
    #expect(throws: TicketsError.ledgerBaseChanged(directory: path)) { try TicketLedger.verify(path) }
    #expect(throws: TicketsError.ledgerBaseChanged(directory: path)) {
      try TicketLedger.add(try adapter(2), as: "second", to: path)
    }
    // A weight of the task's.
    try edit(projectionNames(1)[0], 1)
    let error = #expect(throws: TicketsError.self) { try TicketLedger.remove("first", from: path) }
    if case .adapterNotApplied? = error {} else { Issue.record("\(String(describing: error))") }
  }

  @Test func damagedLedgers() throws {
    let path = directory("model")
    try TicketLedger.add(try adapter(1), as: "first", to: path)
    let file = path + "/lota-ledger.json"
    let text = try String(contentsOfFile: file, encoding: .utf8)
    for (old, new) in [
      ("\"lota-ledger\"", "\"other\""), ("\"version\" : 1", "\"version\" : 9"), ("\"first\"", "\"../first\""),
      ("\"owned\"", "\"had\""), ("configuration_sha256\" : \"", "configuration_sha256\" : \"0"),
    ] {
      #expect(text.contains(old))
      try FileSystem.writeAtomically(text.replacingOccurrences(of: old, with: new), to: file)
      let error = #expect(throws: TicketsError.self) { try TicketLedger.verify(path) }
      guard case .ledgerMalformed(file, _)? = error else {
        Issue.record("\(new): \(String(describing: error))")
        continue
      }
    }
  }

  @Test func capacity() throws {
    let shapes = Dictionary(uniqueKeysWithValues: base.scopedNames.map { ($0, base.tensors[$0]?.shape ?? []) })
    let all = shapes.values.reduce(0) { $0 + $1[0] * $1[1] }
    let whole = try TicketCapacity(shapes: shapes, taken: nil)
    #expect(whole.free.total.kept == all && whole.taken == 0)
    let taken = try mask(0).union(mask(1))
    let capacity = try TicketCapacity(shapes: shapes, taken: taken)
    // The first tensor's 15 weights: 0, 7, 14 and 1, 8 are taken.
    #expect(capacity.free.weights[.init(layer: 0, projection: .query)] == .init(kept: 10, scoped: 15))
    let embedding = taken["model.embed_tokens.weight"]?.bits.populationCount ?? 0
    #expect(capacity.taken == taken.keptCount - embedding && capacity.free.total.kept == all - capacity.taken)
    #expect(try capacity.requested(0.5) == (try TicketSelection.Amount.sparsity(0.5).count(of: all)))
    // 0.3 * 15 = 4.5 leaves 10.5, rounded to even: 10, which fits; 0.2 asks for 12.
    #expect(try capacity.shortages(0.3).first?.tensor != projectionNames(1)[0])
    let shortage = try #require(try capacity.shortages(0.2).first)
    #expect(shortage.tensor == projectionNames(1)[0] && shortage.requested == 12 && shortage.free == 10)
  }
}
