import Checkpoints
import Foundation
import Testing
import Tickets
import Torch

/// `train`, `calibrate` and `mask extract` on a tiny model.
struct TrainingCommandTests {
  @Test("a run directory holds what the design says")
  func runDirectory() throws {
    let workspace = try Workspace()
    let result = try workspace.train("run", ["--json"])
    let figures = try result.json()
    let scoped = try workspace.model.scopedCount()
    #expect(figures["scoped"] as? Int == scoped)
    #expect(figures["trained"] as? Int == Int((0.1 * Double(scoped)).rounded()))
    #expect(figures["adapter"] as? String == "run/adapter")

    let directory = workspace.directory
    let files = Set(try FileManager.default.contentsOfDirectory(atPath: directory.file("run")))
    #expect(files == ["config.yaml", "metrics.jsonl", "mask.safetensors", "adapter", "report.html"])
    let adapter = Set(try FileManager.default.contentsOfDirectory(atPath: directory.file("run/adapter")))
    #expect(adapter == ["adapter_config.json", "adapter_model.safetensors"])

    let configuration = try directory.text("run/config.yaml")
    for line in ["method: lota", "model: model", "data: rows.jsonl", "sparsity: 0.9"] {
      #expect(configuration.contains(line + "\n"), "\(line) is not in\n\(configuration)")
    }
    let report = try directory.text("run/report.html")
    #expect(report.hasPrefix("<!DOCTYPE html>"))
    #expect(report.contains("calibration") && report.contains("adaptation"))
  }

  @Test("metrics hold one object a step with the fields of the design")
  func metrics() throws {
    let workspace = try Workspace()
    try workspace.train("run")
    let lines = try workspace.directory.text("run/metrics.jsonl").split(separator: "\n")
    let records = try lines.map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
    #expect(
      records.map { $0["phase"] as? String } == [
        "calibration", "calibration", "adaptation", "adaptation", "adaptation",
      ])
    #expect(records.map { $0["step"] as? Int } == [1, 2, 1, 2, 3])
    for record in records {
      let loss = try #require(record["loss"] as? Double)
      let tokenLoss = try #require(record["token_loss"] as? Double)
      let labels = try #require(record["labels"] as? Int)
      #expect(loss.isFinite && loss > 0 && record["seconds"] as? Double ?? -1 > 0)
      #expect(record["tokens"] as? Int ?? 0 > labels && labels > 0)
      // The objective is the sum over labels, mean over the four sequences of a batch.
      #expect(abs(loss * 4 - tokenLoss * Double(labels)) < 1e-6 * loss)
    }
    let adaptation = records.suffix(3).compactMap { $0["loss"] as? Double }
    #expect(adaptation[2] < adaptation[0], "the loss does not fall: \(adaptation)")
  }

  @Test("the mask file has the fixed format")
  func maskFormat() throws {
    let workspace = try Workspace()
    try workspace.train("run", ["--sparsity", "0.75"])
    let file = try SafetensorsFile(path: workspace.directory.file("run/mask.safetensors"))
    #expect(file.metadata["format"] == "lota-mask")
    #expect(Set(file.metadata.keys).isSuperset(of: ["format", "version", "sparsity", "shapes"]))
    let base = try workspace.checkpoint("model")
    let fingerprint = try ModelFingerprint(base).value
    #expect(file.metadata.values.contains(fingerprint), "the base's fingerprint is not in the metadata")
    let shapes = try #require(
      try JSONSerialization.jsonObject(with: Data((file.metadata["shapes"] ?? "").utf8)) as? [String: [Int]])
    let scoped = base.tensors.filter { $0.name.hasSuffix("_proj.weight") }
    #expect(Set(file.tensors.map(\.name)) == Set(scoped.map(\.name)))
    var kept = 0
    for tensor in scoped {
      #expect(shapes[tensor.name] == tensor.shape)
      let description = try file.description(of: tensor.name)
      #expect(description.dtype == .uint8 && description.byteCount == (tensor.elementCount + 7) / 8)
      kept += try file.withBytes(of: tensor.name) { $0.reduce(0) { $0 + $1.nonzeroBitCount } }
    }
    #expect(kept == Int((0.25 * Double(try workspace.model.scopedCount())).rounded()))
  }

  @Test("each phase on its own gives the run in one command, bit for bit")
  func phasesApart() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try workspace.train("run")
    let common = ["--model", "model", "--data", "rows.jsonl"] + Workspace.schedule
    for arguments in [
      ["calibrate", "--out", "calibration", "--steps", "2"] + common,
      ["mask", "extract", "--base", "model", "--tuned", "calibration/model", "--sparsity", "0.9", "--out", "own.mask"],
      ["train", "--method", "lota", "--mask", "own.mask", "--out", "own", "--steps", "3"] + common,
    ] {
      let result = try Lota.run(arguments, in: directory)
      try #require(result.code == 0, "\(result.errors)")
    }
    #expect(try directory.contents("own.mask") == directory.contents("run/mask.safetensors"))
    #expect(try directory.contents("own/mask.safetensors") == directory.contents("run/mask.safetensors"))
    for file in ["adapter/adapter_model.safetensors", "adapter/adapter_config.json"] {
      #expect(try directory.contents("own/\(file)") == directory.contents("run/\(file)"), "\(file)")
    }
  }

  @Test(
    "scores of a calibration give the ticket of the run in one command",
    arguments: ["gradient", "snip", "squared-gradient"])
  func scoresApart(ranking: String) throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    let ways = ["--rank-by", ranking, "--scope", "projections,norms", "--quota", "per-tensor"]
    try workspace.train("run", ways)
    for arguments in [
      ["calibrate", "--model", "model", "--data", "rows.jsonl", "--out", "calibration", "--steps", "2"]
        + Workspace.schedule
        + ways,
      [
        "mask", "extract", "--scores", "calibration/scores.safetensors", "--quota", "per-tensor", "--out", "own.mask",
      ],
    ] {
      let result = try Lota.run(arguments, in: directory)
      try #require(result.code == 0, "\(result.errors)")
    }
    #expect(try directory.contents("own.mask") == directory.contents("run/mask.safetensors"))
    #expect(!directory.exists("calibration/model"))
    try expectRefusal(
      ["mask", "extract", "--scores", "own.mask", "--out", "other.mask"], in: directory,
      mentions: ["own.mask", "not a file of scores", "--rank-by"])
  }

  @Test("calibration that ends by itself says so, in the figures, the page and the metrics")
  func selfStopping() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    let result = try Lota.run(
      [
        "train", "--model", "model", "--data", "rows.jsonl", "--out", "run", "--calibration-steps", "9", "--steps", "1",
        "--stop-overlap", "0.01", "--stop-every", "2", "--json",
      ] + Workspace.schedule, in: directory)
    try #require(result.code == 0, "\(result.errors)")
    let figures = try #require(try result.json()["calibration"] as? [String: Any])
    #expect(figures["settled"] as? Bool == true && figures["savedSteps"] as? Int == 5)
    #expect(figures["steps"] as? Int == 4 && figures["plannedSteps"] as? Int == 9)
    #expect((figures["checks"] as? [[String: Any]])?.count == 2 && figures["checkSeconds"] as? Double ?? 0 > 0)
    #expect(result.errors.contains("settled after 4 of 9 steps"))
    #expect(try directory.text("run/report.html").contains("settled after 4 of 9 steps"))
    #expect(try directory.text("run/metrics.jsonl").contains("\"ticket_overlap\": "))
    let calibrated = try Lota.run(
      [
        "calibrate", "--model", "model", "--data", "rows.jsonl", "--out", "alone", "--steps", "9", "--stop-overlap",
        "0.01", "--stop-every", "2",
      ] + Workspace.schedule, in: directory)
    #expect(calibrated.code == 0 && calibrated.errors.contains("settled after 4 of 9 steps"))
    #expect(directory.exists("alone/model/model.safetensors"))
  }

  @Test("tickets in turn stand in the run directory")
  func iterated() throws {
    let workspace = try Workspace()
    try workspace.train("run", ["--iterate", "0.5,0.9"])
    let directory = workspace.directory
    #expect(directory.exists("run/mask-1.safetensors") && directory.exists("run/mask.safetensors"))
    #expect(try directory.text("run/metrics.jsonl").contains("\"phase\": \"iteration\""))
    #expect(try directory.text("run/report.html").contains("iteration 1"))
  }

  @Test("the same command twice gives the same adapter, another seed another one")
  func deterministic() throws {
    let workspace = try Workspace()
    for run in ["first", "second"] { try workspace.train(run) }
    try workspace.train("other", ["--seed", "8"])
    let adapters = try ["first", "second", "other"].map {
      try workspace.directory.contents("\($0)/adapter/adapter_model.safetensors")
    }
    #expect(adapters[0] == adapters[1])
    #expect(adapters[0] != adapters[2])
    #expect(
      try workspace.directory.contents("first/adapter/adapter_config.json")
        == workspace.directory.contents("second/adapter/adapter_config.json"))
  }

  @Test(
    "calibration of zero steps draws the ticket, one step ranks gradients; both say so",
    arguments: [("0", "at random"), ("1", "gradient magnitude")])
  func shortCalibration(steps: String, note: String) throws {
    let workspace = try Workspace()
    let result = try Lota.run(
      [
        "train", "--model", "model", "--data", "rows.jsonl", "--out", "run", "--calibration-steps", steps, "--steps",
        "1",
      ]
        + Workspace.schedule, in: workspace.directory)
    #expect(result.code == 0 && result.errors.contains(note), "\(result.errors)")
    #expect(workspace.directory.exists("run/adapter/adapter_model.safetensors"))
  }

  @Test("full fine-tuning writes a model that scores")
  func fullFineTuning() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    let result = try Lota.run(
      ["train", "--method", "fft", "--model", "model", "--data", "rows.jsonl", "--out", "run", "--steps", "2"]
        + Workspace.schedule, in: directory)
    #expect(result.code == 0, "\(result.errors)")
    #expect(!directory.exists("run/adapter") && !directory.exists("run/mask.safetensors"))
    #expect(try directory.text("run/metrics.jsonl").contains(#""phase": "training""#))
    let before = try Lota.succeed("score", "--model", "model", "--data", "rows.jsonl", "--json", in: directory)
    let after = try Lota.succeed("score", "--model", "run/model", "--data", "rows.jsonl", "--json", in: directory)
    func total(_ result: LotaResult) throws -> Double {
      try result.objects().compactMap { $0["logprob"] as? Double }.reduce(0, +)
    }
    #expect(try total(after) > total(before))
  }

  @Test("low-rank adaptation writes an adapter in PEFT's format that scores and generates")
  func lowRank() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    let result = try Lota.run(
      [
        "train", "--method", "lora", "--rank", "4", "--alpha", "8", "--lora-dropout", "0.1", "--model", "model",
        "--data",
        "rows.jsonl", "--out", "run", "--steps", "3", "--json",
      ] + Workspace.schedule, in: directory)
    let figures = try result.json()
    #expect(figures["adapter"] as? String == "run/adapter" && figures["trained"] as? Int ?? 0 > 1000)
    let files = Set(try FileManager.default.contentsOfDirectory(atPath: directory.file("run")))
    #expect(files == ["config.yaml", "metrics.jsonl", "adapter", "report.html"])
    let configuration = try directory.text("run/config.yaml")
    #expect(configuration.contains("lora:\n  alpha: 8.0\n  dropout: 0.1\n  rank: 4\n"), "\(configuration)")
    let json = try JSONSerialization.jsonObject(with: directory.contents("run/adapter/adapter_config.json"))
    let settings = try #require(json as? [String: Any])
    #expect(settings["peft_type"] as? String == "LORA" && settings["r"] as? Int == 4)
    #expect(settings["lora_alpha"] as? Int == 8 && settings["lora_dropout"] as? Double == 0.1)
    #expect((settings["target_modules"] as? [String])?.count == 7)
    let before = try Lota.succeed("score", "--model", "model", "--data", "rows.jsonl", "--json", in: directory)
    let after = try Lota.succeed(
      "score", "--model", "model", "--adapter", "run/adapter", "--data", "rows.jsonl", "--json", in: directory)
    func total(_ result: LotaResult) throws -> Double {
      try result.objects().compactMap { $0["logprob"] as? Double }.reduce(0, +)
    }
    #expect(try total(after) > total(before))
    _ = try Lota.succeed(
      "generate", "--model", "model", "--adapter", "run/adapter", "--prompt", "List", "--max-tokens", "3", in: directory
    )
    try expectRefusal(
      ["adapter", "inspect", "run/adapter"], in: directory, mentions: ["a PEFT adapter of type LORA"])
  }

  @Test("rows beyond the limit are dropped and counted, or truncated and counted")
  func overlength() throws {
    let workspace = try Workspace()
    let long = String(repeating: "abc ", count: 60)
    try workspace.directory.write(
      (Workspace.rows + [#"{"prompt": "\#(long)", "completion": "x"}"#]).joined(separator: "\n"), to: "rows.jsonl")
    let dropped = try workspace.train("dropped", ["--max-length", "100"])
    #expect(dropped.errors.contains("data: 12 of 13 rows") && dropped.errors.contains("1 too long, dropped"))
    try workspace.directory.write(
      (Workspace.rows + [#"{"prompt": "x", "completion": "\#(long)"}"#]).joined(separator: "\n"), to: "rows.jsonl")
    let truncated = try workspace.train("cut", ["--max-length", "100", "--overlength", "truncate"])
    #expect(truncated.errors.contains("data: 13 of 13 rows") && truncated.errors.contains("1 truncated"))
  }
}
