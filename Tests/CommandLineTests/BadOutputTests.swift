import Foundation
import TestSupport
import Testing

/// Places that cannot be written to. Permissions do not hold for the superuser, so the tests use paths that no user can
/// create: below a regular file.
struct BadOutputTests {
  @Test(
    "a path below a regular file",
    arguments: [
      ["train", "--model", "model", "--data", "rows.jsonl", "--out", "file/run"],
      ["calibrate", "--model", "model", "--data", "rows.jsonl", "--out", "file/run"],
      ["mask", "random", "--model", "model", "--out", "file/a.mask"],
      ["mask", "extract", "--base", "model", "--tuned", "tuned", "--out", "file/a.mask"],
      ["mask", "complement", "given.mask", "--out", "file/a.mask"],
      ["mask", "union", "given.mask", "given.mask", "--out", "file/a.mask"],
      ["adapter", "apply", "--model", "model", "--adapter", "run/adapter", "--out", "file/applied"],
    ])
  func belowAFile(arguments: [String]) throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try directory.write("x", to: "file")
    if arguments.contains("tuned") { try TinyModel(seed: 2).write(to: directory.file("tuned")) }
    if arguments.contains("given.mask") {
      try Lota.succeed("mask", "random", "--model", "model", "--out", "given.mask", in: directory)
    }
    if arguments.contains("run/adapter") { try workspace.train("run") }
    try expectRefusal(arguments, in: directory, mentions: ["file", "Not a directory"])
    #expect(try directory.text("file") == "x")
  }

  @Test("a run directory that holds something, and a file in its place")
  func existing() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try workspace.train("run")
    let before = try directory.contents("run/metrics.jsonl")
    for verb in ["train", "calibrate"] {
      try expectRefusal(
        [verb, "--model", "model", "--data", "rows.jsonl", "--out", "run"], in: directory,
        mentions: ["run: exists and is not empty", "choose another place"])
    }
    #expect(try directory.contents("run/metrics.jsonl") == before)
    try expectRefusal(
      ["adapter", "apply", "--model", "model", "--adapter", "run/adapter", "--out", "run"], in: directory,
      mentions: ["run: exists and is not empty", "remove it"])
    try expectRefusal(
      workspace.trainingArguments("rows.jsonl"), in: directory, mentions: ["rows.jsonl", "not a directory"])
  }

  @Test("a directory in place of a mask file")
  func directoryForFile() throws {
    let workspace = try Workspace()
    try expectRefusal(
      ["mask", "random", "--model", "model", "--out", "model"], in: workspace.directory,
      mentions: ["model: cannot create: Is a directory"])
  }

  @Test("the quickstart looks at its output first")
  func quickstart() throws {
    let workspace = try Workspace()
    let verb = ["quickstart", "--gguf", "absent.gguf", "--out"]
    try expectRefusal(
      verb + ["model"], in: workspace.directory, mentions: ["model: exists and is not empty", "remove it"])
    try expectRefusal(verb + ["rows.jsonl/out"], in: workspace.directory, mentions: ["rows.jsonl", "Not a directory"])
  }

  @Test("an empty path")
  func emptyPath() throws {
    let workspace = try Workspace()
    try expectRefusal(
      workspace.trainingArguments(""), in: workspace.directory, mentions: ["'': cannot create directory"])
    try expectRefusal(
      ["mask", "random", "--model", "model", "--out", ""], in: workspace.directory, mentions: ["'': cannot create"])
  }

  @Test("applying over the base itself is refused")
  func overTheBase() throws {
    let workspace = try Workspace()
    try workspace.train("run")
    let before = try workspace.directory.contents("model/model.safetensors")
    try expectRefusal(
      ["adapter", "apply", "--model", "model", "--adapter", "run/adapter", "--out", "model", "--overwrite"],
      in: workspace.directory, mentions: ["model is the model itself", "another directory"])
    #expect(try workspace.directory.contents("model/model.safetensors") == before)
  }

  #if os(Linux)
  @Test(
    "a full disk under standard output is an error",
    arguments: [
      ["score", "--model", "model", "--data", "rows.jsonl", "--json"],
      ["generate", "--model", "model", "--prompt", "a"],
    ])
  func fullDisk(arguments: [String]) throws {
    let workspace = try Workspace()
    let full = try FileHandle(forWritingTo: URL(fileURLWithPath: "/dev/full"))
    let result = try Lota.run(arguments, in: workspace.directory, output: full)
    #expect(result.code == 1 && !result.wasSignalled)
    #expect(result.errors == "Error: standard output: cannot write: No space left on device\n")
  }
  #endif

  @Test(
    "a reader that has gone ends the program without a trace",
    arguments: [
      ["score", "--model", "model", "--data", "rows.jsonl", "--json"],
      ["generate", "--model", "model", "--prompt", "a"],
    ])
  func closedPipe(arguments: [String]) throws {
    let workspace = try Workspace()
    let pipe = Pipe()
    try pipe.fileHandleForReading.close()
    let result = try Lota.run(arguments, in: workspace.directory, output: pipe.fileHandleForWriting)
    // SIGPIPE ends it as it ends any filter; where the parent has it ignored, the failed write does.
    #expect(result.wasSignalled ? result.code == SIGPIPE : result.code == 1, "ended with \(result.code)")
    let expected = result.wasSignalled ? "" : "Error: standard output: cannot write: Broken pipe\n"
    #expect(result.errors == expected)
  }

  @Test("a pipe into head ends without more than a line")
  func head() throws {
    let workspace = try Workspace()
    let executable = try #require(LotaExecutable.url).path
    let script = "'\(executable)' generate --model model --prompt List --max-tokens 60 2>errors | head -c1 >first"
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    shell.arguments = ["-c", script]
    shell.currentDirectoryURL = URL(fileURLWithPath: workspace.directory.path)
    try shell.run()
    shell.waitUntilExit()
    #expect(try workspace.directory.contents("first").count == 1)
    // Where the signal of a broken pipe is ignored, as it may be in the process that tests, the failed write is named.
    let errors = try workspace.directory.text("errors")
    #expect(["", "Error: standard output: cannot write: Broken pipe\n"].contains(errors))
  }
}
