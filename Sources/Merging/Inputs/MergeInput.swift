internal import Checkpoints
internal import Tickets

/// A recipe's input, opened.
struct MergeInput: Sendable {
  enum Source: Sendable {
    case model(Checkpoint)
    case ticket(Adapter)
    case lowRank(LoRAAdapter)
  }

  let recipe: MergeRecipe.Input
  let source: Source

  var path: String { recipe.path }

  init(_ recipe: MergeRecipe.Input) throws {
    self.recipe = recipe
    if LoRAAdapter.isPEFT(recipe.path) {
      source = .lowRank(try LoRAAdapter(directory: recipe.path))
    } else if FileSystem.exists(FileSystem.join(recipe.path, Adapter.configurationFileName)) {
      source = .ticket(try Adapter(directory: recipe.path))
    } else {
      source = .model(try Checkpoint(directory: recipe.path))
    }
  }

  var model: Checkpoint? {
    if case .model(let model) = source { model } else { nil }
  }

  var ticket: Adapter? {
    if case .ticket(let adapter) = source { adapter } else { nil }
  }

  /// Whether it may differ from the base in a tensor.
  func changes(_ tensor: String) -> Bool {
    switch source {
    case .model: true
    case .ticket(let adapter): adapter.configuration.baseTensors[tensor] != nil
    case .lowRank(let adapter): adapter.changes(tensor)
    }
  }
}
