import Foundation
import Testing

/// `plan`, memory budgets and recomputation through the command line.
struct PlanCommandTests {
  @Test("a plan from rows, as text and as JSON")
  func plan() throws {
    let workspace = try Workspace()
    let arguments = ["plan", "--model", "model", "--data", "rows.jsonl", "--batch-size", "4", "--epochs", "1"]
    let text = try Lota.run(arguments + ["--threads", "1"], in: workspace.directory)
    #expect(text.code == 0 && text.errors.isEmpty, "\(text.errors)")
    for word in ["calibration", "extraction", "adaptation", "optimizer", "peak", "GFLOP/s", "adapter"] {
      #expect(text.output.contains(word), "no \(word) in \(text.output)")
    }
    let json = try Lota.run(arguments + ["--json", "--flops", "1e9"], in: workspace.directory).json()
    let memory = try #require(json["memory"] as? [String: Any])
    #expect((memory["peakBytes"] as? Int ?? 0) > 1_000_000)
    #expect((memory["phases"] as? [[String: Any]])?.count == 4)
    #expect(json["rows"] as? Int == 12 && (json["seconds"] as? Double ?? 0) > 0)
    #expect(json["ticket"] as? Int == Int((Double(try workspace.model.scopedCount()) * 0.1).rounded()))
  }

  @Test("config.json alone is enough for rows given by number and length")
  func withoutWeights() throws {
    let workspace = try Workspace()
    for name in ["model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
      try workspace.directory.remove("model/" + name)
    }
    let before = workspace.directory.everything()
    let numbers = ["plan", "--model", "model", "--rows", "100", "--mean-length", "50", "--flops", "1e12"]
    for method in ["lota", "fft"] {
      let json = try Lota.run(numbers + ["--method", method, "--json"], in: workspace.directory).json()
      #expect(json["rows"] as? Int == 100 && json["method"] as? String == method)
    }
    try expectRefusal(
      ["plan", "--model", "model", "--data", "rows.jsonl"], in: workspace.directory, mentions: ["tokenizer.json"])
    try expectRefusal(
      numbers + ["--memory-budget", "1MB"], in: workspace.directory,
      mentions: ["1.00 MB is too small", "one row of 50 tokens", "--recompute needs", "--max-length"])
    #expect(workspace.directory.everything() == before)
  }

  @Test("a device that is not here leaves the time open")
  func otherDevice() throws {
    let workspace = try Workspace()
    let arguments = ["plan", "--model", "model", "--rows", "10", "--mean-length", "50", "--device", "cuda"]
    let result = try Lota.run(arguments, in: workspace.directory)
    #expect(result.code == 0 && result.output.contains("on cuda"))
    #expect(result.output.contains("GFLOP/s") || result.output.contains("--flops"))
  }

  @Test("a run that its budget does not hold leaves nothing behind")
  func refusedRun() throws {
    let workspace = try Workspace()
    try expectRefusal(
      workspace.trainingArguments("run", "--memory-budget", "2MB"), in: workspace.directory,
      mentions: ["memory budget of 2.00 MB", "even with one row"])
  }

  @Test("budget and recomputation stand in config.yaml, and change no result")
  func trainingWithinBudget() throws {
    let workspace = try Workspace()
    try workspace.train("plain")
    let result = try workspace.train("small", ["--memory-budget", "4GB", "--recompute"])
    #expect(result.errors.contains("memory budget of 4.00 GB: whole batches at once"))
    let configuration = try workspace.directory.text("small/config.yaml")
    #expect(configuration.contains("memoryBudget: 4000000000") && configuration.contains("activations: recompute"))
    #expect(
      try workspace.directory.contents("small/adapter/adapter_model.safetensors")
        == workspace.directory.contents("plain/adapter/adapter_model.safetensors"))
  }
}
