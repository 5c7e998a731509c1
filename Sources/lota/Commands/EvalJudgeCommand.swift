import ArgumentParser
import Evaluation
import Foundation
import Reports

extension EvalCommand {
  struct Judge: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Let a model behind a chat endpoint compare answers with references.",
      discussion: """
        Answers and references are AlpacaEval's generations: rows of instruction and output. The
        endpoint is OpenAI-compatible; its key is taken from an environment variable. Every reply is
        on disk before the next question is asked, and the same command goes on with what is there
        (docs/evaluation.md).

        Example: lota eval judge --answers ours.json --reference theirs.json \\
                   --endpoint http://localhost:8000/v1 --model judge
        """)

    @Option(help: ArgumentHelp("Answers to judge: rows of instruction and output.", valueName: "file"))
    var answers: String

    @Option(help: ArgumentHelp("What to compare with. Default: the field reference of each answer.", valueName: "file"))
    var reference: String?

    @Option(help: ArgumentHelp("Address of the judge, up to /v1.", valueName: "url"))
    var endpoint: String

    @Option(help: "The judge's name at its endpoint.")
    var model: String

    @Option(help: ArgumentHelp("Replies, one a line. Default: beside the answers, .judged.jsonl.", valueName: "file"))
    var out: String?

    @Option(help: ArgumentHelp("Environment variable that holds the key.", valueName: "name"))
    var keyVariable = "OPENAI_API_KEY"

    @Option(help: "Seed of the order within each pair, and of the bootstrap.")
    var seed: UInt64 = 0

    @Flag(help: "Ask each pair in both orders, and count the mean.")
    var bothOrders = false

    @Option(help: "Judge the first N answers alone.")
    var limit: Int?

    @Option(help: "Unusable replies to one question before it is given up.")
    var tries = 3

    @Option(help: "Requests after one that got no answer.")
    var retries = 5

    @Option(help: "Longest silence of the endpoint, in seconds.")
    var timeout = 120.0

    @Option(help: "Longest reply, in tokens. Default: as the endpoint has it.")
    var maxTokens: Int?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
      for (name, value) in [("--limit", limit), ("--max-tokens", maxTokens), ("--tries", tries)] {
        if let value, value < 1 { throw ValidationError("\(name) is \(value): use at least 1") }
      }
      guard (0...100).contains(retries) else { throw ValidationError("--retries is \(retries): use 0 to 100") }
      guard timeout > 0, timeout <= 86400 else { throw ValidationError("--timeout is \(timeout): use seconds above 0") }
    }

    func run() throws {
      let endpoint = try ChatEndpoint(
        address: endpoint, model: model, key: ProcessInfo.processInfo.environment[keyVariable],
        maximumTokens: maxTokens, timeoutSeconds: timeout)
      var options = JudgeRun.Options()
      (options.seed, options.asksBothOrders, options.tries, options.retries) = (seed, bothOrders, tries, retries)
      let pairs = try JudgePair.read(answers: answers, reference: reference, limit: limit)
      let result = try JudgeRun(pairs: pairs, endpoint: endpoint, options: options)
        .run(journal: out ?? answers + ".judged.jsonl") { event in
          switch event {
          case .asked(let done, let total): Output.progress("judged \(done) of \(total)")
          case .waiting(let seconds, let reason):
            Output.note("\(reason); trying again in \(NumberText.duration(seconds))")
          }
        }
      Output.clearLine()
      if json { try Output.json(result) } else { Output.result(JudgeText.render(result)) }
    }
  }
}
