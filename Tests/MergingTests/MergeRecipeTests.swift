import Checkpoints
import Foundation
import Merging
import TestSupport
import Testing
import Torch

/// Recipes as files, and what is refused before anything is written.
struct MergeRecipeTests {
  static let full = """
    merge_method: ties
    base_model: base
    models:
      - model: a
        parameters:
          weight: 0.5
          density: [0.1, 0.9]
      - model: base+b
        parameters:
          weight:
            - filter: mlp
              value: 1e-1
            - value: 0.25
    parameters:
      normalize: true
      int8_mask: true
      lambda: 0.8
    dtype: bfloat16
    random_seed: 7
    """

  @Test func mergekitRecipe() throws {
    let recipe = try MergeRecipe(yaml: Self.full, path: "r.yaml")
    #expect(recipe.method.name == "ties" && recipe.base == "base" && recipe.dtype == .bfloat16 && recipe.seed == 7)
    #expect(recipe.inputs.map(\.path) == ["a", "b"])
    #expect(recipe.inputs[0].parameters == ["weight": .number(0.5), "density": .gradient([0.1, 0.9])])
    #expect(
      recipe.inputs[1].parameters == [
        "weight": .conditional([(filter: "mlp", value: .number(0.1)), (filter: nil, value: .number(0.25))])
      ])
    #expect(recipe.parameters == ["normalize": .flag(true), "lambda": .number(0.8)])
    #expect(try MergeRecipe(yaml: recipe.yaml, path: "again") == recipe)
  }

  @Test func oneSliceOfWholeModels() throws {
    let recipe = try MergeRecipe(
      yaml: """
        slices:
          - sources:
              - model: base
                layer_range: [0, 32]
              - model: other
                layer_range: [0, 32]
        merge_method: slerp
        base_model: base
        parameters:
          t: [{filter: self_attn, value: [0, 0.5, 1]}, {value: 0.5}]
        out_dtype: float16
        dtype: float32
        tokenizer_source:
        """, path: "r.yaml")
    #expect(recipe.inputs.map(\.path) == ["base", "other"] && recipe.dtype == .float16)
  }

  @Test(arguments: [
    ("", "r.yaml:1: the file is empty"),
    ("merge_method: [", "not valid YAML"),
    ("models: []", "r.yaml:1: the recipe lacks the key 'merge_method'"),
    ("merge_method: magic\nmodels: []", "no merge method is called 'magic'"),
    ("merge_method: ties\nmodels: 3", "models must be a list"),
    ("merge_method: ties\nmodel: 3", "r.yaml:2: the recipe has the unknown key 'model'; use merge_method, base_model"),
    ("merge_method: ties\nmodules: {}", "r.yaml:2: modules is not supported"),
    ("merge_method: ties\ntokenizer_source: union\nmodels: [{model: a}]", "union is not supported"),
    ("merge_method: ties\nmodels: [{parameters: {}}]", "models lacks the key 'model'"),
    ("merge_method: ties\nmodels: [{model: a, weight: 1}]", "unknown key 'weight'"),
    ("merge_method: ties\nmodels: [{model: a, parameters: {weight: []}}]", "weight is an empty list"),
    ("merge_method: ties\nmodels: [{model: a, parameters: {weight: [a, b]}}]", "a list of numbers"),
    ("merge_method: ties\nmodels: [{model: a}]\ndtype: int8", "use float32, bfloat16 or float16"),
    ("merge_method: ties\nmodels: [{model: a}]\nrandom_seed: -1", "whole number from 0"),
    ("merge_method: ties\nbase_model: ''\nmodels: [{model: a}]", "r.yaml:2: base_model is empty"),
    ("merge_method: ties\nmodels: [{model: a}]\nparameters:\n  - 1", "r.yaml:3: parameters must be a mapping"),
    ("merge_method: ties\nslices: [{sources: []}, {sources: []}]", "several slices"),
    (
      "merge_method: ties\nslices: [{sources: [{model: a, layer_range: [1, 2]}]}]", "layer_range is not supported"
    ),
  ]) func refusedRecipes(_ yaml: String, _ message: String) throws {
    let error = #expect(throws: MergeError.self) { try MergeRecipe(yaml: yaml, path: "r.yaml") }
    #expect("\(error.map { "\($0)" } ?? "")".contains(message), "\(error.map { "\($0)" } ?? "")")
  }

  /// Gradients over three layers, filters, and which of several settings counts.
  @Test func parametersByLayer() throws {
    let fixture = try MergeFixture()
    let recipe = try fixture.recipe(
      "task_arithmetic",
      [
        .init(
          fixture.tuned(1),
          parameters: [
            "weight": .conditional([
              (filter: "q_proj", value: .number(2)), (filter: "mlp", value: .gradient([0, 1, 4])),
            ])
          ])
      ], ["weight": .number(0.5)])
    let merged = try fixture.merged(recipe)
    for (name, weight) in [
      ("model.layers.0.self_attn.q_proj.weight", Float(2)), ("model.layers.0.mlp.down_proj.weight", 0),
      ("model.layers.1.mlp.down_proj.weight", 1), ("model.layers.2.mlp.down_proj.weight", 4),
      ("model.norm.weight", 0.5),
    ] {
      let base = fixture.base.values[name] ?? []
      let tuned = fixture.base.tuned(seed: 11).values[name] ?? []
      let expected = zip(base, tuned).map { weight == 1 ? $1 : $0 + ($1 - $0) * weight }
      #expect(zip(fixture.values(merged, name), expected).allSatisfy { abs($0 - $1) < 1e-6 }, "\(name)")
    }
  }

  // MARK: - Inputs that do not fit

  private func problems(_ recipe: MergeRecipe) -> [String] {
    let error = #expect(throws: MergeError.self) { try Merge(recipe) }
    guard case .inputsDoNotFit(let problems)? = error else { return [] }
    return problems
  }

  @Test func everyMismatchIsReported() throws {
    let fixture = try MergeFixture()
    // Another vocabulary; a tensor less and one more; another element type; another base.
    try fixture.base.write(to: fixture.directory("vocabulary"), vocabulary: 41)
    let other = fixture.directory("other")
    try FileSystem.createDirectory(other)
    let writer = try ShardedCheckpointWriter(
      directory: other,
      tensors: [
        try TensorDescription(name: "model.norm.weight", dtype: .bfloat16, shape: [12]),
        try TensorDescription(name: "model.embed_tokens.weight", dtype: .float32, shape: [41, 12]),
        try TensorDescription(name: "extra.weight", dtype: .float32, shape: [1]),
      ])
    for (name, count) in [("model.norm.weight", 24), ("model.embed_tokens.weight", 41 * 48), ("extra.weight", 4)] {
      try [UInt8](repeating: 0, count: count).withUnsafeBytes { try writer.append(name, $0) }
    }
    try writer.finish()
    let ticket = try fixture.ticket("ticket", from: 1, offset: 0, stride: 4)
    try SmallModel.random(seed: 99).write(to: fixture.directory("elsewhere"))
    var recipe = try fixture.recipe(
      "ties",
      [.init(ticket, parameters: ["density": .number(0.1)]), .init(other), .init(fixture.directory("vocabulary"))])
    recipe.base = fixture.directory("elsewhere")
    let found = problems(recipe)
    for expected in [
      "is sparse already", "tensor model.layers.0.self_attn.q_proj.weight is missing", "and 2 more like these",
      "model.embed_tokens.weight has shape [41, 12], expected [40, 12]", "model.norm.weight is BF16, expected F32",
      "tensor extra.weight is in none of the others", "its vocabulary has 41 tokens, expected 40",
      "name the result's dtype",
      "was trained on another base",
    ] {
      #expect(found.contains { $0.contains(expected) }, "\(expected): \(found)")
    }
    #expect(throws: MergeError.self) { try fixture.merged(recipe) }
    #expect(try !FileSystem.contents(of: fixture.directory.path).contains { $0.hasPrefix("merged") })
  }

  @Test func otherTokens() throws {
    let fixture = try MergeFixture()
    try FileSystem.writeAtomically(
      "{\"model\": {\"vocab\": {\"a\": 1, \"b\": 0}}}", to: fixture.tuned(1) + "/tokenizer.json")
    #expect(
      problems(try fixture.recipe("ties", [.init(fixture.tuned(1))])).contains { $0.contains("2 tokens other numbers") }
    )
  }

  @Test func recipesThatSayTooMuchOrTooLittle() throws {
    let fixture = try MergeFixture()
    let (one, two) = (MergeRecipe.Input(fixture.tuned(1)), MergeRecipe.Input(fixture.tuned(2)))
    func expect(_ recipe: MergeRecipe, _ text: String) {
      let found = problems(recipe)
      #expect(found.contains { $0.contains(text) }, "\(text): \(found)")
    }
    expect(try fixture.recipe("ties", []), "lists no models")
    expect(try fixture.recipe("ties", [one], base: false), "needs a base_model")
    expect(try fixture.recipe("ties", [one, one]), "listed twice")
    expect(try fixture.recipe("slerp", [one, two], ["t": .number(0.5)]), "2 are listed")
    expect(try fixture.recipe("slerp", [one]), "needs the parameter t")
    expect(try fixture.recipe("linear", [one], ["density": .number(1)]), "has no parameter 'density'")
    expect(
      try fixture.recipe("ties", [.init(one.path, parameters: ["gamma": .number(0)])]), "takes no 'gamma' for a model")
    expect(
      try fixture.recipe("linear", [.init(try fixture.ticket("t", from: 1, offset: 0, stride: 9))], base: false),
      "adapters need a base_model")
    for (name, value) in [
      ("weight", ParameterSetting.text("much")), ("density", .number(2)), ("normalize", .number(1)),
    ] {
      #expect(throws: MergeError.self) { try Merge(try fixture.recipe("ties", [one], [name: value])) }
    }
    #expect(throws: MergeError.self) { try Merge(try fixture.recipe("della", [one], ["density": .number(0.1)])) }
  }

  @Test func notFiniteWeightsAreNamed() throws {
    let fixture = try MergeFixture()
    var broken = fixture.base
    broken.values["model.layers.1.mlp.down_proj.weight"]?[77] = .nan
    try broken.write(to: fixture.directory("broken"))
    let error = #expect(throws: MergeError.self) {
      try fixture.merged(try fixture.recipe("ties", [.init(fixture.directory("broken"))], ["density": .number(0.5)]))
    }
    #expect(
      error
        == .notFinite(
          tensor: "model.layers.1.mlp.down_proj.weight", index: 77, input: fixture.directory("broken")))
  }

  @Test func filesBesideTheWeights() throws {
    let fixture = try MergeFixture()
    var recipe = try fixture.recipe("ties", [.init(fixture.tuned(1))])
    recipe.dtype = .float16
    let out = fixture.directory("out")
    try Merge(recipe).writeModel(to: out)
    #expect(
      try FileSystem.contents(of: out) == ["README.md", "config.json", "model.safetensors", "tokenizer.json"])
    let card = String(decoding: try FileSystem.read(out + "/README.md"), as: UTF8.self)
    #expect(card.contains("merge_method: ties") && card.contains(fixture.tuned(1)) && card.contains("2306.01708"))
    #expect(String(decoding: try FileSystem.read(out + "/config.json"), as: UTF8.self).contains("\"float16\""))
    let before = try FileSystem.read(out + "/model.safetensors")
    #expect(throws: CheckpointError.outputExists(path: out)) { try Merge(recipe).writeModel(to: out) }
    #expect(try FileSystem.read(out + "/model.safetensors") == before)
  }
}
