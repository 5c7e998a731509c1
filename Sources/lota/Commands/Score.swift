import Adaptation
import ArgumentParser
import Checkpoints
import Decoder

struct Score: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Log-probability of each row's completion.",
    discussion: """
      With --json, one object a row: row, logprob (sum over the completion, natural logarithm), count, and tokens with
      --show-tokens.

      Example: lota score --model models/smollm2 --data rows.jsonl --json
      """)

  @OptionGroup var options: ModelOptions
  @OptionGroup var adapters: AdapterOptions

  @Option(help: ArgumentHelp("Rows to score: JSON Lines.", valueName: "file"))
  var data: String

  @Option(help: "Row format: \(RowFormat.allCases.map(\.rawValue).joined(separator: ", ")). Default: as the first row.")
  var format: RowFormat?

  @Flag(help: "Print one JSON object a row.")
  var json = false

  @Flag(help: "Add all token ids, with --json.")
  var showTokens = false

  func validate() throws {
    if showTokens, !json { throw ValidationError("--show-tokens needs --json") }
  }

  func run() throws {
    let loaded = try LoadedModel(options, adapters: adapters)
    let data = try TrainingData.load(
      path: data, format: format, encoder: loaded.tokenizer, chat: loaded.chatRenderer,
      maximumLength: loaded.model.configuration.maximumPositions, overlength: .error)
    let scores = try Scorer(loaded.model).score(data.rows, showsTokens: showTokens) { done in
      Output.progress("scored \(done) of \(data.rows.count) rows")
    }
    Output.clearLine()
    if json { for score in scores { try Output.json(score) } }
    let labels = scores.reduce(0) { $0 + $1.count }
    let total = scores.reduce(0) { $0 + $1.logprob }
    if !json {
      Output.result("rows \(scores.count), labels \(labels), loss per label \(-total / Double(max(1, labels)))")
    }
  }
}
