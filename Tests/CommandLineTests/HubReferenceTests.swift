import Foundation
import TestSupport
import Testing

/// Models and adapters named by their repository, wherever a directory is expected; the cache is prepared, no server is asked.
struct HubReferenceTests {
  private let workspace: Workspace
  private var directory: TemporaryDirectory { workspace.directory }
  private var variables: [String: String] { ["HF_HUB_CACHE": directory.file("cache")] }

  init() throws {
    workspace = try Workspace()
    try workspace.directory.write("{{ messages }}", to: "model/chat_template.jinja")
    try workspace.train("run")
    try cache("model", as: "m")
    try cache("run/adapter", as: "sql")
    try directory.remove("model")
  }

  private func cache(_ source: String, as name: String) throws {
    let commit = String(repeating: "0123456789", count: 4)
    let repository = "cache/models--o--" + name
    for folder in ["refs", "snapshots"] {
      try FileManager.default.createDirectory(
        atPath: directory.file(repository + "/" + folder), withIntermediateDirectories: true)
    }
    try directory.write(commit, to: repository + "/refs/main")
    try directory.copy(source, to: repository + "/snapshots/" + commit)
  }

  private func run(_ arguments: [String], input: String = "") throws -> LotaResult {
    try Lota.run(arguments, in: directory, input: input, variables: variables)
  }

  @Test("a plan's model")
  func plan() throws {
    let plan = """
      model: hf:o/m
      tasks: {a: {train: ../rows.jsonl, test: ../rows.jsonl}}
      stages: {s: {train: a, steps: 1, calibration-steps: 0}}
      """
    try FileManager.default.createDirectory(atPath: directory.file("plans"), withIntermediateDirectories: true)
    try directory.write(plan, to: "plans/plan.yaml")
    let result = try run(["experiment", "plans/plan.yaml", "--out", "results"])
    #expect(result.code == 0, "\(result.errors)")
    try directory.write(plan.replacing("hf:o/m", with: "hf:o/none"), to: "plans/plan.yaml")
    let refused = try run(["experiment", "plans/plan.yaml", "--list"])
    #expect(refused.code == 1 && refused.errors.hasPrefix("Error: plans/plan.yaml:1: hf:o/none is not in the cache"))
    #expect(refused.errors.contains("lota fetch hf:o/none"), "\(refused.errors)")
  }

  @Test("a merge's base and inputs, in a recipe and by flags")
  func merge() throws {
    try directory.write(
      """
      merge_method: task_arithmetic
      base_model: hf:o/m
      models:
        - model: hf:o/sql
          parameters: {weight: 0.5}
      """, to: "recipe.yaml")
    let recipe = try run(["merge", "recipe.yaml", "--out", "first"])
    #expect(recipe.code == 0, "\(recipe.errors)")
    let flags = try run(
      ["merge", "--method", "task_arithmetic", "--base", "hf:o/m", "--input", "hf:o/sql:0.5", "--out", "second"])
    #expect(flags.code == 0, "\(flags.errors)")
    #expect(
      try directory.contents("first/model.safetensors") == directory.contents("second/model.safetensors"))
    let refused = try run(["merge", "--method", "linear", "--input", "hf:o/none", "--out", "third"])
    #expect(refused.code == 1 && refused.errors.contains("lota fetch hf:o/none"), "\(refused.errors)")
  }

  @Test("a chat's model and adapters")
  func chat() throws {
    let lines = ["/adapters", "/load two=hf:o/sql", "/load three=hf:o/none", "/adapters", "/quit"]
    let result = try run(
      ["chat", "--model", "hf:o/m", "--adapter", "hf:o/sql", "--adapter", "one=hf:o/sql"],
      input: lines.map { $0 + "\n" }.joined())
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.errors.contains("  one\n* sql\n") && result.errors.contains("  one\n* sql\n  two\n"))
    #expect(result.errors.contains("Error: hf:o/none is not in the cache"), "\(result.errors)")
  }
}
