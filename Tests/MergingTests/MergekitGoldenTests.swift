import Checkpoints
import Foundation
import Merging
import TestSupport
import Testing

/// Merges that mergekit 0.1.5 made in float32, by the same recipes; Scripts/goldens/merging.py documents the files.
struct MergekitGoldenTests {
  static let cases = [
    "linear", "linear-sum", "task-arithmetic", "task-arithmetic-gradient", "ties-0.1", "ties-0.1-sum", "ties-0.5",
    "ties-0.5-sum", "ties-1.0", "ties-1.0-sum", "slerp",
  ]

  private static func golden(_ name: String) throws -> String {
    let folder = try #require(Bundle.module.url(forResource: "Goldens", withExtension: nil))
    return folder.appendingPathComponent(name).path
  }

  /// A golden recipe, its paths made those of the goldens.
  private func recipe(_ name: String) throws -> MergeRecipe {
    var recipe = try MergeRecipe(path: Self.golden(name + ".yaml"))
    recipe.base = try recipe.base.map(Self.golden)
    for index in recipe.inputs.indices { recipe.inputs[index].path = try Self.golden(recipe.inputs[index].path) }
    return recipe
  }

  private func merged(_ recipe: MergeRecipe) throws -> [String: [Float]] {
    let directory = try TemporaryDirectory()
    try Merge(recipe).writeModel(to: directory("out"))
    return try Self.values(Checkpoint(directory: directory("out")))
  }

  private static func values(_ checkpoint: Checkpoint) throws -> [String: [Float]] {
    try Dictionary(uniqueKeysWithValues: checkpoint.tensors.map { ($0.name, try checkpoint.floats(of: $0.name)) })
  }

  private func expected(_ name: String) throws -> [String: [Float]] {
    let all = try Checkpoint(directory: Self.golden("merged.safetensors"))
    return try Dictionary(
      uniqueKeysWithValues: all.tensors.filter { $0.name.hasPrefix(name + "/") }.map {
        (String($0.name.dropFirst(name.count + 1)), try all.floats(of: $0.name))
      })
  }

  @Test("every weight within 1e-6", arguments: cases)
  func equalsMergekit(_ name: String) throws {
    let (merged, expected) = (try merged(recipe(name)), try expected(name))
    let base = try Self.values(Checkpoint(directory: Self.golden("base")))
    #expect(Set(merged.keys) == Set(expected.keys) && Set(merged.keys) == Set(base.keys))
    for (tensor, values) in expected {
      expectClose(merged[tensor] ?? [], values, absolute: 1e-6, relative: 0)
    }
    #expect(expected != base)
  }

  /// Of the difference on purpose: where density times size is below 1, mergekit empties the task vector and here one entry stays.
  @Test func breadcrumbsOfSmallTensors() throws {
    let (merged, expected) = (try merged(recipe("breadcrumbs")), try expected("breadcrumbs"))
    let base = try Self.values(Checkpoint(directory: Self.golden("base")))
    var small = 0
    for (tensor, values) in expected {
      let mine = merged[tensor] ?? []
      guard 0.05 * Double(values.count) < 1 else {
        expectClose(mine, values, absolute: 1e-6, relative: 0)
        continue
      }
      small += 1
      #expect(values == base[tensor])
      let changed = zip(mine, values).count { $0 != $1 }
      // Of two models one entry each.
      #expect((1...2).contains(changed), "\(tensor): \(changed)")
    }
    #expect(small == 5)
  }

  /// How often an entry stays, by its rank in its row, and what becomes of it on average: our draws beside mergekit's.
  @Test(arguments: ["dare_linear", "della_linear"]) func drawsAgreeInExpectation(_ method: String) throws {
    let tensor = "model.layers.1.mlp.down_proj.weight"
    let statistics = try Checkpoint(directory: Self.golden("statistics.safetensors"))
    let (theirKept, theirMean) = (
      try statistics.floats(of: method + ".kept"), try statistics.floats(of: method + ".mean")
    )
    let base = try Checkpoint(directory: Self.golden("base")).floats(of: tensor)
    let tuned = try Checkpoint(directory: Self.golden("model1")).floats(of: tensor)
    var recipe = MergeRecipe(
      method: try #require(MergeMethod(name: method)), base: try Self.golden("base"),
      inputs: [.init(try Self.golden("model1"))], parameters: ["density": .number(0.4)])
    if method == "della_linear" { recipe.parameters["epsilon"] = .number(0.2) }
    let seeds = 150
    var (kept, mean) = ([Double](repeating: 0, count: base.count), [Double](repeating: 0, count: base.count))
    for seed in 0..<seeds {
      recipe.seed = UInt64(seed)
      for (index, value) in (try merged(recipe)[tensor] ?? []).enumerated() where value != base[index] {
        kept[index] += 1 / Double(seeds)
        mean[index] += Double(value - base[index]) / Double(seeds)
      }
    }
    // 12 rows of 16: 1800 draws a rank here, a deviation of 0.012.
    let sizes = zip(tuned, base).map { abs($0 - $1) }
    let ranks = (0..<12).map { row in (0..<16).map { 16 * row + $0 }.sorted { sizes[$0] < sizes[$1] } }
    for rank in 0..<16 {
      var (mine, theirs) = (0.0, 0.0)
      for row in ranks {
        mine += kept[row[rank]] / 12
        theirs += Double(theirKept[row[rank]]) / 12
      }
      expectClose(mine, theirs, absolute: 0.06, relative: 0)
    }
    var (product, square) = (0.0, 0.0)
    for (mine, theirs) in zip(mean, theirMean) {
      product += mine * Double(theirs)
      square += Double(theirs) * Double(theirs)
    }
    let slope = product / square
    #expect(abs(slope - 1) < 0.08, "\(slope)")
  }

  @Test("the files are those that the script wrote")
  func checksums() throws {
    let sums = try JSONDecoder().decode(
      [String: String].self, from: FileSystem.read(Self.golden("checksums.json")))
    #expect(sums.count == 22)
    for (name, sum) in sums {
      #expect(
        try FileSystem.read(Self.golden(name)).withUnsafeBytes { ModelFingerprint.digest(of: $0) } == sum, "\(name)")
    }
  }
}
