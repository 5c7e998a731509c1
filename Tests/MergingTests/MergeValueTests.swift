import Checkpoints
import Foundation
import Merging
import TestSupport
import Testing
import Torch

/// Values against the methods written down in Double, weight by weight.
struct MergeValueTests {
  struct Plain {
    var tasks: [[Double]]
    var weights: [Double]
    var elects = false
    var normalizes = false
    var lambda = 1.0

    func merged(_ base: [Double]) -> [Double] {
      base.indices.map { index in
        let changes = zip(tasks, weights).map { $0[index] * $1 }
        let isPositive = changes.reduce(0, +) >= 0
        let counted = changes.indices.filter {
          !elects || (isPositive ? changes[$0] > 0 : changes[$0] < 0)
        }
        let sum = counted.reduce(0) { $0 + changes[$1] }
        var divisor = counted.reduce(0) { $0 + weights[$1] }
        if divisor == 0 { divisor = 1 }
        return base[index] + (normalizes ? sum / divisor : sum) * lambda
      }
    }
  }

  /// Keeps the `count` largest, the first of equal ones.
  static func largest(_ task: [Double], _ count: Int, without outliers: Int = 0) -> [Double] {
    let order = task.indices.sorted { (abs(task[$0]), $1) > (abs(task[$1]), $0) }
    let kept = Set(order[outliers..<(outliers + count)])
    return task.indices.map { kept.contains($0) ? task[$0] : 0 }
  }

  private func tasks(_ fixture: MergeFixture, _ name: String) -> (base: [Double], tasks: [[Double]]) {
    let base: [Float] = fixture.base.values[name] ?? []
    let tasks = (1...3).map { (number: UInt64) -> [Double] in
      let tuned: [Float] = fixture.base.tuned(seed: number + 10).values[name] ?? []
      return zip(tuned, base).map { Double($0.0 - $0.1) }
    }
    return (base.map(Double.init), tasks)
  }

  @Test(arguments: [0.1, 0.5, 1.0], [true, false]) func ties(_ density: Double, _ normalizes: Bool) throws {
    let fixture = try MergeFixture()
    let weights = [1, 0.6, 0.8]
    let inputs = (1...3).map {
      MergeRecipe.Input(
        fixture.tuned($0), parameters: ["weight": .number(weights[$0 - 1]), "density": .number(density)])
    }
    let merged = try fixture.merged(
      try fixture.recipe("ties", inputs, ["normalize": .flag(normalizes), "lambda": .number(0.9)]))
    for (name, _) in SmallModel.shapes {
      let (base, tasks) = tasks(fixture, name)
      let kept = tasks.map { Self.largest($0, density == 1 ? $0.count : max(1, Int(density * Double($0.count)))) }
      let expected = Plain(tasks: kept, weights: weights, elects: true, normalizes: normalizes, lambda: 0.9)
      expectClose(
        fixture.values(merged, name).map(Double.init), expected.merged(base), absolute: 1e-6, relative: 0)
    }
  }

  /// Without the largest, too. Small tensors keep at least one change, where mergekit empties them.
  @Test(arguments: ["breadcrumbs", "breadcrumbs_ties"], [0.02, 0.4]) func breadcrumbs(
    _ method: String, _ density: Double
  ) throws {
    let fixture = try MergeFixture()
    let inputs = (1...3).map { MergeRecipe.Input(fixture.tuned($0)) }
    let merged = try fixture.merged(
      try fixture.recipe(
        method, inputs, ["weight": .number(0.7), "density": .number(density), "gamma": .number(0.1)]))
    for (name, _) in SmallModel.shapes {
      let (base, tasks) = tasks(fixture, name)
      let kept = tasks.map { task in
        Self.largest(task, max(1, Int(density * Double(task.count))), without: Int(0.1 * Double(task.count)))
      }
      let expected = Plain(tasks: kept, weights: [0.7, 0.7, 0.7], elects: method == "breadcrumbs_ties").merged(base)
      expectClose(fixture.values(merged, name).map(Double.init), expected, absolute: 1e-6, relative: 0)
      #expect(expected != base)
    }
  }

  @Test func slerpKeepsLength() throws {
    let fixture = try MergeFixture()
    var far = SmallModel.random(seed: 5)
    far.values["model.norm.weight"] = fixture.base.values["model.norm.weight"]
    try far.write(to: fixture.directory("far"))
    let merged = try fixture.merged(
      try fixture.recipe("slerp", [.init(fixture.directory("far"))], ["t": .number(0.3)]))
    for (name, _) in SmallModel.shapes {
      let first = (fixture.base.values[name] ?? []).map(Double.init)
      let second = (far.values[name] ?? []).map(Double.init)
      func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
      let cosine = product(first, second) / (product(first, first) * product(second, second)).squareRoot()
      let angle = acos(min(1, cosine))
      let (a, b) = cosine > 0.9995 ? (0.7, 0.3) : (sin(0.7 * angle) / sin(angle), sin(0.3 * angle) / sin(angle))
      expectClose(
        fixture.values(merged, name).map(Double.init), zip(first, second).map { a * $0 + b * $1 }, absolute: 1e-6,
        relative: 0)
    }
  }

  /// Tensors of several chunks, many equal magnitudes, every count: exactly the first of the largest stay.
  @Test func trimmingAcrossChunks() throws {
    let directory = try TemporaryDirectory()
    let count = 200_003
    func write(_ path: String, _ value: (Int) -> Float) throws {
      try FileSystem.createDirectory(path)
      let writer = try ShardedCheckpointWriter(
        directory: path, tensors: [try TensorDescription(name: "w", dtype: .float32, shape: [count])])
      try (0..<count).map(value).withUnsafeBytes { try writer.append("w", $0) }
      try writer.finish()
    }
    func change(_ index: Int) -> Float {
      let size = Float(index * 7919 % 13)
      return index % 2 == 0 ? size : -size
    }
    try write(directory("base")) { _ in 0 }
    try write(directory("tuned"), change)
    let task = (0..<count).map { Double(change($0)) }
    for density in [0.01, 0.077, 0.3, 0.5, 0.999] {
      let out = directory("out\(density)")
      let recipe = MergeRecipe(
        method: try #require(MergeMethod(name: "ties")), base: directory("base"),
        inputs: [.init(directory("tuned"), parameters: ["density": .number(density)])])
      try Merge(recipe, workerCount: 3).writeModel(to: out)
      let merged = try Checkpoint(directory: out).floats(of: "w").map(Double.init)
      #expect(merged == Self.largest(task, Int(density * Double(count))), "\(density)")
    }
  }
}
