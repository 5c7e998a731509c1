import Adaptation
import ArgumentParser
import Foundation

extension DataCommand {
  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Rows as the tokens that training sees.",
      discussion: """
        On a terminal learned tokens are green, others grey, every second one underlined. Elsewhere
        learned tokens stand in [brackets], others between bars: List| names|\\n[SELECT][ name][<|end|>]
        A token that only begins a character shows as …

        Example: lota data show --model models/smollm2 --data rows.jsonl --rows 1,5-7
        """)

    enum Colour: String, CaseIterable, ExpressibleByArgument { case auto, always, never }

    @Option(help: ArgumentHelp("Model directory, for its tokenizer and chat template.", valueName: "dir"))
    var model: String

    @Option(help: ArgumentHelp("Rows: JSON Lines.", valueName: "file"))
    var data: String

    @Option(help: "Which rows, counted from 1: numbers and ranges.")
    var rows: String

    @Option(
      help: "Row format: \(RowFormat.allCases.map(\.rawValue).joined(separator: ", ")). Default: as the first row.")
    var format: RowFormat?

    @Option(help: "Colours: auto, always or never.")
    var color = Colour.auto

    func validate() throws {
      guard RowSelection(rows) != nil else {
        throw ValidationError("--rows is '\(rows)': use numbers and ranges, 1,5-7")
      }
    }

    func run() throws {
      guard let selection = RowSelection(rows) else { return }
      let text = try ModelText(directory: model)
      let views = try TokenView.read(
        path: data, format: format, rows: selection, tokenizer: text.tokenizer, chat: text.chat)
      let isColoured = color == .auto ? isatty(STDOUT_FILENO) == 1 : color == .always
      for view in views { Output.result(TokenText.render(view, isColoured: isColoured)) }
    }
  }
}
