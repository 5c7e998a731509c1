import Checkpoints
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Adapters whose updates are rounded.
struct ValueCodingTests {
  private static let name = "model.layers.0.mlp.up_proj.weight"
  private static let lossy = [ValueCoding.bfloat16, .int8]
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A one-tensor base and the adapter of all its weights.
  private func make(_ base: [Float], _ trained: [Float], _ coding: ValueCoding, dtype: DType = .float32) throws
    -> (base: Checkpoint, adapter: Adapter)
  {
    let shape = [1, base.count]
    let stored = try SmallModel(dtype: dtype, tensors: [Self.name: (shape, base)]).write(to: directory("base"))
    let mask = try Mask(
      entries: [.init(name: Self.name, shape: shape, bits: BitMask(count: base.count, filled: true))])
    let adapter = try Adapter.write(
      to: directory("adapter"), base: stored, mask: mask, provenance: .init(method: "lota"), coding: coding,
      overwrite: true
    ) { tensor, _ in Adapter.storedValues(trained, as: tensor.dtype) }
    return (stored, adapter)
  }

  private func applied(_ adapter: Adapter, to base: Checkpoint) throws -> [Float] {
    try adapter.apply(to: base, output: directory("applied"), overwrite: true)
    return try Checkpoint(directory: directory("applied")).floats(of: Self.name)
  }

  /// The values' bytes of the only record.
  private func values() throws -> [UInt8] {
    let record = try SafetensorsFile(path: directory("adapter/adapter_model.safetensors")).withBytes(of: Self.name) {
      Array($0)
    }
    return Array(record[(52 + Int(record[48]) + Int(record[49]) << 8)...])
  }

  @Test func bfloat16ByHand() throws {
    // Updates 1 + 2^-8 and -(1 + 3 * 2^-8) lie between two bfloat16 numbers, 2^-7 apart: ties go to 1 and -(1 + 2^-6).
    let (base, adapter) = try make([2, 8, -1], [3.003_906_25, 6.988_281_25, -1], .bfloat16)
    #expect(try applied(adapter, to: base) == [3, 6.984_375, -1])
    let error = try #require(adapter.configuration.valueError)
    let step = 0.003_906_25
    #expect(error.maximum == step)
    let norm = ((1 + step) * (1 + step) + (1 + 3 * step) * (1 + 3 * step)).squareRoot()
    #expect(abs(error.relativeRMS - (2 * step * step).squareRoot() / norm) < 1e-15)
    // The largest magnitude is that of -(1 + 2^-6), 0x3F82: distances 2, 0 and all of it, doubled, and the sign.
    #expect(try values() == [0x82, 0x3F] + NumberStream.encode([4, 1, 0x3F82 << 1]))
  }

  @Test func int8ByHand() throws {
    // The largest update, 127, makes a step of 1: 0.5 and 1.5 are ties, which go to 0 and 2.
    let (base, adapter) = try make([0, 0, 0, 0, 10], [127, 0.5, 1.5, -3.25, 9], .int8)
    #expect(try applied(adapter, to: base) == [127, 0, 2, -3, 9])
    #expect(try values() == [0, 0, 0x80, 0x3F] + NumberStream.encode([254, 0, 4, 5, 1]))
    let error = try #require(adapter.configuration.valueError)
    #expect(error.maximum == 0.5)
    let squares = (127.0 * 127) + 0.25 + 2.25 + 3.25 * 3.25 + 1
    #expect(abs(error.relativeRMS - ((0.25 + 0.25 + 0.0625) / squares).squareRoot()) < 1e-15)
  }

  /// Zero blocks, a huge range, changes of sign, subnormals, several blocks.
  private static func awkward(_ dtype: DType) -> (base: [Float], trained: [Float]) {
    var generator = SeededGenerator(seed: 5)
    func stored(_ values: [Float]) -> [Float] {
      let bytes = Adapter.storedValues(values, as: dtype)
      return [Float](unsafeUninitializedCapacity: values.count) { buffer, count in
        bytes.withUnsafeBytes {
          FloatCodec.decode($0, as: dtype, into: UnsafeMutableBufferPointer(rebasing: buffer[..<values.count]))
        }
        count = values.count
      }
    }
    var base = stored(generator.values(1300, scale: 0.1).map(Float.init))
    let noise = generator.values(1300, scale: 0.01).map(Float.init)
    var trained = stored(zip(base, noise).map { $0 + $1 })
    for index in 256..<512 { trained[index] = base[index] }
    for index in 512..<540 { trained[index] = -base[index] }
    let tiny: Float = dtype == .float16 ? 0x1p-24 : .leastNonzeroMagnitude * (dtype == .bfloat16 ? 65536 : 1)
    for index in 768..<1024 { (base[index], trained[index]) = (0, Float(index % 7 - 3) * tiny) }
    (base[0], trained[0]) = (0, 30000)
    (base[1], trained[1]) = (-0.0, tiny)
    (base[2], trained[2]) = (tiny, -0.0)
    return (stored(base), stored(trained))
  }

  /// The definition, step by step.
  private static func expected(_ base: [Float], _ trained: [Float], _ coding: ValueCoding, _ dtype: DType) -> [UInt8] {
    var sums: [Float] = []
    for start in stride(from: 0, to: base.count, by: 256) {
      let block = start..<min(start + 256, base.count)
      let updates = block.map { trained[$0] - base[$0] }
      let scale = (updates.map(abs).max() ?? 0) / 127
      for (update, index) in zip(updates, block) {
        var kept: Float
        if coding == .int8 {
          kept = scale == 0 ? 0 : min(127, max(-127, (update / scale).rounded(.toNearestOrEven))) * scale
        } else {
          // Nearest of the two neighbours, measured in float64; the even one where both are as near.
          let low = Float(bitPattern: update.bitPattern & 0xFFFF_0000)
          let high = Float(bitPattern: (update.bitPattern & 0xFFFF_0000) &+ 0x1_0000)
          let (below, above) = (abs(Double(update) - Double(low)), abs(Double(high) - Double(update)))
          kept = below < above || (below == above && low.bitPattern & 0x1_0000 == 0) ? low : high
        }
        if kept == 0 { kept = update.sign == .minus ? -0.0 : 0 }
        sums.append(base[index] + kept)
      }
    }
    return Adapter.storedValues(sums, as: dtype)
  }

  @Test(arguments: lossy, [DType.float32, .bfloat16, .float16])
  func definition(_ coding: ValueCoding, _ dtype: DType) throws {
    let (before, after) = Self.awkward(dtype)
    let (base, adapter) = try make(before, after, coding, dtype: dtype)
    try adapter.apply(to: base, output: directory("applied"))
    let applied = try Checkpoint(directory: directory("applied"))
    #expect(try applied.bytes(of: Self.name) == Self.expected(before, after, coding, dtype))
    try adapter.checkEntries()
    try adapter.checkTrainedWeights(base: base)
    try adapter.verify(appliedIn: applied)

    let error = try #require(adapter.configuration.valueError)
    let held = try applied.floats(of: Self.name)
    let differences = zip(held, after).map { abs(Double($0) - Double($1)) }
    #expect(error.maximum == differences.max())
    let squares = zip(after, before).reduce(0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
    let relative = (differences.reduce(0) { $0 + $1 * $1 } / squares).squareRoot()
    #expect(abs(error.relativeRMS - relative) <= 1e-12 * relative)
    #expect(relative < 0.01)

    try Adapter.remove([adapter], from: applied, base: base, output: directory("removed"))
    #expect(try Checkpoint(directory: directory("removed")).allBytes() == base.allBytes())
    let statistics = try AdapterStatistics(adapter)
    #expect(statistics.unchanged >= 256.0 / 1300 && statistics.valueEntropyBits > 3)
  }

  @Test(arguments: lossy) func theBaseIsNeeded(_ coding: ValueCoding) throws {
    let (base, adapter) = try make([1, 2, 3], [2, 2.5, 2], coding)
    let needed = TicketsError.adapterNeedsBase(adapter: adapter.path, coding: coding)
    #expect(throws: needed) { try adapter.entries(of: Self.name) }
    #expect(throws: needed) { try AdapterComparison(adapter, adapter) }
    #expect(try adapter.indices(of: Self.name) == [0, 1, 2])
    #expect(try adapter.mask().keptCount == 3)
    #expect(try AdapterComparison(adapter, adapter, base: base).total.cosine.map { abs($0 - 1) < 1e-12 } == true)
    try adapter.apply(to: base, output: directory("applied"))
    let applied = try Checkpoint(directory: directory("applied"))
    #expect(throws: needed) { try Adapter.remove([adapter], from: applied, output: directory("removed")) }
    let other = try SmallModel(tensors: [Self.name: ([1, 3], [1, 2, 4])]).write(to: directory("other"))
    #expect(throws: TicketsError.wrongBase(adapter: adapter.path, tensors: [Self.name])) {
      try Adapter.remove([adapter], from: applied, base: other, output: directory("removed"))
    }
    #expect(throws: TicketsError.adapterNotApplied(adapter: adapter.path, tensors: [Self.name])) {
      try Adapter.remove([adapter], from: other, base: base, output: directory("removed"))
    }
    let short = try SmallModel(tensors: [Self.name: ([1, 2], [1, 2])]).write(to: directory("short"))
    #expect { try adapter.entries(of: Self.name, base: short) } throws: { "\($0)".contains("has shape [1, 2]") }
    #expect(!FileSystem.exists(directory("removed")))
  }

  @Test(arguments: lossy) func whatCannotBeHeld(_ coding: ValueCoding) throws {
    func refused(_ base: Float, _ trained: Float, _ dtype: DType = .float32) {
      #expect(throws: TicketsError.updateNotHeld(tensor: Self.name, index: 1, coding: coding)) {
        try make([1, base, 1], [1, trained, 1], coding, dtype: dtype)
      }
    }
    refused(1, .nan)
    refused(.infinity, 1)
    refused(1, -.infinity)
    refused(-.greatestFiniteMagnitude, .greatestFiniteMagnitude)
    #expect(!FileSystem.exists(directory("adapter")))
  }

  @Test(arguments: lossy) func encodingAnExactAdapter(_ coding: ValueCoding) throws {
    let model = SmallModel.random(seed: 9)
    let base = try model.write(to: directory("base"))
    let shapes = Dictionary(uniqueKeysWithValues: model.scopedNames.map { ($0, model.tensors[$0]?.shape ?? []) })
    let mask = try TicketSelection.random(shapes: shapes, amount: .sparsity(0.9), seed: 1)
    let trained = try model.trained(at: mask, seed: 1).write(to: directory("trained"))
    let provenance = Adapter.Provenance(method: "lota", training: ["seed": "1"])
    let exact = try Adapter.write(
      to: directory("exact"), base: base, tuned: trained, mask: mask, provenance: provenance)
    let encoded = try exact.encode(as: coding, base: base, output: directory("encoded"))
    let direct = try Adapter.write(
      to: directory("direct"), base: base, tuned: trained, mask: mask, provenance: provenance, coding: coding)
    #expect(encoded.configuration == direct.configuration)
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
      #expect(try FileSystem.read(directory("encoded/\(file)")) == FileSystem.read(directory("direct/\(file)")))
    }
    #expect(exact.configuration.valueCoding == .exact && exact.configuration.valueError == nil)
    #expect(encoded.configuration.scopedCount == exact.configuration.scopedCount)
    #expect(throws: TicketsError.adapterIsLossy(adapter: encoded.path, coding: coding)) {
      try encoded.encode(as: coding, base: base, output: directory("again"))
    }
    #expect(throws: TicketsError.wrongBase(adapter: exact.path, tensors: exact.tensorNames)) {
      try exact.encode(as: coding, base: trained, output: directory("again"))
    }
    #expect(!FileSystem.exists(directory("again")))

    let (adapter, summary) = try Adapter.extract(
      base: base, tuned: trained, output: directory("extracted"), coding: coding)
    #expect(summary.kept == summary.changed && !summary.isExact)
    #expect(adapter.configuration.valueCoding == coding && adapter.configuration.training == ["exact": "false"])
  }
}
