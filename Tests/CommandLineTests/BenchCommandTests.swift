import Foundation
import TestSupport
import Testing

/// `bench step`, and the script for a GPU, on the CPU with a tiny shape.
struct BenchCommandTests {
  private static let step = ["bench", "step", "--shape", "tiny", "--batch-size", "3", "--length", "40", "--steps", "2"]

  private func figures(_ arguments: [String]) throws -> [String: Any] {
    let result = try Lota.run(Self.step + arguments + ["--json"], in: try TemporaryDirectory())
    #expect(result.code == 0, "\(result.errors)")
    return try result.json()
  }

  @Test("low-rank adaptation")
  func lowRank() throws {
    let figures = try figures(["--rank", "4"])
    #expect(figures["phase"] as? String == "training")
    // Inputs and outputs of the projections, in two layers.
    let trained = 4 * 2 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128))
    #expect(figures["trained"] as? Int == trained && figures["stateBytes"] as? Int == 4 * trained)
    let scoped = 73_728.0
    let operations = 120 * (4 * scoped + 6 * Double(trained)) + 12 * 3 * 820 * 64 * 2 + 4.0 * 117 * 64 * 512
    let found = try #require(figures["teraflopPerStep"] as? Double)
    #expect(abs(found * 1e12 / operations - 1) < 1e-9)
  }

  @Test("both phases, every type", arguments: ["calibration", "adaptation"], ["float32", "bfloat16"])
  func phases(phase: String, dtype: String) throws {
    let figures = try figures([
      "--phase", phase, "--dtype", dtype, "--peak-tflops", "1", "--ticket-gradient", "sampled",
    ])
    #expect(figures["phase"] as? String == phase && figures["dtype"] as? String == dtype)
    #expect(figures["tokensPerStep"] as? Int == 120 && figures["labelsPerStep"] as? Int == 117)
    // Scoped: 2 * 64 * (2 * 64 + 2 * 32 + 3 * 128); besides them two embeddings and five norms.
    let scoped = 73_728
    let all = scoped + 2 * 512 * 64 + 5 * 64
    #expect(figures["parameters"] as? Int == all)
    let trained = phase == "calibration" ? all : Int((0.1 * Double(scoped)).rounded())
    #expect(figures["trained"] as? Int == trained)
    // Rows of float32 matrices, in two layers, whose entries are summed alone: one number each, and one more a matrix.
    let starts = phase == "adaptation" && dtype == "float32" ? 4 * 2 * (64 + 32 + 32 + 64 + 128 + 128 + 64 + 7) : 0
    let weightBytes = phase == "calibration" ? 4 : dtype == "float32" ? 8 : 12
    // Besides, one matrix's gradient entries at a time: about a tenth of the 8,192 weights of the largest, drawn at random.
    let passing = (try #require(figures["stateBytes"] as? Int) - weightBytes * trained - starts) / 4
    #expect(phase == "calibration" ? passing == 0 : (700...940).contains(passing))
    #expect((figures["seconds"] as? [Double])?.count == 2)
    // 6 * 120 tokens; 3 * 820 pairs of width 64 in 2 layers, 12 operations each; 117 labels.
    let head = (phase == "calibration" ? 6.0 : 4.0) * 117 * 64 * 512
    let operations = 6.0 * 120 * Double(scoped) + 12 * 3 * 820 * 64 * 2 + head
    let found = try #require(figures["teraflopPerStep"] as? Double)
    #expect(abs(found * 1e12 / operations - 1) < 1e-9)
    #expect(figures["shareOfPeak"] as? Double == figures["teraflopPerSecond"] as? Double)
    let loss = try #require(figures["loss"] as? Double)
    #expect(abs(loss / 39 - log(512)) < 0.3)
  }

  @Test("a directory's shape, for people")
  func directory() throws {
    let workspace = try Workspace()
    let output = try Lota.succeed(
      "bench", "step", "--shape", "model", "--batch-size", "2", "--length", "16", "--prompt-length", "8",
      "--recompute", in: workspace.directory
    ).output
    #expect(output.contains("32 tokens, 16 labels"))
  }

  @Test("the script for a GPU runs both phases")
  func script() throws {
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { root.deleteLastPathComponent() }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["bash", root.appendingPathComponent("Scripts/gpu/llama3_8b.sh").path]
    process.environment = ProcessInfo.processInfo.environment.merging([
      "LOTA": try #require(LotaExecutable.url).path, "OMP_WAIT_POLICY": "passive", "DEVICE": "cpu", "SHAPE": "tiny",
      "BATCH": "2", "LENGTH": "24", "STEPS": "1", "ADAPTATION": "--micro-batch-tokens 24",
    ]) { $1 }
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let phases = try String(decoding: output, as: UTF8.self).split(separator: "\n").map { line in
      (try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["phase"] as? String
    }
    #expect(process.terminationStatus == 0 && phases == ["calibration", "adaptation"])
  }

  @Test(
    "options that do not fit",
    arguments: [
      (["--length", "4000"], "length is 4000"), (["--prompt-length", "40"], "prompt-length is 40"),
      (["--steps", "0"], "steps is 0"), (["--device", "cuda:77"], "lota doctor"), (["--shape", "nowhere"], "nowhere"),
    ])
  func refusals(arguments: [String], mention: String) throws {
    try expectRefusal(Self.step + arguments, in: try TemporaryDirectory(), mentions: [mention])
  }
}
