import Checkpoints
import Experiments
import Foundation
import Testing

/// A plan's files in a directory of their own, removed with the last reference.
final class PlanFolder {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "lota-experiment-" + UUID().uuidString
    try FileSystem.createDirectory(path)
    try FileSystem.createDirectory(self("base"))
    try write("{}", "base/config.json")
    // A safetensors file with one tensor of two bytes.
    let header = #"{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}"#
    var file = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
    file += Data(header.utf8) + Data([0, 64])
    try FileSystem.writeAtomically(file, to: self("base/model.safetensors"))
    for task in ["a", "b"] {
      for part in ["train", "dev", "test"] { try write("\(task) \(part)\n", "\(task).\(part).jsonl") }
    }
  }

  func callAsFunction(_ name: String) -> String { FileSystem.join(path, name) }

  func write(_ text: String, _ name: String) throws { try FileSystem.writeAtomically(text, to: self(name)) }

  func plan(_ text: String) throws -> ExperimentPlan {
    try write(text, "plan.yaml")
    return try ExperimentPlan(path: self("plan.yaml"))
  }

  deinit { try? FileSystem.remove(path) }
}

/// Stands in for the program: writes what `lota train` would leave, with losses that its `losses` makes up.
final class StandIn: CommandRunner {
  /// Commands run, in order.
  private(set) var commands: [[String]] = []
  /// The loss of a file's rows for a model's options.
  var loss: ([String], String) -> Double = { _, _ in 1 }
  /// The command that fails, by its number.
  var failing: Int?
  /// The command in which the user ends it all, by its number.
  var interrupted: Int?

  func run(_ arguments: [String], log: String, progress: (String) -> Void) throws -> CommandOutput {
    commands.append(arguments)
    try FileSystem.writeAtomically("said\n", to: log)
    if commands.count == interrupted { throw CommandInterruption() }
    if commands.count == failing { return CommandOutput(text: "", status: 1, lastLine: "Error: out of luck") }
    switch arguments.first {
    case "train": return CommandOutput(text: try train(arguments), status: 0)
    case "merge": return CommandOutput(text: try merge(arguments), status: 0)
    case "score":
      let loss = loss(arguments, try #require(Self.value("--data", arguments)))
      return CommandOutput(text: #"{"row": 1, "logprob": \#(-2 * loss), "count": 2}"# + "\n", status: 0)
    default: return CommandOutput(text: "", status: 64)
    }
  }

  private func train(_ arguments: [String]) throws -> String {
    let out = try #require(Self.value("--out", arguments))
    let method = Self.value("--method", arguments) ?? "lota"
    let product = FileSystem.join(out, method == "fft" ? "model" : "adapter")
    try FileSystem.createDirectory(product)
    try FileSystem.writeAtomically("12345", to: FileSystem.join(product, "file"))
    let records = Self.values("--validation", arguments).flatMap { file in
      [5, 10].map { step in
        let loss = loss(arguments, file) + (step == 5 ? 0.5 : 0)
        return #"{"data": "\#(file)", "step": \#(step), "token_loss": \#(loss), "phase": "training"}"# + "\n"
      }
    }
    try FileSystem.writeAtomically(records.joined(), to: FileSystem.join(out, "validation.jsonl"))
    let made = method == "fft" ? "model" : "adapter"
    return #"{"\#(made)": "\#(product)", "seconds": {"training": 2, "validation": 9}, "peakMemoryBytes": 7}"#
  }

  private func merge(_ arguments: [String]) throws -> String {
    let adapter = Self.value("--adapter-out", arguments)
    let product = try #require(adapter ?? Self.value("--out", arguments))
    try FileSystem.createDirectory(product)
    try FileSystem.writeAtomically("1234567", to: FileSystem.join(product, "file"))
    return adapter == nil
      ? #"{"model": {"seconds": 3, "flushSeconds": 1}, "peakMemory": 8}"#
      : #"{"adapterSeconds": 0.5, "trained": 6, "peakMemory": 4}"#
  }

  static func value(_ option: String, _ arguments: [String]) -> String? { values(option, arguments).first }

  static func values(_ option: String, _ arguments: [String]) -> [String] {
    zip(arguments, arguments.dropFirst() + [""]).compactMap { argument, next in
      argument == option
        ? next : argument.hasPrefix(option + "=") ? String(argument.dropFirst(option.count + 1)) : nil
    }
  }
}
