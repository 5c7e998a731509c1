import Checkpoints
import Foundation
import TestSupport
import Testing
import Tickets

/// An adapter that another implementation of the format wrote; see Goldens/README.md.
struct GoldenAdapterTests {
  private func golden(_ name: String) throws -> String {
    let folder = try #require(Bundle.module.url(forResource: "Goldens", withExtension: nil))
    return folder.appendingPathComponent("adapter").appendingPathComponent(name).path
  }

  @Test func anotherWritersAdapterAppliesAndComesOffExactly() throws {
    let directory = try TemporaryDirectory()
    let base = try Checkpoint(directory: golden("base.safetensors"))
    let tuned = try Checkpoint(directory: golden("tuned.safetensors"))
    let adapter = try Adapter(directory: golden("adapter"))
    #expect(adapter.tensorNames.count == 5)
    try adapter.checkTrainedWeights(base: base)
    try adapter.verify(appliedIn: tuned)
    try adapter.apply(to: base, output: directory("applied"))
    #expect(try Checkpoint(directory: directory("applied")).allBytes() == tuned.allBytes())
    try Adapter.remove([adapter], from: tuned, output: directory("removed"))
    #expect(try Checkpoint(directory: directory("removed")).allBytes() == base.allBytes())
  }

  @Test func ourWritersAdapterHoldsTheSame() throws {
    let directory = try TemporaryDirectory()
    let theirs = try Adapter(directory: golden("adapter"))
    let ours = try Adapter.write(
      to: directory("ours"), base: Checkpoint(directory: golden("base.safetensors")),
      tuned: Checkpoint(directory: golden("tuned.safetensors")), mask: theirs.mask(),
      provenance: .init(method: "lota"))
    #expect(ours.tensorNames == theirs.tensorNames)
    for name in ours.tensorNames { #expect(try ours.entries(of: name) == theirs.entries(of: name)) }
    #expect(ours.byteCount <= theirs.byteCount + 4096)
  }
}
