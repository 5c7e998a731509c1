import Foundation
import TestSupport
import Testing
import Tickets

/// `ledger` and `mask capacity`, and plans that know what is left.
struct LedgerCommandTests {
  @Test("two tasks in a model directory, one removed, and what is refused")
  func tasks() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try workspace.train("first")
    try workspace.train("second", ["--adapter", "first/adapter"])
    try workspace.train("rival")
    try directory.copy("model", to: "team")
    try Lota.succeed("ledger", "add", "--model", "team", "--adapter", "first/adapter", in: directory)
    try expectRefusal(
      ["ledger", "add", "--model", "team", "--adapter", "rival/adapter"], in: directory,
      mentions: ["rival/adapter", "both change", "weights of tensor model.layers.0.self_attn.q_proj.weight"])
    let added = try Lota.succeed("ledger", "add", "--model", "team", "--adapter", "second/adapter", in: directory)
    #expect(added.output.contains("first") && added.output.contains("second") && added.output.contains("free"))
    #expect(try Lota.succeed("ledger", "verify", "--model", "team", in: directory).output.contains("2 tasks"))
    let figures = try Lota.succeed("ledger", "show", "--model", "team", "--json", in: directory).json()
    let tasks = try #require(figures["tasks"] as? [[String: Any]])
    let kept = Int((0.1 * Double(try workspace.model.scopedCount())).rounded())
    #expect(tasks.map { $0["name"] as? String } == ["first", "second"] && figures["owned"] as? Int == 2 * kept)
    #expect(tasks.allSatisfy { ($0["layers"] as? [Any])?.count == 2 })
    // The model is what the adapters give.
    try Lota.succeed(
      "adapter", "apply", "--model", "model", "--adapter", "first/adapter", "--adapter", "second/adapter", "--out",
      "both", in: directory)
    #expect(try directory.contents("team/model.safetensors") == directory.contents("both/model.safetensors"))
    try Lota.succeed("ledger", "remove", "--model", "team", "--name", "first", in: directory)
    try Lota.succeed(
      "adapter", "apply", "--model", "model", "--adapter", "second/adapter", "--out", "one", in: directory)
    #expect(try directory.contents("team/model.safetensors") == directory.contents("one/model.safetensors"))
    try expectRefusal(
      ["ledger", "remove", "--model", "team", "--name", "first"], in: directory, mentions: ["team", "no task first"])
    try expectRefusal(["ledger", "show", "--model", "model"], in: directory, mentions: ["model has no ledger"])
  }

  @Test("capacity of a model beside its tickets")
  func capacity() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    for (name, seed) in [("a.mask", "1"), ("b.mask", "2")] {
      try Lota.succeed(
        "mask", "random", "--model", "model", "--sparsity", "0.5", "--seed", seed, "--out", name, in: directory)
    }
    try Lota.succeed("mask", "union", "a.mask", "b.mask", "--out", "both.mask", in: directory)
    let taken = try Mask(path: directory.file("both.mask")).keptCount
    let scoped = try workspace.model.scopedCount()
    let common = ["mask", "capacity", "--model", "model", "--ticket", "a.mask", "--ticket", "b.mask"]
    let figures = try Lota.run(common + ["--sparsity", "0.9", "--json"], in: directory).json()
    #expect(figures["taken"] as? Int == taken && figures["free"] as? Int == scoped - taken)
    let ticket = try #require(figures["ticket"] as? [String: Any])
    let requested = Int((0.1 * Double(scoped)).rounded())
    #expect(ticket["requested"] as? Int == requested && ticket["fits"] as? Bool == true)
    #expect(ticket["tickets"] as? Int == (scoped - taken) / requested)
    let full = try Lota.run(common + ["--sparsity", "0.5"], in: directory)
    #expect(full.code == 0 && full.output.contains("does not fit"))
    // A plan says so before anything runs, and so does one that fits.
    let plan = [
      "plan", "--model", "model", "--rows", "9", "--mean-length", "20", "--flops", "1e9", "--exclude", "both.mask",
    ]
    try expectRefusal(
      plan + ["--sparsity", "0.5"], in: directory,
      mentions: ["\(taken) of \(scoped)", "only \(scoped - taken) are left"])
    let planned = try Lota.run(plan + ["--json"], in: directory).json()
    #expect(planned["excluded"] as? Int == taken)
    #expect(try Lota.run(plan, in: directory).output.contains("are free"))
  }
}
