import Adaptation
import Checkpoints
import Decoder
import Evaluation
import Foundation
import Merging
import Tokenizers
import Torch

/// What a search judges merges by: the loss of rows, or the first figure of task recipes. Rows are read once.
struct MergeScoring {
  private enum Objective {
    case loss([(label: String, rows: [TokenizedRow])])
    case tasks([(recipe: TaskRecipe, items: [TaskRecipe.Item])])
  }

  private let objective: Objective
  /// What decides the scores: labels, options, digests of files.
  let identity: [String]
  let device: Device

  var goal: MergeSearch.Goal { if case .loss = objective { .least } else { .greatest } }

  /// For people.
  var measure: String {
    switch objective {
    case .loss: "Loss a label"
    case .tasks(let tasks):
      "Figure of \(Set(tasks.compactMap { $0.recipe.metrics.first?.name }).sorted().joined(separator: ", "))"
    }
  }

  /// - Parameter directory: of a model with the tokenizer that the merges will have.
  init(score files: [LabelledFile], tokenizer directory: String, device: Device) throws {
    let tokenizer = try Tokenizer(directory: directory)
    let chat = try ChatTemplate.load(directory: directory).map { ChatRenderer($0, tokenizer: tokenizer) }
    let longest = try ModelConfiguration(directory: directory).maximumPositions
    objective = .loss(
      try files.map { file in
        let data = try TrainingData.load(
          path: file.path, encoder: tokenizer, chat: chat, maximumLength: longest, overlength: .error)
        return (file.label, data.rows)
      })
    identity = try ["score"] + files.map { "\($0.label) \(try Self.digest(of: $0.path))" }
    self.device = device
  }

  init(tasks: [TaskArgument], limit: Int?, device: Device) throws {
    let recipes = try tasks.map { argument in
      let recipe = try TaskRecipe.named(argument.name)
      return (recipe: recipe, items: try recipe.evaluationItems(path: argument.path, limit: limit))
    }
    objective = .tasks(recipes)
    identity =
      try ["eval \(limit.map { "\($0)" } ?? "all")"]
      + tasks.map { task in
        let recipe = FileSystem.exists(task.name) ? try Self.digest(of: task.name) : task.name
        return "\(recipe) \(try Self.digest(of: task.path))"
      }
    self.device = device
  }

  /// - Parameter progress: told what is being scored.
  func scores(
    model: String, adapters: [String], progress: (String) -> Void
  ) throws -> [String: Double] {
    let loaded = try LoadedModel(mapping: model, device: device, adapters: adapters)
    var scores: [String: Double] = [:]
    switch objective {
    case .loss(let files):
      for (label, rows) in files {
        scores[label] = try Scorer(loaded.model).tokenLoss(rows) { progress("\(label): \($0) of \(rows.count) rows") }
      }
    case .tasks(let tasks):
      for (recipe, items) in tasks {
        let evaluation = try ModelEvaluation(model: loaded.model, tokenizer: loaded.tokenizer, task: recipe)
        let result = try evaluation.run(items) { progress(EvaluationText.progress($0, task: recipe)) }
        scores[recipe.name] = result.figures.first?.value ?? .nan
      }
    }
    return scores
  }

  private static func digest(of path: String) throws -> String {
    try FileSystem.read(path).withUnsafeBytes { ModelFingerprint.digest(of: $0) }
  }
}
