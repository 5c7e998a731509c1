import Checkpoints
import Foundation
import Testing
import Tickets

/// `train` with earlier tickets, adapters and rows.
struct SequenceCommandTests {
  @Test("a second task has a ticket of its own, in one command and phase by phase")
  func twoTasks() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try workspace.train("first")
    let result = try workspace.train("second", ["--adapter", "first/adapter"])
    #expect(result.errors.contains("note: 1 adapter is applied to the base"), "\(result.errors)")
    let masks = try ["first", "second"].map { try Mask(path: directory.file("\($0)/mask.safetensors")) }
    #expect(masks[0].sharedCount(with: masks[1]) == 0 && masks[1].keptCount > 0)
    let json = try JSONSerialization.jsonObject(with: directory.contents("second/adapter/adapter_config.json"))
    let training = try #require((json as? [String: Any])?["training"] as? [String: String])
    #expect(training["prerequisites"]?.hasPrefix("first:") == true, "\(training)")
    #expect(try directory.text("second/config.yaml").contains("adapters:\n- first/adapter\n"))
    try Lota.succeed(
      "adapter", "apply", "--model", "model", "--adapter", "second/adapter", "--adapter", "first/adapter", "--out",
      "both", in: directory)
    try Lota.succeed(
      "adapter", "remove", "--model", "both", "--adapter", "first/adapter", "--out", "later", in: directory)
    try Lota.succeed("adapter", "verify", "--model", "model", "--adapter", "second/adapter", in: directory)

    // The same ticket by calibrate and mask extract.
    let common = ["--model", "model", "--data", "rows.jsonl"] + Workspace.schedule
    for arguments in [
      ["calibrate", "--out", "calibration", "--steps", "2", "--adapter", "first/adapter"] + common,
      [
        "mask", "extract", "--base", "model", "--tuned", "calibration/model", "--exclude", "first/adapter", "--out",
        "own.mask",
      ],
    ] {
      let result = try Lota.run(arguments, in: directory)
      try #require(result.code == 0, "\(result.errors)")
    }
    #expect(try Mask(path: directory.file("own.mask")) == masks[1])
  }

  @Test("too little capacity is said before calibration, with the counts")
  func capacity() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    let scoped = try workspace.model.scopedCount()
    try Lota.succeed("mask", "random", "--model", "model", "--sparsity", "0.25", "--out", "most.mask", in: directory)
    let taken = Int((0.75 * Double(scoped)).rounded())
    let wanted = Int((0.5 * Double(scoped)).rounded())
    let counts = ["needs \(wanted) weights", "\(taken) of \(scoped)", "only \(scoped - taken) are left"]
    try expectRefusal(
      workspace.trainingArguments("run", "--sparsity", "0.5", "--exclude", "most.mask"), in: directory,
      mentions: counts + ["raise the sparsity"])
    try expectRefusal(
      [
        "mask", "random", "--model", "model", "--sparsity", "0.5", "--exclude", "most.mask", "--out", "more.mask",
      ], in: directory, mentions: counts)
  }

  @Test("excluded tickets that cannot be used")
  func badExclusions() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try Lota.succeed("mask", "random", "--model", "model", "--out", "own.mask", in: directory)
    try TinyModel(layerCount: 3).write(to: directory.file("deep"))
    try Lota.succeed("mask", "random", "--model", "deep", "--out", "deep.mask", in: directory)
    let train = workspace.trainingArguments("run")
    try expectRefusal(train + ["--exclude", "absent.mask"], in: directory, mentions: ["absent.mask", "no such file"])
    try expectRefusal(
      train + ["--exclude", "own.mask", "--exclude", "deep.mask"], in: directory,
      mentions: ["deep.mask: model.layers.2."])
    try expectRefusal(
      [
        "train", "--model", "model", "--data", "rows.jsonl", "--out", "run", "--mask", "own.mask", "--exclude",
        "own.mask",
      ],
      in: directory, mentions: ["belong to excluded tickets"])
    try expectRefusal(train + ["--adapter", "model"], in: directory, mentions: ["adapter_config.json"])
  }

  @Test("full fine-tuning around a ticket, with rows of an earlier task")
  func baselines() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try Lota.succeed("mask", "random", "--model", "model", "--out", "own.mask", in: directory)
    let result = try Lota.run(
      [
        "train", "--method", "fft", "--model", "model", "--data", "rows.jsonl", "--out", "run", "--steps", "2",
        "--exclude", "own.mask", "--replay", "rows.jsonl", "--replay-fraction", "0.25",
      ] + Workspace.schedule, in: directory)
    #expect(result.code == 0 && result.errors.contains("3 rows of earlier tasks mixed in"), "\(result.errors)")
    let configuration = try directory.text("run/config.yaml")
    #expect(
      configuration.contains("replay:\n  files:\n  - rows.jsonl\n  fraction: 0.25\n  rows:\n  - 3\n"),
      "\(configuration)")
    let (old, new) = (try workspace.checkpoint("model"), try workspace.checkpoint("run/model"))
    for entry in try Mask(path: directory.file("own.mask")).entries {
      var changed = 0
      try old.withBytes(of: entry.name) { before in
        try new.withBytes(of: entry.name) { after in
          let size = before.count / entry.bits.count
          for index in 0..<entry.bits.count {
            let range = (index * size)..<((index + 1) * size)
            let isSame = before[range].elementsEqual(after[range])
            if entry.bits[index] { #expect(isSame, "\(entry.name) at \(index)") }
            if !isSame { changed += 1 }
          }
        }
      }
      #expect(changed > 0)
    }
  }
}
