import Adaptation
import ArgumentParser

extension DataCommand {
  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "What is wrong with training rows, before training on them.",
      discussion: """
        Ends with 1 when training would refuse the rows or learn something wrong from them,
        a row of --against among them; what else is found is a warning. No weights are read.

        Example: lota data check --model models/smollm2 --data rows.jsonl --against test.jsonl
        """)

    @Option(help: ArgumentHelp("Model directory, for its tokenizer and chat template.", valueName: "dir"))
    var model: String

    @Option(help: ArgumentHelp("Rows to check: JSON Lines.", valueName: "file"))
    var data: String

    @Option(help: ArgumentHelp("Rows that must not be among them, a test set; may be repeated.", valueName: "file"))
    var against: [String] = []

    @Option(
      help: "Row format: \(RowFormat.allCases.map(\.rawValue).joined(separator: ", ")). Default: as the first row.")
    var format: RowFormat?

    @Option(help: "Longest row, in tokens.")
    var maxLength = TrainingData.defaultMaximumLength

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
      guard maxLength > 1 else { throw ValidationError("--max-length is \(maxLength): use at least 2") }
    }

    func run() throws {
      let text = try ModelText(directory: model)
      var options = DataCheckOptions()
      options.format = format
      options.maximumLength = maxLength
      options.against = against
      let check = try DataCheck(
        path: data, options: options, encoder: text.tokenizer, chat: text.chat, markers: text.markers)
      if json { try Output.json(check) } else { Output.result(DataCheckText.render(check)) }
      if check.isWrong { throw DataIsWrong(path: data, check: check) }
    }
  }
}

/// Ends the command with 1 after the figures have been printed.
private struct DataIsWrong: Error, CustomStringConvertible {
  let description: String

  init(path: String, check: DataCheck) {
    let errors = check.findings.filter { $0.severity == .error }
    description = "\(path): do not train on it: " + errors.map(DataCheckText.summary).joined(separator: "; ")
  }
}
