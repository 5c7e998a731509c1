import Foundation
import Testing
import Tickets

/// `mask random`, `inspect`, `overlap`, `complement` and `union`.
struct MaskCommandTests {
  private func mask(_ name: String, _ workspace: Workspace) throws -> Mask {
    try Mask(path: workspace.directory.file(name))
  }

  private func random(_ name: String, _ workspace: Workspace, sparsity: Double = 0.9, seed: Int = 1) throws {
    try Lota.succeed(
      "mask", "random", "--model", "model", "--sparsity", "\(sparsity)", "--seed", "\(seed)", "--out", name,
      in: workspace.directory)
  }

  @Test("a random mask keeps exactly its share and depends on the seed alone", arguments: [0, 0.3, 0.9, 0.999])
  func random(sparsity: Double) throws {
    let workspace = try Workspace()
    try random("a.mask", workspace, sparsity: sparsity)
    try random("b.mask", workspace, sparsity: sparsity)
    let scoped = try workspace.model.scopedCount()
    let drawn = try mask("a.mask", workspace)
    #expect(drawn.scopedCount == scoped)
    #expect(drawn.keptCount == Int(((1 - sparsity) * Double(scoped)).rounded()))
    #expect(try workspace.directory.contents("a.mask") == workspace.directory.contents("b.mask"))
    guard sparsity > 0 else { return }
    try random("c.mask", workspace, sparsity: sparsity, seed: 2)
    #expect(try drawn != mask("c.mask", workspace))
  }

  @Test("complement and union add up, overlap counts")
  func algebra() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try random("a.mask", workspace, sparsity: 0.6)
    try random("b.mask", workspace, sparsity: 0.5, seed: 2)
    try Lota.succeed("mask", "complement", "a.mask", "--out", "rest.mask", in: directory)
    try Lota.succeed("mask", "union", "a.mask", "rest.mask", "--out", "all.mask", in: directory)
    try Lota.succeed("mask", "union", "a.mask", "b.mask", "--out", "both.mask", in: directory)
    let (a, b) = (try mask("a.mask", workspace), try mask("b.mask", workspace))
    #expect(try mask("rest.mask", workspace).keptCount == a.scopedCount - a.keptCount)
    #expect(try mask("all.mask", workspace).keptCount == a.scopedCount)

    func overlap(_ first: String, _ second: String) throws -> [String: Any] {
      try Lota.succeed("mask", "overlap", first, second, "--json", in: directory).json()
    }
    #expect(try overlap("a.mask", "a.mask")["jaccard"] as? Double == 1)
    #expect(try overlap("a.mask", "rest.mask")["both"] as? Int == 0)
    let figures = try overlap("a.mask", "b.mask")
    let both = try #require(figures["both"] as? Int)
    #expect(figures["first"] as? Int == a.keptCount && figures["second"] as? Int == b.keptCount)
    #expect(try mask("both.mask", workspace).keptCount == a.keptCount + b.keptCount - both)
    #expect(try Lota.succeed("mask", "overlap", "a.mask", "b.mask", in: directory).output.contains("Jaccard"))
  }

  @Test("inspect gives the density by layer and projection")
  func inspect() throws {
    let workspace = try Workspace()
    try random("a.mask", workspace, sparsity: 0.5)
    let figures = try Lota.succeed("mask", "inspect", "a.mask", "--json", in: workspace.directory).json()
    let layers = try #require(figures["layers"] as? [[String: Any]])
    #expect(layers.map { $0["layer"] as? Int } == [0, 1])
    for layer in layers {
      let density = try #require(layer["density"] as? [String: Double])
      #expect(density.count == 7 && density.values.allSatisfy { (0.3...0.7).contains($0) })
    }
    let text = try Lota.succeed("mask", "inspect", "a.mask", in: workspace.directory)
    #expect(text.outputLines.count == 5)
  }

  @Test("extraction leaves out excluded weights and can fill up")
  func extract() throws {
    let workspace = try Workspace()
    let directory = workspace.directory
    try TinyModel(seed: 2).write(to: directory.file("tuned"))
    try random("a.mask", workspace, sparsity: 0.5)
    try Lota.succeed(
      "mask", "extract", "--base", "model", "--tuned", "tuned", "--sparsity", "0.8", "--exclude", "a.mask", "--out",
      "b.mask", in: directory)
    let figures = try Lota.succeed("mask", "overlap", "a.mask", "b.mask", "--json", in: directory).json()
    #expect(figures["both"] as? Int == 0)
    try Lota.succeed(
      "mask", "extract", "--base", "model", "--tuned", "model", "--fill", "--out", "filled.mask", in: directory)
    #expect(
      try mask("filled.mask", workspace).keptCount == Int((0.1 * Double(workspace.model.scopedCount())).rounded()))
  }
}
