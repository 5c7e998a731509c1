internal import Checkpoints
public import Decoder
public import Tokenizers

/// A model's answers to the rows of a task, scored.
///
/// An answer does not depend on the batch size or on the other rows (``Generator``).
public struct ModelEvaluation {
  public struct Options: Equatable, Sendable {
    /// Answers written at a time; memory for keys and values grows with it.
    public var batchSize = ModelEvaluation.defaultBatchSize
    /// nil: ``TaskRecipe/defaultMethod``.
    public var method: AnswerMethod?
    /// nil: the recipe's.
    public var maximumTokens: Int?
    public var scoring = EvaluationResult.Options()

    public init() {}
  }

  public static let defaultBatchSize = 16

  public let task: TaskRecipe
  let model: LanguageModel
  let tokenizer: Tokenizer
  let options: Options
  let method: AnswerMethod

  /// - Throws: ``EvaluationError/noChoices(task:)`` for likelihoods of a recipe without choices.
  public init(
    model: LanguageModel, tokenizer: Tokenizer, task: TaskRecipe, options: Options = Options()
  ) throws {
    precondition(options.batchSize > 0, "a batch of \(options.batchSize)")
    self.model = model
    self.tokenizer = tokenizer
    self.options = options
    method = options.method ?? task.defaultMethod
    self.task = try task.answered(by: method)
  }

  /// Answers and scores all items.
  ///
  /// - Parameters:
  ///   - items: ``TaskRecipe/evaluationItems(path:limit:)``.
  ///   - log: Gets each answer as soon as it is there; rows that it holds already are not answered again.
  ///   - progress: Called after every answer, and while long ones are being written.
  /// - Throws: ``EvaluationError`` naming the row; `DecoderError`; `TorchError`.
  public func run(
    _ items: [TaskRecipe.Item], log: SampleLog? = nil, progress: (EvaluationWork) -> Void = { _ in }
  ) throws -> EvaluationResult {
    var answers = items.map { log?.answers[$0.place.row] }
    let open = answers.indices.filter { answers[$0] == nil }
    var work = EvaluationWork(total: items.count, resumed: items.count - open.count)
    let clock = ContinuousClock()
    let start = clock.now
    func finish(_ index: Int, _ answer: Answer) throws {
      answers[index] = answer
      try log?.append(answer, scored: try scores(of: answer))
      work.done += 1
      work.seconds = (clock.now - start) / .seconds(1)
      progress(work)
    }
    let prompts = try prompts(items, open)
    work.promptTokens = prompts.reduce(0) { $0 + $1.tokens.count }
    if generates {
      try generate(prompts, items: items, onFinish: finish) {
        work.generatedTokens += 1
        let seconds = (clock.now - start) / .seconds(1)
        guard seconds - work.seconds > 0.5 else { return }
        work.seconds = seconds
        progress(work)
      }
    } else {
      for prompt in prompts {
        try finish(prompt.item, try measured(Answer(items[prompt.item]), prompt, items[prompt.item]))
      }
    }
    work.seconds = (clock.now - start) / .seconds(1)
    var result = try EvaluationResult(scoring: answers.compactMap { $0 }, by: task, options.scoring)
    result.work = work
    try log?.finish(result)
    return result
  }

  private func scores(of answer: Answer) throws -> [(name: String, score: ItemScore)] {
    try task.metrics.map { ($0.name, try $0.score(answer)) }
  }

  private var measuresCompletion: Bool { task.metrics.contains { $0.scorer == .perplexity } }
  private var measuresChoices: Bool { method != .generated }
  /// Nothing is written where only likelihoods count.
  private var generates: Bool {
    let needless: (Metric) -> Bool = {
      if case .likelihood = $0.scorer { true } else { $0.scorer == .perplexity }
    }
    return method != .likelihood && (task.metrics.isEmpty || !task.metrics.allSatisfy(needless))
  }
}

// MARK: - One row

extension ModelEvaluation {
  private struct Prompt {
    let item: Int
    let tokens: [Int]
  }

  /// Longest first: the largest buffers are made once, and what does not fit shows early.
  private func prompts(_ items: [TaskRecipe.Item], _ open: [Int]) throws -> [Prompt] {
    let limit = model.configuration.maximumPositions
    let prompts = try open.map { index in
      let item = items[index]
      let prompt = Prompt(item: index, tokens: tokenizer.encode(item.prompt))
      guard !generates || !prompt.tokens.isEmpty else { throw EvaluationError.emptyPrompt(item.place) }
      guard prompt.tokens.count < limit else {
        throw EvaluationError.promptTooLong(item.place, tokens: prompt.tokens.count, limit: limit)
      }
      return prompt
    }
    return prompts.sorted { ($1.tokens.count, $0.item) < ($0.tokens.count, $1.item) }
  }

  private func generate(
    _ prompts: [Prompt], items: [TaskRecipe.Item], onFinish: (Int, Answer) throws -> Void, onToken: () -> Void
  ) throws {
    let limit = model.configuration.maximumPositions
    let sampling = try SamplingOptions(
      maximumTokens: options.maximumTokens ?? task.maximumTokens, stopTokens: stopTokens)
    var texts = prompts.map { _ in StoppingText(tokenizer, stops: task.stops) }
    _ = try Generator(model).generate(prompts.map(\.tokens), options: sampling, batchSize: options.batchSize) {
      index, token in
      onToken()
      texts[index].append(token)
      return !texts[index].isStopped && prompts[index].tokens.count + texts[index].tokenCount < limit
    } onFinish: { index, tokens in
      let item = items[prompts[index].item]
      var answer = Answer(item)
      answer.prediction = texts[index].finish()
      answer.tokens = tokens
      try onFinish(prompts[index].item, try measured(answer, prompts[index], item))
    }
  }

  /// The answer with the likelihoods that the task's metrics ask for.
  private func measured(_ answer: Answer, _ prompt: Prompt, _ item: TaskRecipe.Item) throws -> Answer {
    var answer = answer
    let scorer = ContinuationScorer(model)
    if measuresChoices {
      let scores = try scorer.scores(
        prompt: prompt.tokens, continuations: try item.choices.map { try encoded($0.text, item) })
      answer.choices = zip(item.choices, scores).map { choice, score in
        ChoiceLikelihood(
          label: choice.label, logprob: score.logprob, tokenCount: score.count, byteCount: choice.text.utf8.count,
          isTarget: task.isTarget(choice, of: item))
      }
    }
    if measuresCompletion {
      guard let completion = item.completion else {
        throw EvaluationError.missingField(item.place, field: "completion")
      }
      // The end of the sequence is part of what is learned, and of its loss.
      let tokens = tokenizer.encode(completion) + [tokenizer.eosTokenID].compactMap { $0 }
      guard let score = try scorer.scores(prompt: prompt.tokens, continuations: [tokens]).first else { return answer }
      (answer.logprob, answer.tokenCount) = (score.logprob, score.count)
    }
    return answer
  }

  private func encoded(_ choice: String, _ item: TaskRecipe.Item) throws -> [Int] {
    let tokens = tokenizer.encode(choice)
    guard !tokens.isEmpty else { throw EvaluationError.malformedRow(item.place, reason: "a choice is empty") }
    return tokens
  }

  private var stopTokens: Set<Int> {
    Set(model.configuration.eosTokenIDs + [tokenizer.eosTokenID].compactMap { $0 })
  }
}

extension Answer {
  init(_ item: TaskRecipe.Item) { self.init(place: item.place, prompt: item.prompt, target: item.target) }
}
