import Checkpoints
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Extraction from dense fine-tunes, comparison, and figures.
struct AdapterToolTests {
  private static let name = "model.layers.0.mlp.up_proj.weight"
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  // MARK: - Extraction

  @Test(arguments: [DType.float32, .bfloat16, .float16])
  func sparseChangesAreTakenExactlyWhereverTheyAre(dtype: DType) throws {
    let model = SmallModel.random(seed: 3, dtype: dtype)
    let base = try model.write(to: directory("base"))
    var changed = model
    let places = [
      ("model.norm.weight", 3), ("model.embed_tokens.weight", 0), (model.scopedNames[2], 7), (model.scopedNames[2], 8),
    ]
    for (name, index) in places { changed.tensors[name]?.values[index] = -1.5 }
    let tuned = try changed.write(to: directory("tuned"))
    let (adapter, summary) = try Adapter.extract(base: base, tuned: tuned, output: directory("adapter"))
    #expect(summary.changed == 4 && summary.kept == 4 && summary.isExact)
    #expect(adapter.configuration.trainedCount == 4 && adapter.tensorNames.count == 3)
    try adapter.apply(to: base, output: directory("applied"))
    #expect(try Checkpoint(directory: directory("applied")).allBytes() == tuned.allBytes())
    // Four fit into a ticket that leaves out 80 %: still exact.
    let (_, roomy) = try Adapter.extract(
      base: base, tuned: tuned, output: directory("roomy"), amount: .sparsity(0.8))
    #expect(roomy.isExact)
  }

  @Test func denseChangesAreCutToTheLargest() throws {
    let model = SmallModel.random(seed: 3)
    let base = try model.write(to: directory("base"))
    var generator = SeededGenerator(seed: 4)
    var changed = model
    for (name, tensor) in model.tensors.sorted(by: { $0.key < $1.key }) {
      changed.tensors[name]?.values = tensor.values.map { $0 + Float(generator.next(below: 100) + 1) / 64 }
    }
    let tuned = try changed.write(to: directory("tuned"))
    for (amount, sparsity) in [(nil, 0.9), (TicketSelection.Amount.sparsity(0.7), 0.7)] {
      let out = directory("adapter\(sparsity)")
      let (adapter, summary) = try Adapter.extract(base: base, tuned: tuned, output: out, amount: amount)
      let mask = try TicketSelection.select(
        base: base, tuned: tuned, names: model.scopedNames, amount: .sparsity(sparsity))
      #expect(!summary.isExact && summary.kept == mask.keptCount && summary.changed == summary.total)
      #expect(try adapter.mask().entries == mask.entries.filter { $0.bits.populationCount > 0 })
      try adapter.checkTrainedWeights(base: base)
      try adapter.apply(to: base, output: out + "-applied")
      let applied = try Checkpoint(directory: out + "-applied")
      for name in model.scopedNames {
        let (old, new, found) = (try base.floats(of: name), try tuned.floats(of: name), try applied.floats(of: name))
        for index in old.indices { #expect(found[index] == (mask[name]?.bits[index] == true ? new : old)[index]) }
      }
    }
  }

  @Test func whatCannotBeExtractedIsRefused() throws {
    let model = SmallModel.random(seed: 3)
    let base = try model.write(to: directory("base"))
    let same = try model.write(to: directory("same"))
    #expect(throws: TicketsError.nothingChanged(base: base.path, tuned: same.path)) {
      try Adapter.extract(base: base, tuned: same, output: directory("a"))
    }
    let half = try SmallModel.random(seed: 3, dtype: .bfloat16).write(to: directory("half"))
    #expect { try Adapter.extract(base: base, tuned: half, output: directory("a")) } throws: {
      "\($0)".contains("is not a fine-tune of the base") && "\($0)".contains("is BF16")
    }
    #expect(!FileSystem.exists(directory("a")))
  }

  // MARK: - Comparison

  /// An adapter of a 2 x 3 tensor.
  private func adapter(_ name: String, base: [Float], changes: [Int: Float]) throws -> (Checkpoint, Adapter) {
    let model = SmallModel(tensors: [Self.name: ([2, 3], base)])
    var changed = model
    for (index, value) in changes { changed.tensors[Self.name]?.values[index] = value }
    let checkpoint = try model.write(to: directory("base"))
    let tuned = try changed.write(to: directory("tuned-\(name)"))
    return (checkpoint, try Adapter.extract(base: checkpoint, tuned: tuned, output: directory(name)).adapter)
  }

  @Test func comparisonByHand() throws {
    let values: [Float] = [1, -1, 0.5, 2, -2, 4]
    // Up at 0; up through a smaller magnitude at 1; through zero at 2.
    let (base, first) = try adapter("first", base: values, changes: [0: 1.5, 1: -0.5, 2: -0.5])
    // Down at 1; down at 2 without a change of sign; up at 3.
    let (_, second) = try adapter("second", base: values, changes: [1: -1.5, 2: 0.25, 3: 3])
    let comparison = try AdapterComparison(first, second, base: base)
    let total = comparison.total
    #expect(total.first == 3 && total.second == 3 && total.both == 2 && total.jaccard == 0.5)
    // At 1 one goes up and the other down; at 2 both go down.
    #expect(total.conflicts == 1)
    // Updates: (0.5, 0.5, -1, 0) and (0, -0.5, -0.25, 1): product -0.25 + 0.25 = 0.
    #expect(try #require(total.cosine) == 0)
    let itself = try AdapterComparison(first, first, base: base).total
    #expect(abs(try #require(itself.cosine) - 1) < 1e-12 && itself.conflicts == 0 && itself.jaccard == 1)
    #expect(try AdapterComparison(first, second).total.cosine == nil)
  }

  @Test func adaptersOfOtherBasesAreNotCompared() throws {
    let (_, first) = try adapter("first", base: [1, 2, 3, 4, 5, 6], changes: [0: 2])
    try FileSystem.remove(directory("base"))
    let (_, second) = try adapter("second", base: [1, 2, 3, 4, 5, 7], changes: [0: 2])
    #expect(throws: TicketsError.basesDiffer(first: first.path, second: second.path, tensor: Self.name)) {
      try AdapterComparison(first, second)
    }
  }

  // MARK: - Figures

  @Test func figuresByHand() throws {
    // Two of six weights: log2(6/2) * 2 + log2(6/4) * 4 bits. Differences: one step up each, so that they have no entropy.
    let (_, adapter) = try adapter("a", base: [1, 2, 3, 4, 5, 6], changes: [1: Float(2).nextUp, 4: Float(5).nextUp])
    let figures = try AdapterStatistics(adapter)
    #expect(abs(figures.indexEntropyBits - (2 * log2(3) + 4 * log2(1.5)) / 2) < 1e-12)
    #expect(figures.valueEntropyBits == 0 && figures.unchanged == 0 && figures.trained == 2)
    let files = try FileSystem.contents(of: adapter.path).map {
      try FileSystem.read(FileSystem.join(adapter.path, $0)).count
    }
    #expect(figures.byteCount == files.reduce(0, +))
    #expect(abs(figures.bits - 4 * Double(figures.byteCount)) < 1e-9)
    #expect(figures.density.total.kept == 2 && figures.density.total.scoped == 6)
  }

  @Test func unchangedEntriesAreCounted() throws {
    let model = SmallModel(tensors: [Self.name: ([2, 3], [1, 2, 3, 4, 5, 6])])
    var changed = model
    changed.tensors[Self.name]?.values[5] = 7
    let base = try model.write(to: directory("base"))
    let tuned = try changed.write(to: directory("tuned"))
    let bits = BitMask([true, false, false, false, true, true])
    let mask = try Mask(entries: [.init(name: Self.name, shape: [2, 3], bits: bits)])
    let adapter = try Adapter.write(
      to: directory("a"), base: base, tuned: tuned, mask: mask, provenance: .init(method: "lota"))
    let figures = try AdapterStatistics(adapter)
    #expect(abs(figures.unchanged - 2 / 3) < 1e-12)
    // Two zeros and one other.
    #expect(abs(figures.valueEntropyBits - (2 * log2(1.5) + log2(3)) / 3) < 1e-12)
    #expect(try adapter.mask().entries[0].bits == bits)
  }
}
