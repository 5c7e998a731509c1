import Adaptation
public import ArgumentParser
import Checkpoints
import Decoder
public import Evaluation
import Foundation

extension EvalCommand {
  struct Model: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Let a model answer tasks, and score its answers.",
      discussion: """
        Answers are the most likely ones (greedy), and do not depend on the batch size. Where a recipe has choices, the model
        also names the one it finds likeliest: by the sum of log-probabilities, and a token or a byte of it.
        FILE holds the task's data, or rows that lota data make made of it.
        With --samples every answer is written as soon as it is there, and --resume goes on after an interruption; with several
        tasks the file's name gets the task's: scored.gsm8k.jsonl. Beside it scored.run.json says of what the answers are.
        Tasks: \(BuiltInTasks.names.joined(separator: ", ")); or the path of a recipe (docs/evaluation.md).

        Example: lota eval model --model models/smollm2 --adapter run/adapter --task gsm8k=test.jsonl --samples scored.jsonl
        """)

    @OptionGroup var options: ModelOptions
    @OptionGroup var adapters: AdapterOptions

    @Option(help: ArgumentHelp("Task, or recipe file (.yaml), and its rows; may be repeated.", valueName: "name=file"))
    var task: [TaskArgument]

    @Option(help: "Only the first rows of each file.")
    var limit: Int?

    @Option(help: "Answers written at a time.")
    var batchSize = ModelEvaluation.defaultBatchSize

    @Option(help: "Longest answer, in tokens. Default: the recipe's.")
    var maxTokens: Int?

    @Option(
      help:
        "generated, likelihood (of the recipe's choices) or both. Default: both where there are choices, else generated."
    )
    var method: AnswerMethod?

    @OptionGroup var resampling: ResamplingOptions

    @Option(help: "Add each figure over full batches of this many rows alone, as the released evaluation has it.")
    var fullBatches: Int?

    @Option(help: ArgumentHelp("Write every answer with its scores: JSON Lines.", valueName: "file"))
    var samples: String?

    @Flag(help: "Go on with the answers that an interrupted run has left in --samples.")
    var resume = false

    @Flag(help: "Print one JSON object a task.")
    var json = false

    func validate() throws {
      guard !task.isEmpty else { throw ValidationError("--task is missing: name at least one, as in gsm8k=test.jsonl") }
      for (name, value) in [
        ("limit", limit), ("batch-size", batchSize), ("max-tokens", maxTokens), ("full-batches", fullBatches),
      ] {
        if let value, value < 1 { throw ValidationError("--\(name) is \(value); use at least 1") }
      }
      if resume, samples == nil { throw ValidationError("--resume needs --samples: the file to go on with") }
    }

    func run() throws {
      // Recipes and rows first: what is wrong with them shows before a model is loaded.
      let tasks = try task.map { argument in
        let recipe = try TaskRecipe.named(argument.name)
        return (recipe: recipe, items: try recipe.evaluationItems(path: argument.path, limit: limit))
      }
      let loaded = try LoadedModel(options, adapters: adapters)
      let source = try loaded.weightsSource(adapters: adapters.adapters)
      for (recipe, items) in tasks {
        let evaluation = try ModelEvaluation(
          model: loaded.model, tokenizer: loaded.tokenizer, task: recipe, options: evaluationOptions)
        let log = try samplesPath(of: recipe, among: tasks.count).map {
          try evaluation.log(at: $0, items: items, source: source, resume: resume)
        }
        let result = try evaluation.run(items, log: log) { Output.progress(EvaluationText.progress($0, task: recipe)) }
        Output.clearLine()
        if json { try Output.json(EvaluationFigures(result)) } else { Output.result(EvaluationText.render(result)) }
      }
    }

    private var evaluationOptions: ModelEvaluation.Options {
      var options = ModelEvaluation.Options()
      options.batchSize = batchSize
      options.method = method
      options.maximumTokens = maxTokens
      options.scoring = resampling.options(fullBatches)
      return options
    }

    private func samplesPath(of task: TaskRecipe, among count: Int) -> String? {
      guard let samples, count > 1 else { return samples }
      let ending = samples.hasSuffix(".jsonl") ? ".jsonl" : ""
      return String(samples.dropLast(ending.count)) + ".\(task.name)" + ending
    }
  }
}

/// `gsm8k=test.jsonl`
struct TaskArgument: ExpressibleByArgument {
  let name: String
  let path: String

  init?(argument: String) {
    guard let split = argument.firstIndex(of: "="), split != argument.startIndex else { return nil }
    name = String(argument[..<split])
    path = String(argument[argument.index(after: split)...])
    guard !path.isEmpty else { return nil }
  }
}

extension AnswerMethod: ExpressibleByArgument {}

extension LoadedModel {
  /// What the weights are, for records of what was made with them.
  func weightsSource(adapters: [String]) throws -> [String: String] {
    var source = ["model": try ModelFingerprint(base).value]
    let digests = try adapters.map { directory in
      try FileSystem.read(FileSystem.join(directory, "adapter_model.safetensors"))
        .withUnsafeBytes { ModelFingerprint.digest(of: $0) }
    }
    if !digests.isEmpty { source["adapters"] = digests.joined(separator: " ") }
    return source
  }
}
