import Checkpoints
import TestSupport
import Testing
import Tickets
import Torch

struct MaskTests {
  private let names = projectionNames(9)

  private func mask(seed: UInt64 = 1, fingerprint: String? = nil) throws -> Mask {
    let shapes = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, [$0 + 1, 7]) })
    return try TicketSelection.random(
      shapes: shapes, amount: .sparsity(0.7), seed: seed, baseFingerprint: fingerprint)
  }

  // MARK: File

  @Test(arguments: [nil, "0123abcd"])
  func fileGivesTheSameMask(fingerprint: String?) throws {
    let directory = try TemporaryDirectory()
    let mask = try mask(fingerprint: fingerprint)
    try mask.write(to: directory("mask.safetensors"))
    #expect(try Mask(path: directory("mask.safetensors")) == mask)
    let file = try SafetensorsFile(path: directory("mask.safetensors"))
    #expect(file.tensors.map(\.name) == names)
    #expect(file.metadata["format"] == "lota-mask")
    #expect(file.metadata["sparsity"] == "0.7")
    #expect(file.metadata["base_fingerprint"] == fingerprint)
    #expect(file.metadata["shapes"]?.hasPrefix("{\"model.layers.0.self_attn.q_proj.weight\": [1, 7], ") == true)
  }

  /// A file of one 3 x 3 tensor with two bits set, in which one thing is changed.
  private func problem(
    metadata changes: [String: String?] = [:], bytes: [UInt8] = [0b1000_0001, 0], dtype: DType = .uint8,
    name: String = "a"
  ) throws -> String {
    let directory = try TemporaryDirectory()
    var metadata: [String: String] = [
      "format": "lota-mask", "version": "1", "sparsity": "0.75", "kept": "2", "shapes": "{\"a\": [3, 3]}",
    ]
    for (key, value) in changes { metadata[key] = value }
    let path = directory("mask.safetensors")
    let tensor = try TensorDescription(name: name, dtype: dtype, shape: [bytes.count / dtype.byteCount])
    let writer = try SafetensorsWriter(path: path, tensors: [tensor], metadata: metadata)
    try bytes.withUnsafeBytes { try writer.append($0) }
    try writer.finish()
    do {
      let mask = try Mask(path: path)
      return "read, keeps \(mask.entries[0].bits.setIndices)"
    } catch TicketsError.maskMalformed(_, let problem) {
      return problem
    } catch CheckpointError.malformedJSON {
      return "malformed JSON"
    }
  }

  @Test func readingChecksEverything() throws {
    #expect(try problem() == "read, keeps [0, 7]")
    #expect(try problem(metadata: ["format": nil, "version": nil, "sparsity": nil]) == "read, keeps [0, 7]")
    #expect(try problem(metadata: ["format": "pt"]) == "its format is pt, not lota-mask")
    #expect(try problem(metadata: ["version": "2"]) == "its version is 2, this program reads 1")
    #expect(try problem(metadata: ["version": nil]) == "its version is missing, this program reads 1")
    #expect(try problem(metadata: ["shapes": nil]) == "it has no shapes in its metadata")
    #expect(try problem(metadata: ["shapes": "[]"]) == "its shapes are not a JSON object")
    #expect(try problem(metadata: ["shapes": "{"]) == "malformed JSON")
    #expect(try problem(metadata: ["shapes": "{\"a\": [3, \"x\"]}"]).contains("not a list of integers"))
    #expect(try problem(metadata: ["shapes": "{\"a\": [-3, 3]}"]).contains("impossible shape"))
    #expect(try problem(metadata: ["shapes": "{\"a\": [4294967296, 4294967296, 3]}"]).contains("impossible shape"))
    #expect(try problem(metadata: ["shapes": "{\"a\": [3, 3], \"b\": [1]}"]) == "tensor b is missing")
    #expect(try problem(name: "c") == "tensor c has no shape")
    #expect(try problem(metadata: ["kept": "3"]) == "it keeps 2 weights, its metadata says 3")
    #expect(try problem(metadata: ["kept": nil]) == "it has no count of kept weights in its metadata")
    #expect(try problem(metadata: ["sparsity": "1.5"]) == "its sparsity is 1.5, not a number from 0 to 1")
    #expect(try problem(bytes: [1, 0, 0]) == "tensor a: 3 packed bytes, expected 2")
    #expect(try problem(bytes: [1, 2]) == "tensor a: the unused bits after bit 9 are not zero")
    #expect(try problem(dtype: .bfloat16) == "tensor a is BF16, not U8")
  }

  // MARK: Construction and algebra

  @Test func entriesAreOrderedAndChecked() throws {
    let entries = names.map { Mask.Entry(name: $0, shape: [2], bits: BitMask([true, false])) }
    let mask = try Mask(entries: entries.reversed())
    #expect(mask.entries == entries)
    #expect(mask.keptCount == 9)
    #expect(mask.scopedCount == 18)
    #expect(mask.sparsity == 0.5)
    #expect(mask[names[3]] == entries[3])
    #expect(mask["model.norm.weight"] == nil)
    #expect(throws: TicketsError.duplicateTensor(names[0])) { try Mask(entries: [entries[0], entries[0]]) }
    #expect(throws: TicketsError.shapeMismatch(tensor: "a", expected: [2], found: [3])) {
      try Mask(entries: [.init(name: "a", shape: [3], bits: BitMask(count: 2))])
    }
  }

  @Test func algebraMatchesSets() throws {
    let first = try mask(seed: 1)
    let second = try mask(seed: 2)
    let (left, right) = (Set(first.flatIndices), Set(second.flatIndices))
    #expect(try Set(first.union(second).flatIndices) == left.union(right))
    #expect(try Set(first.intersection(second).flatIndices) == left.intersection(right))
    #expect(try Set(first.subtracting(second).flatIndices) == left.subtracting(right))
    #expect(try Set(first.complement().flatIndices) == Set(0..<first.scopedCount).subtracting(left))

    let overlap = try first.overlap(with: second)
    #expect(overlap.total.both == left.intersection(right).count)
    #expect(overlap.total.union == left.union(right).count)
    #expect(overlap.total.jaccard == Double(overlap.total.both) / Double(overlap.total.union))
    #expect(overlap.tensors.map(\.name) == names)
    #expect(overlap.tensors.map(\.scoped) == (1...9).map { $0 * 7 })
    #expect(try first.overlap(with: first).total.jaccard == 1)
    #expect(try first.overlap(with: first.complement()).total.both == 0)
  }

  @Test func masksOfDifferentModelsAreRefusedWithEveryDifference() throws {
    func entry(_ name: String, _ count: Int) -> Mask.Entry {
      .init(name: name, shape: [count], bits: BitMask(count: count))
    }
    let first = try Mask(entries: [entry("a", 1), entry("b", 2), entry("c", 3)])
    let second = try Mask(entries: [entry("b", 2), entry("c", 4), entry("d", 1)])
    #expect(
      throws: TicketsError.masksCoverDifferentTensors([
        "a is missing", "c has shape [4], the mask has [3]", "d is only in the second mask",
      ])
    ) { try first.union(second) }
    #expect(throws: TicketsError.maskDoesNotFit(["a is missing", "c has shape [3, 1], the mask has [3]"])) {
      try first.checkFits(shapes: ["b": [2], "c": [3, 1], "z": [9]])
    }
    #expect(throws: Never.self) { try first.checkFits(shapes: ["a": [1], "b": [2], "c": [3], "z": [9]]) }
  }

  @Test func densityPerLayerAndProjection() throws {
    let entries = [
      Mask.Entry(name: names[0], shape: [4], bits: BitMask([true, true, false, false])),
      Mask.Entry(name: names[1], shape: [2], bits: BitMask([false, false])),
      Mask.Entry(name: names[7], shape: [4], bits: BitMask([true, false, false, false])),
      Mask.Entry(name: "lm_head.weight", shape: [2], bits: BitMask([true, true])),
    ]
    let density = MaskDensity(try Mask(entries: entries))
    #expect(density.layers.map(\.layer) == [0, 1])
    #expect(density.layers.map(\.cell.density) == [1.0 / 3, 0.25])
    #expect(density.projections.map(\.projection) == [.query, .key])
    #expect(density.projections.map(\.cell) == [.init(kept: 3, scoped: 8), .init(kept: 0, scoped: 2)])
    #expect(density.weights[.init(layer: 0, projection: .query)] == .init(kept: 2, scoped: 4))
    #expect(density.others.map(\.name) == ["lm_head.weight"])
    #expect(density.total == .init(kept: 5, scoped: 12))
  }
}
