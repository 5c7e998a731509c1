internal import Checkpoints
internal import Foundation
internal import Primitives
internal import Torch

/// What stands beside a merged model's weights: tokenizer, configuration, and a card with the recipe.
struct ModelFiles {
  let plan: MergePlan

  init(_ plan: MergePlan) { self.plan = plan }

  func write(to directory: String) throws {
    let source = plan.recipe.tokenizerSource ?? plan.reference.path
    try FileSystem.copyAuxiliaryModelFiles(from: source, to: directory)
    if source != plan.reference.path {
      // Only the tokenizer is another model's.
      let names = ["config.json", "generation_config.json"].filter {
        FileSystem.exists(FileSystem.join(plan.reference.path, $0))
      }
      for name in names {
        try FileSystem.copyFile(
          from: FileSystem.join(plan.reference.path, name), to: FileSystem.join(directory, name))
      }
    }
    if let dtype = plan.recipe.dtype { try nameType(dtype, in: FileSystem.join(directory, "config.json")) }
    try FileSystem.writeAtomically(card, to: FileSystem.join(directory, "README.md"))
  }

  /// Whichever key the configuration uses for the element type.
  private func nameType(_ dtype: DType, in path: String) throws {
    guard FileSystem.exists(path), case .object(var members) = try FileSystem.readJSON(path) else { return }
    let value = JSONValue.string(dtype.configurationName)
    let places = members.indices.filter { ["dtype", "torch_dtype"].contains(members[$0].key) }
    for place in places { members[place].value = value }
    if places.isEmpty { members.append((key: "torch_dtype", value: value)) }
    try FileSystem.writeAtomically(Data(JSONValue.object(members).encoded()), to: path)
  }

  private var card: String {
    let recipe = plan.recipe
    let models = recipe.inputs.map { "- `\($0.path)`" }.joined(separator: "\n")
    return """
      ---
      library_name: transformers
      tags:
      - merge
      - lota
      ---
      # Merged model

      Made with lota by \(recipe.method.title) (\(recipe.method.reference)) from

      \(models)

      \(recipe.base.map { "with the base `\($0)`" } ?? "without a base"). The recipe:

      ```yaml
      \(recipe.yaml)```

      """
  }
}
