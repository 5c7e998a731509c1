import ArgumentParser
import Checkpoints
import Evaluation
import Foundation

struct EvalCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "eval", abstract: "Let a model answer tasks, score answers by a task's rules, and compare two runs.",
    discussion: "Without a subcommand: model with --model, predictions with --predictions.",
    subcommands: [Model.self, Predictions.self, Compare.self, Judge.self], defaultSubcommand: Model.self)

  /// Arguments with the subcommand that `--predictions` stands for.
  static func completed(_ arguments: [String]) -> [String] {
    guard arguments.first == "eval", arguments.dropFirst().first?.hasPrefix("-") == true else { return arguments }
    let scores = arguments.contains { $0 == "--predictions" || $0.hasPrefix("--predictions=") }
    return scores ? ["eval", "predictions"] + arguments.dropFirst() : arguments
  }

  struct Predictions: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Score existing answers, without a model.",
      discussion: """
        Rows hold target and prediction, and prompt where a metric looks at it;
        for perplexity logprob and count, as lota score --json prints them.
        Intervals of 95 %: Wilson for proportions, else a seeded bootstrap.
        Tasks: \(BuiltInTasks.names.joined(separator: ", ")); or the path of a recipe (docs/evaluation.md).

        Example: lota eval predictions --predictions answers.jsonl --task gsm8k --samples scored.jsonl
        """)

    @Option(help: ArgumentHelp("Answers: JSON Lines, a JSON array, or CSV.", valueName: "file"))
    var predictions: String

    @Option(help: ArgumentHelp("Task, or recipe file (.yaml).", valueName: "name or file"))
    var task: String

    @OptionGroup var resampling: ResamplingOptions

    @Option(help: "Add each figure over full batches of this many rows alone, as the released evaluation has it.")
    var fullBatches: Int?

    @Option(help: ArgumentHelp("Write every answer with its scores: JSON Lines.", valueName: "file"))
    var samples: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
      if let fullBatches, fullBatches < 1 { throw ValidationError("--full-batches is \(fullBatches); use at least 1") }
    }

    func run() throws {
      let task = try TaskRecipe.named(task)
      let result = try EvaluationResult(
        task: task, answers: try PredictionFile.answers(path: predictions), options: resampling.options(fullBatches))
      if let samples { try FileSystem.writeAtomically(Data(result.samples), to: samples) }
      if json {
        try Output.json(EvaluationFigures(result))
      } else {
        Output.result(EvaluationText.render(result))
      }
    }
  }

  struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compare two runs over the same items, item by item.",
      discussion: """
        Takes two files that --samples wrote. Proportions: exact McNemar test; else a paired bootstrap.
        The difference is the second run's mean less the first's.

        Example: lota eval compare base.jsonl adapted.jsonl
        """)

    @Argument(help: ArgumentHelp("Scored answers of the first run.", valueName: "first"))
    var first: String

    @Argument(help: ArgumentHelp("Scored answers of the second run.", valueName: "second"))
    var second: String

    @Option(help: "Metric to compare. Default: the first that both files have.")
    var metric: String?

    @OptionGroup var resampling: ResamplingOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
      let options = resampling.options(nil)
      let comparison = try RunComparison(
        try SampleFile(path: first), try SampleFile(path: second), metric: metric, seed: options.seed,
        resamples: options.resamples)
      if json { try Output.json(comparison) } else { Output.result(EvaluationText.render(comparison)) }
    }
  }
}

struct ResamplingOptions: ParsableArguments {
  @Option(help: "Seed of the bootstrap.")
  var seed: UInt64 = 0

  @Option(help: "Resamples of the bootstrap.")
  var resamples = Bootstrap.defaultResamples

  func validate() throws {
    guard (1...10_000_000).contains(resamples) else {
      throw ValidationError("--resamples is \(resamples); use 1 to 10000000")
    }
  }

  func options(_ fullBatches: Int?) -> EvaluationResult.Options {
    var options = EvaluationResult.Options()
    options.seed = seed
    options.resamples = resamples
    options.fullBatches = fullBatches
    return options
  }
}
