import Checkpoints
import Foundation
import TestSupport
import Testing
import Tickets

/// `score`, `generate` and `adapter` with and without adapters.
struct AdapterCommandTests {
  @Test("score prints one object a row, with token ids where asked")
  func score() throws {
    let workspace = try Workspace()
    let rows = try Lota.succeed(
      "score", "--model", "model", "--data", "rows.jsonl", "--json", "--show-tokens", in: workspace.directory
    ).objects()
    #expect(rows.map { $0["row"] as? Int } == Array(1...12))
    for row in rows {
      #expect(Set(row.keys) == ["row", "logprob", "count", "tokens"])
      let tokens = try #require(row["tokens"] as? [Int])
      #expect(tokens.last == TinyModel.tokenCount - 1, "the row does not end with the end-of-sequence token")
      #expect(row["logprob"] as? Double ?? 1 < 0)
    }
    #expect((rows[0]["tokens"] as? [Int])?.contains(258) == true, "the token SELE is not used")
    let plain = try Lota.succeed("score", "--model", "model", "--data", "rows.jsonl", "--json", in: workspace.directory)
    #expect(try plain.objects().allSatisfy { Set($0.keys) == ["row", "logprob", "count"] })
    let text = try Lota.succeed("score", "--model", "model", "--data", "rows.jsonl", in: workspace.directory)
    #expect(text.output.hasPrefix("rows 12, labels ") && text.outputLines.count == 1)
  }

  @Test("an applied adapter scores as base and adapter do, and touches its ticket alone")
  func apply() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try workspace.train("run")
    try Lota.succeed("adapter", "verify", "--model", "model", "--adapter", "run/adapter", in: directory)
    try Lota.succeed(
      "adapter", "apply", "--model", "model", "--adapter", "run/adapter", "--out", "applied", in: directory)
    let plain = try Lota.succeed("score", "--model", "model", "--data", "rows.jsonl", "--json", in: directory)
    let live = try Lota.succeed(
      "score", "--model", "model", "--adapter", "run/adapter", "--data", "rows.jsonl", "--json", in: directory)
    let applied = try Lota.succeed("score", "--model", "applied", "--data", "rows.jsonl", "--json", in: directory)
    #expect(live.output == applied.output)
    #expect(plain.output != live.output)

    let mask = try Mask(path: directory.file("run/mask.safetensors"))
    let bits = Dictionary(uniqueKeysWithValues: mask.entries.map { ($0.name, $0.bits) })
    let (base, tuned) = (try workspace.checkpoint("model"), try workspace.checkpoint("applied"))
    #expect(base.tensors == tuned.tensors)
    var changed = 0
    for tensor in base.tensors {
      let before = try base.withBytes(of: tensor.name) { Array($0.bindMemory(to: UInt32.self)) }
      let after = try tuned.withBytes(of: tensor.name) { Array($0.bindMemory(to: UInt32.self)) }
      let moved = before.indices.filter { before[$0] != after[$0] }
      changed += moved.count
      #expect(moved.allSatisfy { bits[tensor.name]?[$0] == true }, "\(tensor.name) changed outside the mask")
    }
    #expect(changed > mask.keptCount / 2 && changed <= mask.keptCount)
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
      #expect(try directory.contents("applied/\(file)") == directory.contents("model/\(file)"))
    }
  }

  @Test("generation is reproducible, streams what --json reports, and adapters change it")
  func generate() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try workspace.train("run", ["--learning-rate", "0.1", "--steps", "8"])
    func generate(_ more: String...) throws -> LotaResult {
      let result = try Lota.run(
        ["generate", "--model", "model", "--prompt", "List", "--max-tokens", "12"] + more, in: directory)
      try #require(result.code == 0, "\(result.errors)")
      return result
    }
    let text = try generate().output
    let figures = try generate("--json").json()
    #expect(figures["text"] as? String == String(text.dropLast()))
    #expect((figures["tokens"] as? [Int])?.count ?? 99 <= 12)
    #expect((figures["prompt"] as? [Int])?.count == 4)
    #expect(try generate("--adapter", "run/adapter").output != text)
    let drawn = try (1...3).map { try generate("--temperature", "1.5", "--seed", $0 == 3 ? "2" : "1", "--json").json() }
    #expect(drawn[0]["tokens"] as? [Int] == drawn[1]["tokens"] as? [Int])
    #expect(drawn[0]["tokens"] as? [Int] != drawn[2]["tokens"] as? [Int])
  }

  @Test("remove gives the base back, extract the adapter, and diff compares")
  func removeExtractDiff() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try workspace.train("run")
    try Lota.succeed(
      "adapter", "apply", "--model", "model", "--adapter", "run/adapter", "--out", "tuned", in: directory)
    try Lota.succeed(
      "adapter", "remove", "--model", "tuned", "--adapter", "run/adapter", "--out", "back", in: directory)
    let fingerprints = try ["model", "tuned", "back"].map { try ModelFingerprint(workspace.checkpoint($0)).value }
    #expect(fingerprints[2] == fingerprints[0] && fingerprints[1] != fingerprints[0])
    let summary = try Lota.succeed(
      "adapter", "extract", "--base", "model", "--tuned", "tuned", "--out", "extracted", "--json", in: directory
    ).json()
    #expect(summary["kept"] as? Int == summary["changed"] as? Int && summary["kept"] as? Int ?? 0 > 0)
    try Lota.succeed("adapter", "verify", "--model", "model", "--adapter", "extracted", in: directory)
    let figures = try Lota.succeed(
      "adapter", "diff", "run/adapter", "extracted", "--model", "model", "--json", in: directory
    ).json()
    #expect(figures["both"] as? Int == summary["kept"] as? Int && figures["conflicts"] as? Int == 0)
    #expect(abs((figures["cosine"] as? Double ?? 0) - 1) < 1e-9)
    try expectRefusal(
      ["adapter", "remove", "--model", "model", "--adapter", "run/adapter", "--out", "again"], in: directory,
      mentions: ["does not hold adapter run/adapter", "model.layers."])
    try expectRefusal(
      ["adapter", "apply", "--model", "tuned", "--adapter", "run/adapter", "--out", "again"], in: directory,
      mentions: ["was trained on another base"])
    #expect(!FileSystem.exists(directory.file("again")))
  }

  @Test("switching adapters is timed, and leaves the base")
  func bench() throws {
    let workspace = try Workspace()
    try workspace.train("run")
    let figures = try Lota.succeed(
      "bench", "adapter", "--model", "model", "--adapter", "run/adapter", "--repeats", "2", "--json",
      in: workspace.directory
    ).json()
    #expect(figures["isBaseRestored"] as? Bool == true)
    #expect((figures["swapSeconds"] as? [Double])?.count == 2)
  }

  @Test("inspect reports what the adapter holds")
  func inspect() throws {
    let workspace = try Workspace()
    try workspace.train("run")
    let figures = try Lota.succeed("adapter", "inspect", "run/adapter", "--json", in: workspace.directory).json()
    let scoped = try workspace.model.scopedCount()
    #expect(figures["scoped"] as? Int == scoped)
    #expect(figures["trained"] as? Int == Int((0.1 * Double(scoped)).rounded()))
    #expect(figures["method"] as? String == "lota")
    let bits = try #require(figures["bits"] as? [String: Double])
    let parts = ["index", "value", "overhead"].compactMap { bits[$0] }
    #expect(parts.count == 3 && abs(parts.reduce(0, +) - (bits["total"] ?? 0)) < 1e-9)
    #expect(figures["base"] as? String == (try ModelFingerprint(workspace.checkpoint("model")).value))
    let text = try Lota.succeed("adapter", "inspect", "run/adapter", in: workspace.directory).output
    #expect(text.contains("of \(scoped) scoped weights (sparsity 0.9)"))
  }

  @Test(
    "an encoded adapter names its coding and error, and comes off with the base at hand",
    arguments: ["bfloat16", "int8"])
  func encode(values: String) throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try workspace.train("run")
    let encode = ["adapter", "encode", "run/adapter", "--model", "model", "--values", values]
    let figures = try Lota.run(encode + ["--out", "encoded", "--json"], in: directory).json()
    #expect(figures["valueCoding"] as? String == values)
    let error = try #require(figures["valueError"] as? [String: Double])
    #expect(error["relative_rms"] ?? 1 < 0.02 && error["maximum"] ?? 1 < 0.01)
    #expect(figures["bytes"] as? Int ?? .max < figures["exactBytes"] as? Int ?? 0)
    let inspected = try Lota.succeed("adapter", "inspect", "encoded", "--json", in: directory).json()
    #expect(inspected["valueError"] as? [String: Double] == error)
    let text = try Lota.succeed("adapter", "inspect", "encoded", in: directory).output
    #expect(text.contains("values   \(values) updates, error"))

    try Lota.succeed("adapter", "verify", "--model", "model", "--adapter", "encoded", in: directory)
    try Lota.succeed("adapter", "apply", "--model", "model", "--adapter", "encoded", "--out", "tuned", in: directory)
    let remove = ["adapter", "remove", "--model", "tuned", "--adapter", "encoded", "--out", "back"]
    let refused = try Lota.run(remove, in: directory)
    #expect(refused.code == 1 && refused.errors.contains("give the base as well"))
    #expect(try Lota.run(remove + ["--base", "model"], in: directory).code == 0)
    let (base, back) = (try workspace.checkpoint("model"), try workspace.checkpoint("back"))
    for tensor in base.tensors {
      let before = try base.withBytes(of: tensor.name) { Array($0) }
      #expect(try back.withBytes(of: tensor.name) { Array($0) } == before, "\(tensor.name)")
    }
    let again = try Lota.run(
      ["adapter", "encode", "encoded", "--model", "model", "--values", values, "--out", "twice"], in: directory)
    #expect(again.code == 1 && again.errors.contains("already"))
  }

  @Test("doctor names the engine and the devices")
  func doctor() throws {
    let directory = try TemporaryDirectory()
    let figures = try Lota.succeed("doctor", "--json", in: directory).json()
    #expect((figures["libtorch"] as? String)?.isEmpty == false)
    #expect((figures["devices"] as? [String: Bool])?["cpu"] == true)
    #expect(figures["threads"] as? Int ?? 0 >= 1 && figures["memoryInBytes"] as? Int ?? 0 > 0)
    #expect(try Lota.succeed("doctor", in: directory).output.contains("libtorch"))
  }
}
