import Checkpoints
import Foundation
import Testing
import Tickets

/// Masks of PyTorch's stable sort over small checkpoints; see Goldens/README.md.
struct GoldenSelectionTests {
  private func golden(_ dtype: String, _ name: String) throws -> String {
    let folder = try #require(Bundle.module.url(forResource: "Goldens", withExtension: nil))
    return folder.appendingPathComponent(dtype).appendingPathComponent(name).path
  }

  @Test(arguments: ["float32", "bfloat16", "float16"], [0.0, 0.1, 0.5, 0.9, 0.99])
  func masksEqualPyTorch(dtype: String, sparsity: Double) throws {
    let base = try Checkpoint(directory: golden(dtype, "base.safetensors"))
    let tuned = try Checkpoint(directory: golden(dtype, "tuned.safetensors"))
    let names = TicketScope.scopedNames(of: base.tensors.map(\.name))
    #expect(names.count == 15)
    let expected = try Mask(path: golden(dtype, "mask-\(sparsity).safetensors"))
    for limit in [0, 1 << 20] {
      let mask = try TicketSelection.select(
        base: base, tuned: tuned, names: names, amount: .sparsity(sparsity), unchanged: .fillInOrder,
        tuning: .init(candidateLimit: limit))
      #expect(mask.entries == expected.entries)
    }
  }
}
