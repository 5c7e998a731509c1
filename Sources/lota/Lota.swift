import ArgumentParser
import Torch

@main
struct Lota: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lota",
    abstract: "Lottery Ticket Adaptation for large language models.",
    discussion: """
      Finds the few weights a task needs, trains only those, and stores them as a small adapter.

      Start with: lota quickstart
      """,
    version: "0.1.0",
    subcommands: [
      Quickstart.self, Import.self, Fetch.self, Generate.self, Chat.self, Score.self, Train.self, Plan.self,
      Calibrate.self,
      MaskCommand.self,
      AdapterCommand.self, MergeCommand.self, LedgerCommand.self, DataCommand.self, EvalCommand.self,
      ExperimentCommand.self,
      BenchCommand.self, Doctor.self,
    ])

  static func main() {
    ThreadPolicy.apply()
    Engine.keepFreedMemory()
    ParentWatch.begin()
    do {
      let arguments = try HubArguments.resolve(Array(CommandLine.arguments.dropFirst()))
      var command = try parseAsRoot(EvalCommand.completed(arguments))
      try command.run()
    } catch {
      exit(withError: exitCode(for: error) == .failure ? Refusal(message(for: error)) : error)
    }
  }
}

/// What stopped a command, in one line whatever the names in it hold.
private struct Refusal: Error, CustomStringConvertible {
  let description: String

  init(_ text: String) {
    description = text.split(whereSeparator: \.isNewline).joined(separator: " ")
  }
}
