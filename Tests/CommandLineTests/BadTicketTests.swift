import Foundation
import Testing

/// Masks, adapters and sparsities that cannot be used.
struct BadTicketTests {
  @Test("sparsity outside [0, 1)", arguments: ["-0.1", "1", "nan"])
  func sparsity(value: String) throws {
    let workspace = try Workspace()
    try TinyModel(seed: 2).write(to: workspace.directory.file("tuned"))
    let option = "--sparsity=\(value)"
    let mentions = ["sparsity", Double(value).map { "\($0)" } ?? value]
    for arguments in [
      workspace.trainingArguments("run", option), ["mask", "random", "--model", "model", "--out", "a.mask", option],
      ["mask", "extract", "--base", "model", "--tuned", "tuned", "--out", "a.mask", option],
    ] {
      try expectRefusal(arguments, in: workspace.directory, mentions: mentions)
    }
  }

  @Test(
    "settings of training out of range",
    arguments: [
      ("--steps", "0"), ("--batch-size", "0"), ("--batch-size", "\(Int.max)"), ("--learning-rate", "0"),
      ("--learning-rate", "nan"),
      ("--warmup-steps", "-1"), ("--max-grad-norm", "-1"), ("--max-length", "1"), ("--micro-batch-tokens", "0"),
    ])
  func settings(option: String, value: String) throws {
    let workspace = try Workspace()
    let arguments = ["train", "--model", "model", "--data", "rows.jsonl", "--out", "run", "\(option)=\(value)"]
    try expectRefusal(arguments, in: workspace.directory, mentions: [String(option.dropFirst(2)), "must be"])
  }

  @Test("calibration out of range", arguments: [("--calibration-steps", "-1"), ("--calibration-fraction", "0")])
  func calibration(option: String, value: String) throws {
    let workspace = try Workspace()
    let arguments = ["train", "--model", "model", "--data", "rows.jsonl", "--out", "run", "\(option)=\(value)"]
    try expectRefusal(arguments, in: workspace.directory, mentions: [String(option.dropFirst(2)), value])
  }

  @Test("a mask that is missing, damaged, or another model's")
  func masks() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try Lota.succeed("mask", "random", "--model", "model", "--out", "good.mask", in: directory)
    try TinyModel(layerCount: 3).write(to: directory.file("deep"))
    try TinyModel(hiddenSize: 48).write(to: directory.file("wide"))
    for other in ["deep", "wide"] {
      try Lota.succeed("mask", "random", "--model", other, "--out", "\(other).mask", in: directory)
    }
    let train = ["train", "--model", "model", "--data", "rows.jsonl", "--out", "run", "--mask"]
    try expectRefusal(train + ["absent.mask"], in: directory, mentions: ["absent.mask", "no such file"])
    try expectRefusal(train + ["deep.mask"], in: directory, mentions: ["mask", "model.layers.2."])
    try expectRefusal(
      train + ["wide.mask"], in: directory, mentions: ["mask", "has shape [32, 32], the mask has [48, 48]"])
    try expectRefusal(train + ["rows.jsonl"], in: directory, mentions: ["rows.jsonl"])
    try expectRefusal(
      train + ["model/model.safetensors"], in: directory, mentions: ["model/model.safetensors", "not a usable mask"])
    for other in ["deep", "wide"] {
      for verb in [["overlap"], ["union", "--out", "both.mask"]] {
        try expectRefusal(
          ["mask"] + verb + ["good.mask", "\(other).mask"], in: directory,
          mentions: ["different models", "model.layers."])
      }
    }
    try directory.copy("good.mask", to: "cut.mask")
    try directory.truncate("cut.mask", to: 3000)
    try directory.copy("good.mask", to: "renamed.mask")
    try directory.replace("lota-mask", by: "lota-musk", in: "renamed.mask")
    for name in ["cut.mask", "renamed.mask"] {
      for arguments in [
        train + [name], ["mask", "inspect", name], ["mask", "complement", name, "--out", "rest.mask"],
      ] {
        try expectRefusal(arguments, in: directory, mentions: [name])
      }
    }
  }

  @Test("a ticket without weights is refused before training")
  func emptyTicket() throws {
    let workspace = try Workspace()
    try expectRefusal(
      workspace.trainingArguments("run", "--sparsity", "0.9999999"), in: workspace.directory,
      mentions: ["no weights", "lower --sparsity"])
  }

  @Test("an adapter of another base, a damaged one, and two that overlap")
  func adapters() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try workspace.train("run")
    try workspace.train("again", ["--seed", "3"])
    try TinyModel(seed: 5).write(to: directory.file("other"))
    func refuse(_ model: String, _ adapters: [String], _ mentions: [String]) throws {
      let options = adapters.flatMap { ["--adapter", $0] }
      for arguments in [
        ["score", "--model", model, "--data", "rows.jsonl"], ["generate", "--model", model, "--prompt", "a"],
        ["adapter", "apply", "--model", model, "--out", "out"],
      ] {
        try expectRefusal(arguments + options, in: directory, mentions: mentions)
      }
    }
    try refuse("other", ["run/adapter"], ["run/adapter", "another base", "model.layers.0."])
    try expectRefusal(
      ["adapter", "verify", "--model", "other", "--adapter", "run/adapter"], in: directory,
      mentions: ["run/adapter", "another base"])
    try refuse("model", ["run/adapter", "again/adapter"], ["run/adapter", "again/adapter", "disjoint"])
    try refuse("model", ["absent"], ["absent"])
    try refuse("model", ["model"], ["model/adapter_config.json"])
    for (name, file, count) in [("cut", "adapter_model.safetensors", 3000), ("bad", "adapter_config.json", 200)] {
      try directory.copy("run/adapter", to: name)
      try directory.truncate("\(name)/\(file)", to: count)
      try refuse("model", [name], ["\(name)/\(file)"])
      try expectRefusal(["adapter", "inspect", name], in: directory, mentions: ["\(name)/\(file)"])
    }
  }

  @Test("extraction names the tensor that is not finite", arguments: [Float.nan, .infinity, -.infinity])
  func notFinite(value: Float) throws {
    let workspace = try Workspace()
    let spoiled = "model.layers.1.self_attn.k_proj.weight"
    try TinyModel(seed: 2, edit: { if $0 == spoiled { $1[5] = value } }).write(to: workspace.directory.file("tuned"))
    for (base, tuned) in [("model", "tuned"), ("tuned", "model")] {
      try expectRefusal(
        ["mask", "extract", "--base", base, "--tuned", tuned, "--out", "a.mask"], in: workspace.directory,
        mentions: [spoiled, "index 5", "NaN or infinite"])
    }
  }

  @Test("extraction says why it cannot keep as many as asked for")
  func tooFew() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try TinyModel(edit: { if $0 == "model.layers.0.self_attn.q_proj.weight" { for i in 0..<9 { $1[i] += 1 } } })
      .write(to: directory.file("tuned"))
    let extract = ["mask", "extract", "--base", "model", "--tuned", "tuned", "--out", "a.mask"]
    try expectRefusal(extract, in: directory, mentions: ["only 9 of", "raise the sparsity"])
    try Lota.succeed("mask", "random", "--model", "model", "--sparsity", "0.05", "--out", "most.mask", in: directory)
    try expectRefusal(
      extract + ["--exclude", "most.mask"], in: directory, mentions: ["excluded tickets", "raise the sparsity"])
    try TinyModel(layerCount: 1).write(to: directory.file("tuned"))
    try expectRefusal(extract, in: directory, mentions: ["tuned", "no tensor model.layers.1.", "same architecture"])
    try TinyModel(hiddenSize: 48).write(to: directory.file("tuned"))
    try expectRefusal(extract, in: directory, mentions: ["model.layers.0.", "shape"])
  }
}
