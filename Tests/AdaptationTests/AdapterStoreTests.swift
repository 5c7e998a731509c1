import Adaptation
import Checkpoints
import Decoder
import TestSupport
import Testing
import Tickets
import Torch

/// Adapters switched over a live model.
@Suite(.engine) struct AdapterStoreTests {
  private let directory: TemporaryDirectory
  private let model: String
  private let base: [String: [UInt8]]

  init() throws {
    directory = try TemporaryDirectory()
    model = try TrainingGoldens().model
    base = try LanguageModel(directory: model).snapshot()
  }

  /// Three tickets, the first two disjoint; the third shares weights with both.
  private func store(_ dtype: DType? = nil, on model: String? = nil) throws -> (AdapterStore, LoadedModel) {
    let source = model ?? self.model
    let loaded = try LoadedModel(directory: source, dtype: dtype)
    let store = try AdapterStore(loaded)
    for (number, name) in ["sql", "math", "both"].enumerated() {
      try writeAdapter(directory(name), base: source, offset: number, stride: name == "both" ? 3 : 10)
      try store.add(directory(name), named: name)
    }
    return (store, loaded)
  }

  private func values(_ loaded: LoadedModel) throws -> [String: [UInt8]] { try loaded.model.snapshot() }

  @Test func switchingIsExact() throws {
    let (store, loaded) = try store()
    #expect(store.names == ["both", "math", "sql"] && store.active.isEmpty)
    for names in [["sql"], ["math"], ["sql", "math"], ["math", "sql"], ["both"], ["sql", "sql"], [], ["both"]] {
      try store.activate(names)
      #expect(store.active == (names == ["sql", "sql"] ? ["sql"] : names))
      let fresh = try LoadedModel(directory: model, adapters: store.active.map { directory($0) })
      #expect(try values(loaded) == values(fresh), "\(names)")
      #expect(try (values(loaded) == base) == names.isEmpty)
    }
    try store.deactivateAll()
    #expect(try values(loaded) == base && store.active.isEmpty)
    try store.deactivateAll()
    #expect(try values(loaded) == base)
  }

  /// Values that do not survive arithmetic come back too.
  @Test func awkwardBaseValues() throws {
    let (store, loaded) = try store()
    let parameter = try #require(loaded.model.parameter(named: "model.layers.1.mlp.down_proj.weight")).value
    let awkward: [Float] = [-0.0, .leastNonzeroMagnitude, .infinity, .nan, -.greatestFiniteMagnitude]
    let count = parameter.elementCount
    try parameter.copy(from: Tensor.from((0..<count).map { awkward[$0 % awkward.count] }, shape: parameter.shape))
    let before = try values(loaded)
    try store.activate(["sql", "math"])
    #expect(try values(loaded) != before)
    try store.deactivateAll()
    #expect(try values(loaded) == before)
  }

  @Test func halfPrecision() throws {
    let half = directory("half")
    try HalfPrecisionRunTests.writeBFloat16Copy(of: model, to: half)
    for (source, dtype) in [(model, DType.bfloat16), (half, .bfloat16), (half, .float32)] {
      let (store, loaded) = try store(dtype, on: source)
      let before = try values(loaded)
      try store.activate(["sql", "math"])
      let fresh = try LoadedModel(directory: source, dtype: dtype, adapters: [directory("sql"), directory("math")])
      #expect(try values(loaded) == values(fresh))
      try store.deactivateAll()
      #expect(try values(loaded) == before)
      for name in store.names { try FileSystem.remove(directory(name)) }
    }
  }

  /// Rounded updates go in and out as exactly as differences do.
  @Test(arguments: [ValueCoding.bfloat16, .int8], [DType.float32, .bfloat16])
  func roundedUpdates(_ coding: ValueCoding, _ dtype: DType) throws {
    let source = dtype == .bfloat16 ? directory("half") : model
    if dtype == .bfloat16 { try HalfPrecisionRunTests.writeBFloat16Copy(of: model, to: source) }
    let (store, loaded) = try store(on: source)
    let before = try values(loaded)
    let checkpoint = try Checkpoint(directory: source)
    _ = try Adapter(directory: directory("math")).encode(as: coding, base: checkpoint, output: directory("rounded"))
    try store.add(directory("rounded"), named: "rounded")
    try store.activate(["sql", "rounded"])
    let fresh = try LoadedModel(directory: source, adapters: [directory("rounded"), directory("sql")])
    #expect(try values(loaded) == values(fresh))
    try store.activate(["math"])
    #expect(try values(loaded) != before)
    try store.activate(["rounded"])
    try store.deactivateAll()
    #expect(try values(loaded) == before)
  }

  @Test(arguments: [[], ["sql"], ["sql", "math"]]) func refusalsChangeNothing(_ active: [String]) throws {
    let (store, loaded) = try store()
    try store.activate(active)
    let before = try values(loaded)
    let known = ["both", "math", "sql"]
    for (names, unknown) in [(["nobody"], "nobody"), (["math", "nobody"], "nobody"), ([""], "")] {
      #expect(throws: AdapterStoreError.unknownName(unknown, known: known)) { try store.activate(names) }
    }
    let error = #expect(throws: TicketsError.self) { try store.activate(["both", "sql"]) }
    guard case .adaptersOverlap("both", "sql", "model.layers.0.self_attn.q_proj.weight", let count) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(count > 0)
    #expect(throws: AdapterStoreError.nameTaken("sql")) { try store.add(directory("math"), named: "sql") }
    for name in ["", "two words", "a=b", "a/b"] {
      #expect(throws: AdapterStoreError.unusableName(name)) { try store.add(directory("math"), named: name) }
    }
    #expect(throws: (any Error).self) { try store.add(directory("nowhere"), named: "new") }
    #expect(store.active == active && store.names == known)
    #expect(try values(loaded) == before)
  }

  @Test func adapterOfAnotherBase() throws {
    let half = directory("half")
    try HalfPrecisionRunTests.writeBFloat16Copy(of: model, to: half)
    try writeAdapter(directory("foreign"), base: half, offset: 0, stride: 10)
    let (store, loaded) = try store()
    #expect(throws: TicketsError.self) { try store.add(directory("foreign"), named: "foreign") }
    #expect(store.names == ["both", "math", "sql"])
    #expect(try values(loaded) == base)
  }

  @Test func lowRankAdapter() throws {
    let (store, _) = try store()
    try FileSystem.createDirectory(directory("peft"))
    try FileSystem.writeAtomically(
      #"{"peft_type": "LORA", "r": 8}"#, to: FileSystem.join(directory("peft"), "adapter_config.json"))
    #expect(throws: AdapterStoreError.notSparse(directory("peft"))) { try store.add(directory("peft"), named: "new") }
    #expect(store.names == ["both", "math", "sql"])
  }

  /// Entries that reach beyond a tensor change nothing, and are told.
  @Test(arguments: [DType.float32, .float64]) func entriesBeyondTheTensor(_ dtype: DType) throws {
    let loaded = try LoadedModel(directory: model, dtype: dtype)
    let target = try AdapterTarget(loaded.model, base: loaded.base)
    let before = try values(loaded)
    let name = "model.layers.1.mlp.down_proj.weight"
    let description = try loaded.base.description(of: name)
    for indices in [[0, Int32(description.elementCount)], [-1, 0]] {
      let entries = AdapterEntries(name: name, dtype: description.dtype, indices: indices, differences: [1, 1])
      let wrong = Int(indices[0] < 0 ? indices[0] : indices[1])
      #expect(
        throws: AdapterStoreError.beyondTensor(name, index: wrong, elementCount: description.elementCount)
      ) { try target.change(name, adding: [entries]) }
    }
    #expect(try values(loaded) == before)
  }

  @Test func messages() {
    #expect("\(AdapterStoreError.unknownName("x", known: ["a", "b"]))" == "no adapter is called 'x': use a, b")
    #expect("\(AdapterStoreError.unknownName("x", known: []))".contains("none is loaded"))
  }
}

/// Names from `NAME=DIR` and `DIR`.
struct AdapterReferenceTests {
  @Test(
    arguments: [
      ("sql=runs/a/adapter", "sql", "runs/a/adapter"), ("runs/sql/adapter", "sql", "runs/sql/adapter"),
      ("runs/sql/adapter/", "sql", "runs/sql/adapter/"), ("/data/math", "math", "/data/math"),
      ("./x=y/adapter", "x-y", "./x=y/adapter"), ("a/./b/../c/adapter", "c", "a/./b/../c/adapter"),
      ("/adapter", "adapter", "/adapter"), ("a b/adapter", "a-b", "a b/adapter"), ("n=", "n", ""),
      ("two words=dir", "two-words-dir", "two words=dir"), ("a=b=c", "a", "b=c"), ("hf:o/sql", "sql", "hf:o/sql"),
      ("/c/models--o--sql/snapshots/0123", "sql", "/c/models--o--sql/snapshots/0123"),
    ])
  func names(_ text: String, _ name: String, _ directory: String) {
    let reference = AdapterReference(text)
    #expect(reference.name == name && reference.directory == directory)
  }
}

/// An adapter that moves every `stride`-th weight of each scoped matrix, from `offset`, in the base's own type.
func writeAdapter(_ path: String, base directory: String, offset: Int, stride: Int) throws {
  let base = try Checkpoint(directory: directory)
  let names = TicketScope.scopedNames(of: base.tensors.map(\.name))
  let mask = try Mask(
    entries: names.map { name in
      let shape = try base.description(of: name).shape
      let bits = BitMask((0..<shape.reduce(1, *)).map { $0 % stride == offset % stride })
      return Mask.Entry(name: name, shape: shape, bits: bits)
    })
  _ = try Adapter.write(
    to: path, base: base, mask: mask, provenance: Adapter.Provenance(method: "lota", training: [:]),
    fingerprint: try ModelFingerprint(base)
  ) { tensor, indices in
    var generator = SeededGenerator(seed: UInt64(offset + 1))
    let values = try Tensor.from(generator.values(indices.count, scale: 0.8).map(Float.init))
    return try values.converted(to: tensor.dtype).withBytes { Array($0) }
  }
}
