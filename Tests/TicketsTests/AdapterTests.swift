import Checkpoints
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

struct AdapterTests {
  private let directory: TemporaryDirectory
  private let provenance = Adapter.Provenance(method: "lota", training: ["steps": "5", "seed": "1"])

  init() throws { directory = try TemporaryDirectory() }

  /// A base, a mask over its projections, the trained model, and the adapter between them.
  private func make(
    _ dtype: DType = .float32, name: String = "adapter", sparsity: Double = 0.8, seed: UInt64 = 1,
    excluding: Mask? = nil
  ) throws -> (base: Checkpoint, trained: Checkpoint, mask: Mask, adapter: Adapter) {
    let model = SmallModel.random(seed: 9, dtype: dtype)
    let base = try model.write(to: directory("base"))
    let shapes = Dictionary(
      uniqueKeysWithValues: model.scopedNames.map { ($0, model.tensors[$0]?.shape ?? []) })
    let mask = try TicketSelection.random(
      shapes: shapes, amount: .sparsity(sparsity), seed: seed, excluding: excluding)
    let trained = try model.trained(at: mask, seed: seed).write(to: directory("trained-\(name)"))
    let adapter = try Adapter.write(
      to: directory(name), base: base, tuned: trained, mask: mask, provenance: provenance)
    return (base, trained, mask, adapter)
  }

  @Test(arguments: [DType.float32, .bfloat16, .float16], [0.0, 0.5, 0.8, 0.99])
  func baseAndAdapterGiveTheTrainedModel(dtype: DType, sparsity: Double) throws {
    let (base, trained, mask, adapter) = try make(dtype, sparsity: sparsity)
    let before = try base.allBytes()
    try adapter.apply(to: base, output: directory("applied"))
    let applied = try Checkpoint(directory: directory("applied"))
    #expect(try applied.allBytes() == trained.allBytes())
    #expect(applied.tensors == base.tensors)
    #expect(try Checkpoint(directory: directory("base")).allBytes() == before)
    #expect(
      try FileSystem.contents(of: directory("applied")) == ["config.json", "model.safetensors", "tokenizer.json"])
    #expect(try SafetensorsFile(path: directory("applied/model.safetensors")).metadata == ["format": "pt"])
    #expect(adapter.configuration.trainedCount == mask.keptCount)
    #expect(adapter.configuration.scopedCount == mask.scopedCount)
    #expect(adapter.configuration.training == provenance.training)
    let changed = mask.entries.filter { $0.bits.populationCount > 0 }
    #expect(adapter.tensorNames == changed.map(\.name))
    #expect(try adapter.mask().entries == changed)
    #expect(try adapter.configuration.baseFingerprint == ModelFingerprint(base).value)
  }

  @Test(arguments: [DType.float32, .float16], [1, 12, 50, 64])
  func partsOfATensorAreChangedOneByOne(dtype: DType, bufferByteCount: Int) throws {
    let (base, trained, _, adapter) = try make(dtype)
    try Adapter.apply([adapter], to: base, output: directory("applied"), bufferByteCount: bufferByteCount)
    #expect(try Checkpoint(directory: directory("applied")).allBytes() == trained.allBytes())
  }

  @Test(arguments: [DType.float32, .bfloat16, .float16])
  func entriesChangeALiveTensorAndComeOutExactly(dtype: DType) throws {
    let (base, trained, mask, adapter) = try make(dtype)
    for name in base.tensors.map(\.name) {
      let original = try base.bytes(of: name)
      var live = original
      guard let entries = try adapter.entries(of: name) else {
        #expect(TicketScope.Weight(name: name) == nil)
        continue
      }
      #expect(entries.indices.map(Int.init) == mask[name]?.bits.setIndices)
      live.withUnsafeMutableBytes { entries.add(to: $0) }
      #expect(try live == trained.bytes(of: name))
      let tuned = live.withUnsafeBytes { entries.gather(from: $0) }
      #expect(original.withUnsafeBytes { entries.trained(from: entries.gather(from: $0)) } == tuned)
      live.withUnsafeMutableBytes { entries.remove(from: $0) }
      #expect(live == original)
    }
  }

  @Test(arguments: [DType.float32, .bfloat16, .float16])
  func anyBitPatternsComeBack(dtype: DType) throws {
    // NaN, infinities, signed zeros, subnormals and changes of sign, in both directions.
    var special: [Float] = [.nan, -.nan, .infinity, -.infinity, 0, -0, 1, -1, 0.375]
    special += [.leastNonzeroMagnitude, -.leastNonzeroMagnitude, .greatestFiniteMagnitude]
    let name = "model.layers.0.mlp.up_proj.weight"
    let pairs = special.flatMap { base in special.map { (base, $0) } }
    let shape = [special.count, special.count]
    let base = try SmallModel(dtype: dtype, tensors: [name: (shape, pairs.map(\.0))]).write(to: directory("base"))
    let tuned = try SmallModel(dtype: dtype, tensors: [name: (shape, pairs.map(\.1))]).write(to: directory("tuned"))
    let mask = try Mask(entries: [.init(name: name, shape: shape, bits: BitMask(count: pairs.count, filled: true))])
    let adapter = try Adapter.write(to: directory("a"), base: base, tuned: tuned, mask: mask, provenance: provenance)
    try adapter.apply(to: base, output: directory("applied"))
    #expect(try Checkpoint(directory: directory("applied")).allBytes() == tuned.allBytes())
    try Adapter.remove([adapter], from: tuned, output: directory("removed"))
    #expect(try Checkpoint(directory: directory("removed")).allBytes() == base.allBytes())
  }

  @Test(arguments: [DType.float32, .bfloat16, .float16], [0.0, 0.8, 0.99])
  func removingGivesTheBaseBack(dtype: DType, sparsity: Double) throws {
    let (base, trained, _, adapter) = try make(dtype, sparsity: sparsity)
    try Adapter.remove([adapter], from: trained, output: directory("removed"))
    #expect(try Checkpoint(directory: directory("removed")).allBytes() == base.allBytes())
  }

  @Test func removingOneOfTwoLeavesTheOther() throws {
    let (base, _, firstMask, first) = try make(name: "first", seed: 1)
    let (_, secondOnly, _, second) = try make(name: "second", seed: 2, excluding: firstMask)
    try Adapter.apply([first, second], to: base, output: directory("both"))
    let both = try Checkpoint(directory: directory("both"))
    try Adapter.remove([first], from: both, output: directory("without"))
    #expect(try Checkpoint(directory: directory("without")).allBytes() == secondOnly.allBytes())
    try Adapter.remove([second, first], from: both, output: directory("neither"))
    #expect(try Checkpoint(directory: directory("neither")).allBytes() == base.allBytes())
    // It is not in there any more.
    let without = try Checkpoint(directory: directory("without"))
    #expect(throws: TicketsError.adapterNotApplied(adapter: first.path, tensors: first.tensorNames)) {
      try Adapter.remove([first], from: without, output: directory("twice"))
    }
    #expect(!FileSystem.exists(directory("twice")))
  }

  @Test func writesFromValuesInMemory() throws {
    let (base, trained, mask, adapter) = try make(.bfloat16)
    let other = try Adapter.write(
      to: directory("other"), base: base, mask: mask, provenance: provenance, fingerprint: ModelFingerprint(base)
    ) { tensor, indices in
      let floats = try trained.floats(of: tensor.name)
      return Adapter.storedValues(indices.map { floats[Int($0)] }, as: tensor.dtype)
    }
    #expect(other.configuration == adapter.configuration)
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
      #expect(try FileSystem.read(directory("other/\(file)")) == FileSystem.read(directory("adapter/\(file)")))
    }
    #expect(
      throws: TicketsError.wrongValueCount(
        tensor: mask.entries[0].name, expected: 2 * mask.entries[0].bits.populationCount, found: 1)
    ) {
      try Adapter.write(to: directory("third"), base: base, mask: mask, provenance: provenance) { _, _ in [0] }
    }
    #expect(!FileSystem.exists(directory("third")))
  }

  @Test func disjointAdaptersApplyInAnyOrder() throws {
    let (base, _, firstMask, first) = try make(name: "first", seed: 1)
    let (_, _, secondMask, second) = try make(name: "second", seed: 2, excluding: firstMask)
    try Adapter.apply([first, second], to: base, output: directory("ab"))
    try Adapter.apply([second, first], to: base, output: directory("ba"))
    let expected = try SmallModel.random(seed: 9).trained(at: firstMask, seed: 1).trained(at: secondMask, seed: 2)
      .write(to: directory("expected")).allBytes()
    #expect(try Checkpoint(directory: directory("ab")).allBytes() == expected)
    #expect(try Checkpoint(directory: directory("ba")).allBytes() == expected)
  }

  @Test func overlappingAdaptersAreRefusedWithTheCount() throws {
    let (base, _, firstMask, first) = try make(name: "first", sparsity: 0.5, seed: 1)
    let (_, _, secondMask, second) = try make(name: "second", sparsity: 0.5, seed: 2)
    let shared = try firstMask.overlap(with: secondMask).tensors.filter { $0.both > 0 }
    #expect(
      throws: TicketsError.adaptersOverlap(
        first: first.path, second: second.path, tensor: shared[0].name, count: shared[0].both)
    ) { try Adapter.apply([first, second], to: base, output: directory("both")) }
    #expect(!FileSystem.exists(directory("both")))
  }

  @Test func anotherBaseIsRefusedByName() throws {
    let (_, _, mask, adapter) = try make()
    var model = SmallModel.random(seed: 9)
    // What the adapter does not touch may differ.
    model.tensors["model.norm.weight"]?.values[0] += 1
    #expect(throws: Never.self) { try adapter.verify(base: model.write(to: directory("norm"))) }

    let names = [mask.entries[3].name, mask.entries[11].name]
    for name in names { model.tensors[name]?.values[1] += 1 }
    let other = try model.write(to: directory("other"))
    #expect(throws: TicketsError.wrongBase(adapter: adapter.path, tensors: names)) {
      try adapter.apply(to: other, output: directory("out"))
    }
    #expect(!FileSystem.exists(directory("out")))
    #expect(throws: Never.self) { try adapter.apply(to: other, output: directory("out"), verifiesBase: false) }

    model.tensors[names[0]] = nil
    model.tensors[names[1]] = ([1, 5], [0, 0, 0, 0, 0])
    let misfit = TicketsError.adapterDoesNotFit(
      path: adapter.path,
      problems: ["tensor \(names[0]) is missing", "tensor \(names[1]) has shape [1, 5], expected [14, 5]"])
    let smaller = try model.write(to: directory("smaller"))
    #expect(throws: misfit) { try adapter.verify(base: smaller, digests: false) }

    let half = try SmallModel.random(seed: 9, dtype: .bfloat16).write(to: directory("half"))
    #expect { try adapter.verify(base: half) } throws: { "\($0)".contains("q_proj.weight is BF16, expected F32") }
  }

  @Test func changesOutsideTheMaskAreRefused() throws {
    let (base, _, mask, _) = try make()
    var model = SmallModel.random(seed: 9).trained(at: mask, seed: 1)
    model.tensors["model.norm.weight"]?.values[7] += 1
    let norm = try model.write(to: directory("norm"))
    #expect(throws: TicketsError.trainedOutsideMask(tensor: "model.norm.weight", index: 7)) {
      try Adapter.write(to: directory("a"), base: base, tuned: norm, mask: mask, provenance: provenance)
    }
    let entry = mask.entries[2]
    let outside = try #require((0..<entry.bits.count).last { !entry.bits[$0] })
    model.tensors[entry.name]?.values[outside] += 1
    let both = try model.write(to: directory("both"))
    #expect(throws: TicketsError.trainedOutsideMask(tensor: entry.name, index: outside)) {
      try Adapter.write(to: directory("a"), base: base, tuned: both, mask: mask, provenance: provenance)
    }
    #expect(!FileSystem.exists(directory("a")))
  }

  @Test func outputsAreNeverOverwrittenUnasked() throws {
    let (base, trained, mask, adapter) = try make()
    #expect(throws: CheckpointError.outputExists(path: directory("adapter"))) {
      try Adapter.write(to: directory("adapter"), base: base, tuned: trained, mask: mask, provenance: provenance)
    }
    #expect(throws: CheckpointError.outputExists(path: directory("base"))) {
      try adapter.apply(to: base, output: directory("base"))
    }
    #expect(throws: TicketsError.outputIsTheBase(directory("base/../base"))) {
      try adapter.apply(to: base, output: directory("base/../base"), overwrite: true)
    }
    #expect(throws: Never.self) {
      try adapter.apply(to: base, output: directory("trained-adapter"), overwrite: true)
    }
    #expect(throws: Never.self) {
      try Adapter.write(
        to: directory("adapter"), base: base, tuned: trained, mask: mask, provenance: provenance, overwrite: true)
    }
  }
}
