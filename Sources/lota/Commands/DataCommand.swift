import ArgumentParser
import Checkpoints
import Evaluation
import Foundation

struct DataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data", abstract: "Training rows: made, checked, shown and split.",
    subcommands: [Make.self, Generate.self, Check.self, Show.self, Split.self])

  struct Make: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Turn a data file into rows of prompt and completion, by a task's recipe.",
      discussion: """
        Reads JSON Lines, a JSON array of objects, or CSV with a header.
        Tasks: \(BuiltInTasks.names.joined(separator: ", ")); or the path of a recipe (docs/evaluation.md).

        Example: lota data make --task gsm8k --from gsm8k-train.jsonl --out rows.jsonl
        """)

    @Option(help: ArgumentHelp("Task, or recipe file (.yaml).", valueName: "name or file"))
    var task: String

    @Option(help: ArgumentHelp("Data file: .jsonl, .json or .csv.", valueName: "file"))
    var from: String

    @Option(help: ArgumentHelp("Rows to write: JSON Lines.", valueName: "file"))
    var out: String

    func run() throws {
      let rows = try TaskRecipe.named(task).trainingRows(path: from)
      try FileSystem.writeAtomically(Data(rows.bytes), to: out)
      Output.result("\(out): \(rows.count) rows")
    }
  }
}
