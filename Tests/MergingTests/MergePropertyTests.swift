import Checkpoints
import Foundation
import Merging
import TestSupport
import Testing
import Tickets
import Torch

/// What holds of merges whatever the weights are.
struct MergePropertyTests {
  static let additive = [
    "linear", "task_arithmetic", "ties", "dare_linear", "dare_ties", "breadcrumbs", "breadcrumbs_ties", "della",
    "della_linear",
  ]
  static let sparse = additive.filter { $0 != "linear" }

  /// Parameters under which a method thins out.
  static func parameters(_ method: String, density: Double) -> [String: ParameterSetting] {
    switch method {
    case "linear", "task_arithmetic", "slerp", "negation": [:]
    case "breadcrumbs", "breadcrumbs_ties": ["density": .number(density), "gamma": .number(0.1)]
    case "della", "della_linear": ["density": .number(density), "epsilon": .number(0.1)]
    default: ["density": .number(density)]
    }
  }

  @Test(arguments: additive, [DType.float32, .bfloat16, .float16])
  func oneModelOfWeightOneIsThatModel(_ method: String, _ dtype: DType) throws {
    let fixture = try MergeFixture(dtype: dtype)
    let merged = try fixture.merged(try fixture.recipe(method, [.init(fixture.tuned(1))]))
    #expect(try merged == Checkpoint(directory: fixture.tuned(1)).allBytes())
  }

  @Test(arguments: [0.0, 1.0]) func theEndsOfTheArcAreTheModels(_ arc: Double) throws {
    let fixture = try MergeFixture()
    let merged = try fixture.merged(try fixture.recipe("slerp", [.init(fixture.tuned(1))], ["t": .number(arc)]))
    #expect(try merged == Checkpoint(directory: arc == 0 ? fixture.basePath : fixture.tuned(1)).allBytes())
  }

  @Test(arguments: sparse) func weightsOfZeroGiveTheBase(_ method: String) throws {
    let fixture = try MergeFixture()
    let merged = try fixture.merged(
      try fixture.recipe(method, [.init(fixture.tuned(1)), .init(fixture.tuned(2))], ["weight": .number(0)]))
    #expect(try merged == Checkpoint(directory: fixture.basePath).allBytes())
  }

  @Test(arguments: additive) func orderAndThreadsDoNotMatter(_ method: String) throws {
    let fixture = try MergeFixture()
    let inputs = (1...3).map {
      MergeRecipe.Input(fixture.tuned($0), parameters: ["weight": .number(Double($0) * 0.37)])
    }
    let parameters = Self.parameters(method, density: 0.3)
    let first = try fixture.merged(try fixture.recipe(method, inputs, parameters), workers: 1)
    for order in [[2, 0, 1], [1, 2, 0], [2, 1, 0]] {
      let again = try fixture.merged(
        try fixture.recipe(method, order.map { inputs[$0] }, parameters), workers: order[0] + 1)
      #expect(again == first)
    }
  }

  @Test func negationTakesTheTaskAway() throws {
    let fixture = try MergeFixture()
    let taken = try fixture.merged(try fixture.recipe("negation", [.init(fixture.tuned(1))], ["weight": .number(0.5)]))
    let added = try fixture.merged(
      try fixture.recipe("task_arithmetic", [.init(fixture.tuned(1))], ["weight": .number(-0.5)]))
    #expect(taken == added)
  }

  /// Of tickets that share no weight each keeps its own, bit for bit.
  @Test(
    arguments: ["task_arithmetic", "ties", "dare_ties", "breadcrumbs", "della"], [DType.float32, .bfloat16, .float16])
  func disjointTicketsAddExactly(_ method: String, _ dtype: DType) throws {
    let fixture = try MergeFixture(dtype: dtype)
    let paths = try (0..<3).map { try fixture.ticket("t\($0)", from: $0 + 1, offset: $0, stride: 5) }
    let merged = try fixture.merged(try fixture.recipe(method, paths.map { .init($0) }))
    let applied = fixture.directory("applied")
    try Adapter.apply(
      try paths.map { try Adapter(directory: $0) }, to: try Checkpoint(directory: fixture.basePath), output: applied)
    #expect(try merged == Checkpoint(directory: applied).allBytes())
  }

  @Test(arguments: ["linear"] + sparse + ["negation"], [DType.float32, .bfloat16, .float16])
  func sparsePathEqualsDensePath(_ method: String, _ dtype: DType) throws {
    let fixture = try MergeFixture(dtype: dtype)
    // They share weights, and agree and disagree about them.
    let inputs = try [(1, 0, 2), (2, 0, 3), (3, 1, 4)].enumerated().map { number, ticket in
      MergeRecipe.Input(
        try fixture.ticket("t\(number)", from: ticket.0, offset: ticket.1, stride: ticket.2),
        parameters: ["weight": .number([1, 0.7, 0.45][number])])
    }
    let recipe = try fixture.recipe(method, inputs, Self.parameters(method, density: 0.2))
    let merge = try Merge(recipe)
    #expect(merge.obstacleToSparse == nil)
    let adapter = try merge.writeAdapter(to: fixture.directory("adapter"))
    try adapter.verify(base: try Checkpoint(directory: fixture.basePath))
    try Adapter.apply(
      [adapter], to: try Checkpoint(directory: fixture.basePath), output: fixture.directory("applied"))
    #expect(try fixture.merged(recipe) == Checkpoint(directory: fixture.directory("applied")).allBytes())

    let overlap = try merge.ticketOverlap()
    #expect(overlap.layers.count == 3 && overlap.total.shared > 0 && overlap.total.conflicts > 0)
    #expect(overlap.total.conflicts < overlap.total.shared && overlap.total.shared < overlap.total.changed)
  }

  /// A ticket, its model as a dense fine-tune, and both ways to read them.
  @Test(arguments: ["task_arithmetic", "ties"]) func ticketsAndModelsMix(_ method: String) throws {
    let fixture = try MergeFixture()
    let ticket = try fixture.ticket("t", from: 1, offset: 1, stride: 3)
    let dense = fixture.directory("dense")
    try Adapter.apply(
      [try Adapter(directory: ticket)], to: try Checkpoint(directory: fixture.basePath), output: dense)
    let other = MergeRecipe.Input(fixture.tuned(2), parameters: ["weight": .number(0.6)])
    let mixed = try fixture.merged(try fixture.recipe(method, [.init(ticket), other]))
    #expect(try mixed == fixture.merged(try fixture.recipe(method, [.init(dense), other])))
  }

  @Test(arguments: ["dare_linear", "della_linear"]) func seedsNameTheMasks(_ method: String) throws {
    let fixture = try MergeFixture()
    let parameters = Self.parameters(method, density: 0.3)
    let recipe = { try fixture.recipe(method, [.init(fixture.tuned(1))], parameters, seed: $0) }
    let first = try fixture.merged(try recipe(1))
    #expect(try fixture.merged(try recipe(1)) == first)
    #expect(try fixture.merged(try recipe(2)) != first)
  }

  /// The mean over seeds is the whole task vector, where entries are divided by the probability with which they stay; and the share that
  /// stays is the density.
  @Test(arguments: ["dare_linear", "della_linear"]) func expectedValueIsTheTaskVector(_ method: String) throws {
    let fixture = try MergeFixture()
    var parameters = Self.parameters(method, density: 0.4)
    parameters["rescale"] = .text("probability")
    let name = "model.embed_tokens.weight"
    let base = fixture.base.values[name] ?? []
    let task = zip(fixture.base.tuned(seed: 11).values[name] ?? [], base).map { Double($0) - Double($1) }
    var (sum, kept) = ([Double](repeating: 0, count: base.count), 0)
    let seeds = 60
    for seed in 0..<seeds {
      let merged = try fixture.merged(
        try fixture.recipe(method, [.init(fixture.tuned(1))], parameters, seed: UInt64(seed)))
      for (index, value) in fixture.values(merged, name).enumerated() {
        sum[index] += Double(value) - Double(base[index])
        if value != base[index] { kept += 1 }
      }
    }
    let mean = sum.map { $0 / Double(seeds) }
    let slope = zip(mean, task).reduce(0) { $0 + $1.0 * $1.1 } / task.reduce(0) { $0 + $1 * $1 }
    #expect(abs(slope - 1) < 0.06, "\(slope)")
    #expect(abs(Double(kept) / Double(seeds * base.count) - 0.4) < 0.02)
  }

  @Test func bfloat16OutOfFloat32IsRoundedOnce() throws {
    let fixture = try MergeFixture()
    var recipe = try fixture.recipe("task_arithmetic", [.init(fixture.tuned(1)), .init(fixture.tuned(2))])
    let wide = try fixture.merged(recipe)
    recipe.dtype = .bfloat16
    let narrow = try fixture.merged(recipe)
    for (name, _) in SmallModel.shapes {
      #expect(narrow[name] == Adapter.storedValues(fixture.values(wide, name), as: .bfloat16))
    }
  }
}
