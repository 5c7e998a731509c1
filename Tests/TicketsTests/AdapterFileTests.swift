import Checkpoints
import Foundation
import TestSupport
import Testing
import Tickets
import Torch

/// Opening and reading an adapter checks everything it holds.
struct AdapterFileTests {
  private static let name = "model.layers.0.mlp.up_proj.weight"
  private static let digest = String(repeating: "0a", count: 32)

  /// A 2 x 3 tensor of which the weights 1 and 4 are trained: gaps 1 and 2, Rice-coded with k = 0; differences 1 and -1.
  private static let indices: [UInt8] = [0, 0, 0b10010]
  private static let values: [UInt8] = NumberStream.encode([2, 1])

  private static func record(indices: [UInt8] = indices, values: [UInt8] = values, size: Int? = nil) -> [UInt8] {
    func digest(_ bytes: [UInt8]) -> [UInt8] {
      Array(bytes.withUnsafeBytes { ModelFingerprint.digestBytes(of: $0) }.prefix(16))
    }
    let covered = digest(values) + digest([1, 2, 3]) + [UInt8(size ?? indices.count), 0, 0, 0] + indices
    return digest(covered) + covered + values
  }

  /// The problem with that adapter, in which one thing is changed while its digests are kept right; nil when there is none.
  private func problem(
    replacing text: String = "", with other: String = "", record: [UInt8] = record(), type: DType = .uint8,
    recordName: String = name, extra: String? = nil, metadata: [String: String] = [:]
  ) throws -> String? {
    let directory = try TemporaryDirectory()
    var configuration = """
      {"format": "lota-adapter", "version": 2, "method": "lota", "sparsity": 0.75, "trained_count": 2, \
      "scoped_count": 6, "base_fingerprint": "f", "base_byte_count": 24, "training": {"steps": "3"}, \
      "records_sha256": "\(Array(record.prefix(32)).withUnsafeBytes { ModelFingerprint.digest(of: $0) })", \
      "base_tensors": {"\(Self.name)": {"sha256": "\(Self.digest)", "dtype": "F32", "shape": [2, 3], "trained": 2}}}
      """
    if !text.isEmpty { configuration = configuration.replacingOccurrences(of: text, with: other) }
    try FileSystem.writeAtomically(configuration, to: directory("adapter_config.json"))
    var tensors = [try TensorDescription(name: recordName, dtype: type, shape: [record.count])]
    if let extra { tensors.append(try TensorDescription(name: extra, dtype: .uint8, shape: [0])) }
    let digest = Array(configuration.utf8).withUnsafeBytes { ModelFingerprint.digest(of: $0) }
    let writer = try SafetensorsWriter(
      path: directory("adapter_model.safetensors"), tensors: tensors,
      metadata: ["format": "lota-adapter", "version": "2", "configuration_sha256": digest].merging(metadata) { $1 })
    try record.withUnsafeBytes { try writer.append($0) }
    try writer.finish()
    do {
      let entries = try Adapter(directory: directory.path).entries(of: Self.name)
      #expect(entries?.indices == [1, 4])
      #expect(entries?.differences == [1, .max])
      return nil
    } catch TicketsError.adapterMalformed(_, let problem) {
      return problem
    } catch TicketsError.adapterUnsupportedVersion(_, let version) {
      return "version \(version)"
    }
  }

  @Test func configurationIsChecked() throws {
    #expect(try problem() == nil)
    #expect(try problem(replacing: "lota-adapter", with: "x") == "it is of another kind, not a lota-adapter")
    #expect(
      try problem(replacing: "\"format\": \"lota-adapter\"", with: "\"peft_type\": \"LORA\"")
        == "it is a PEFT adapter of type LORA, not a lota-adapter")
    #expect(try problem(replacing: "\"version\": 2", with: "\"version\": 1") == "version 1")
    #expect(try problem(replacing: "\"method\": \"lota\", ", with: "") == "key method is missing")
    #expect(try problem(replacing: "\"method\": \"lota\"", with: "\"method\": 3") == "key method has the wrong type")
    #expect(try problem(replacing: "\"method\"", with: "\"new\": 1, \"method\"") == "unknown key new")
    #expect(
      try problem(replacing: "\"dtype\"", with: "\"more\": 1, \"dtype\"")
        == "key base_tensors/\(Self.name): unknown key more")
    #expect(try problem(replacing: "\"F32\"", with: "\"F31\"")?.contains("unknown dtype F31") == true)
    #expect(
      try problem(replacing: "\"F32\"", with: "\"F64\"") == "tensor \(Self.name) is F64, expected F32, BF16 or F16")
    #expect(try problem(replacing: "0.75", with: "1.75") == "its sparsity is 1.75, not a number from 0 to 1")
    #expect(
      try problem(replacing: "\"trained_count\": 2", with: "\"trained_count\": 3")
        == "it changes 2 weights, its configuration says 3 of 6")
    #expect(try problem(replacing: Self.digest, with: "abc") == "tensor \(Self.name) has no SHA-256 digest")
    #expect(try problem(replacing: "[2, 3]", with: "[2, -3]") == "tensor \(Self.name) has the impossible shape [2, -3]")
    #expect(
      try problem(replacing: "[2, 3]", with: "[2147483648]")
        == "tensor \(Self.name) has the impossible shape [2147483648]")
    #expect(try problem(replacing: "[2, 3]", with: "[0, 3]") == "tensor \(Self.name) has 2 trained weights of 0")
    for count in ["0", "-2", "7"] {
      #expect(
        try problem(replacing: "\"trained\": 2", with: "\"trained\": \(count)")
          == "tensor \(Self.name) has \(count) trained weights of 6")
    }
    #expect(
      try problem(metadata: ["configuration_sha256": Self.digest])?.contains("do not belong together") == true)
    #expect(try problem(metadata: ["format": "pt"]) == "adapter_model.safetensors has other metadata than an adapter's")
    #expect(try problem(metadata: ["more": ""]) == "adapter_model.safetensors has other metadata than an adapter's")
  }

  @Test func recordsAreChecked() throws {
    func indices(_ gaps: [UInt32]) throws -> String? {
      try problem(record: Self.record(indices: NumberStream.encode(gaps)))
    }
    let indicesProblem = "tensor \(Self.name): its indices cannot be decoded"
    // Gaps 1 and 2 end at 4; 1 and 4 would lead out of the tensor's 6 weights.
    #expect(try indices([1, 4]) == indicesProblem)
    #expect(try indices([1, 1 << 31 - 1]) == indicesProblem)
    #expect(try indices([1, 1 << 31]) == indicesProblem)
    #expect(try indices([1, 2, 0]) == indicesProblem)
    #expect(try problem(record: Self.record(indices: [7])) == indicesProblem)
    let valuesProblem = "tensor \(Self.name): its values cannot be decoded"
    #expect(try problem(record: Self.record(values: NumberStream.encode([2]))) == valuesProblem)
    #expect(try problem(record: Self.record(values: [])) == valuesProblem)
    // 16 bits hold no difference as large as this.
    #expect(
      try problem(
        replacing: "\"F32\"", with: "\"BF16\"", record: Self.record(values: NumberStream.encode([1 << 15, 0])))
        == valuesProblem)
    #expect(
      try problem(record: Self.record(size: 200)) == "tensor \(Self.name): its size of the indices is wrong")
    #expect(try problem(record: Self.record() + [0])?.contains("values are damaged") == true)
    #expect(try problem(type: .int8)?.contains("has a record I8 [58], expected U8 [bytes]") == true)
    #expect(try problem(record: [1, 2, 3])?.contains("has a record of 3 bytes, too few for 2 weights") == true)
    #expect(try problem(recordName: "x") == "tensor \(Self.name) is missing")
    #expect(try problem(extra: "more") == "tensor more is not in its configuration")
  }

  @Test func recordsOfAnotherAdapterAreRefused() throws {
    let directory = try TemporaryDirectory()
    let (base, _) = try written(directory)
    let other = try TemporaryDirectory()
    _ = try written(other, seed: 2)
    // Same tensors, as many weights each: only the digest over all records tells.
    var bytes = [UInt8](try FileSystem.read(other("adapter/adapter_model.safetensors")))
    let mine = try SafetensorsFile(path: directory("adapter/adapter_model.safetensors")).metadata
    let theirs = try SafetensorsFile(path: other("adapter/adapter_model.safetensors")).metadata
    let (from, to) = (try #require(theirs["configuration_sha256"]), try #require(mine["configuration_sha256"]))
    let place = try #require(Data(bytes).range(of: Data(from.utf8)))
    bytes.replaceSubrange(place, with: Array(to.utf8))
    try FileSystem.writeAtomically(Data(bytes), to: directory("adapter/adapter_model.safetensors"))
    #expect { try Adapter(directory: directory("adapter")) } throws: { "\($0)".contains("records_sha256 differs") }
    #expect(isRefused(directory, base: base))
  }

  /// An adapter of a small model, of whose two files every byte counts.
  private func written(_ directory: TemporaryDirectory, seed: UInt64 = 1) throws -> (base: Checkpoint, adapter: Adapter)
  {
    let model = SmallModel.random(seed: 9)
    let base = try model.write(to: directory("base"))
    let shapes = Dictionary(uniqueKeysWithValues: model.scopedNames.map { ($0, model.tensors[$0]?.shape ?? []) })
    let mask = try TicketSelection.random(shapes: shapes, amount: .sparsity(0.7), seed: 1)
    let trained = try model.trained(at: mask, seed: seed).write(to: directory("trained"))
    return (
      base,
      try Adapter.write(
        to: directory("adapter"), base: base, tuned: trained, mask: mask, provenance: .init(method: "lota"))
    )
  }

  /// Whether a damaged adapter is refused before anything is written.
  private func isRefused(_ directory: TemporaryDirectory, base: Checkpoint) -> Bool {
    defer { try? FileSystem.remove(directory("out")) }
    do {
      let adapter = try Adapter(directory: directory("adapter"))
      try adapter.apply(to: base, output: directory("out"))
      return false
    } catch {
      // A message, and nothing half written.
      let names = (try? FileSystem.contents(of: directory.path)) ?? []
      return (error is TicketsError || error is CheckpointError) && names.sorted() == ["adapter", "base", "trained"]
    }
  }

  @Test(arguments: ["adapter_config.json", "adapter_model.safetensors"])
  func everyBitFlipIsRefused(file: String) throws {
    let directory = try TemporaryDirectory()
    let (base, _) = try written(directory)
    let path = directory("adapter/\(file)")
    let intact = [UInt8](try FileSystem.read(path))
    #expect(!isRefused(directory, base: base))
    var generator = SeededGenerator(seed: 2)
    for round in 0..<1000 {
      // Every byte of the first ones, then anywhere.
      let bit = round < 128 ? round : Int(generator.next(below: UInt64(intact.count * 8)))
      var damaged = intact
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      try FileSystem.writeAtomically(Data(damaged), to: path)
      #expect(isRefused(directory, base: base), "bit \(bit)")
    }
  }

  @Test(arguments: ["adapter_config.json", "adapter_model.safetensors"])
  func everyTruncationIsRefused(file: String) throws {
    let directory = try TemporaryDirectory()
    let (base, _) = try written(directory)
    let path = directory("adapter/\(file)")
    let intact = [UInt8](try FileSystem.read(path))
    for cut in 0..<100 {
      try FileSystem.writeAtomically(Data(intact[..<(cut * intact.count / 100)]), to: path)
      #expect(isRefused(directory, base: base), "\(cut) % of the file")
    }
  }
}
