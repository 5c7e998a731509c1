import Testing
import Tickets

/// Shares of each tensor, and scopes beyond the projections.
struct QuotaTests {
  private let names = projectionNames(2)
  private let base: MemoryWeights
  private let tuned: MemoryWeights

  init() {
    base = MemoryWeights(tensors: [names[0]: [0, 0, 0, 0], names[1]: [0, 0, 0, 0, 0, 0]])
    tuned = MemoryWeights(tensors: [names[0]: [9, 8, 7, -6], names[1]: [1, -5, 2, 3, 0, 4]])
  }

  private func select(
    _ sparsity: Double, _ quota: TicketSelection.Quota, excluding: Mask? = nil
  ) throws -> Mask {
    try TicketSelection.select(
      base: base, tuned: tuned, names: names, amount: .sparsity(sparsity), quota: quota, excluding: excluding,
      baseFingerprint: "f")
  }

  @Test func eachTensorKeepsItsShare() throws {
    // Half of ten: all four of the first tensor and -5; by tensor: two of four, three of six.
    #expect(try select(0.5, .global).flatIndices == [0, 1, 2, 3, 5])
    let mask = try select(0.5, .perTensor)
    #expect(mask.entries.map(\.bits.setIndices) == [[0, 1], [1, 3, 5]])
    #expect(mask.sparsity == 0.5 && mask.baseFingerprint == "f")
    // 0.25 * 4 = 1, 0.25 * 6 = 1.5, half to even: 2; together 3, where 0.25 * 10 = 2.5 gives 2.
    #expect(try select(0.75, .perTensor).entries.map(\.bits.setIndices) == [[0], [1, 5]])
    #expect(try select(0.75, .global).keptCount == 2)
    let shapes = [names[0]: [4], names[1]: [6]]
    #expect(try TicketSelection.count(.sparsity(0.75), shapes: shapes, quota: .perTensor) == 3)
    #expect(try TicketSelection.count(.sparsity(0.75), shapes: shapes) == 2)
  }

  @Test func lackIsSaidByTensor() throws {
    let lack = TicketsError.inTensor(
      names[1], .fewerChangedThanRequested(changed: 5, requested: 6, total: 6))
    #expect(throws: lack) { try select(0, .perTensor) }
    #expect(lack.description.hasPrefix("tensor \(names[1]), by its own quota: only 5 of 6 weights changed"))
    let taken = try Mask(entries: [.init(name: names[0], shape: [4], bits: BitMask([true, true, true, false]))])
    let full = TicketsError.inTensor(
      names[0], .capacityTooSmall(requested: 2, available: 1, excluded: 3, total: 4))
    #expect(throws: full) { try select(0.5, .perTensor, excluding: taken) }
    #expect(throws: full) {
      try TicketSelection.count(
        .sparsity(0.5), shapes: [names[0]: [4], names[1]: [6]], quota: .perTensor, excluding: taken)
    }
    #expect(try select(0.75, .perTensor, excluding: taken).entries.map(\.bits.setIndices) == [[3], [1, 5]])
    #expect(throws: TicketsError.countNeedsGlobalQuota) {
      try TicketSelection.select(base: base, tuned: tuned, names: names, amount: .count(2), quota: .perTensor)
    }
    #expect(throws: TicketsError.duplicateTensor(names[0])) {
      try TicketSelection.select(
        base: base, tuned: tuned, names: [names[0], names[0]], amount: .sparsity(0.5), quota: .perTensor)
    }
  }

  @Test func randomTicketsToo() throws {
    let shapes = [names[0]: [40, 10], names[1]: [7, 9]]
    let taken = try Mask(entries: [.init(name: names[0], shape: [40, 10], bits: BitMask((0..<400).map { $0 < 300 }))])
    let mask = try TicketSelection.random(
      shapes: shapes, amount: .sparsity(0.9), quota: .perTensor, seed: 4, excluding: taken)
    // 40 of 400, 6.3 of 63.
    #expect(mask.entries.map(\.bits.populationCount) == [40, 6] && mask.sharedCount(with: taken) == 0)
    let again = try TicketSelection.random(
      shapes: shapes, amount: .sparsity(0.9), quota: .perTensor, seed: 4, excluding: taken)
    #expect(mask == again)
  }

  @Test func scopes() throws {
    let model = [
      "lm_head.weight", "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight",
      "model.layers.0.mlp.gate_proj.weight", "model.layers.0.post_attention_layernorm.weight",
      "model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.q_proj.weight", "model.norm.weight",
    ]
    #expect(try ScopeParts.projections.names(in: model) == [model[6], model[3]])
    let all = try #require(ScopeParts("norms, head,embeddings,projections"))
    #expect(all.text == "projections,embeddings,head,norms")
    #expect(
      try all.names(in: model) == [model[6], model[3], model[0], model[1], model[2], model[4], model[7]])
    for text in ["", "biases", "norms,", "Norms", "norms projections"] { #expect(ScopeParts(text) == nil, "\(text)") }
    #expect(throws: TicketsError.noScopedWeights(found: 1)) { try ScopeParts.projections.names(in: [model[0]]) }
    #expect(throws: TicketsError.scopePartMissing(.norms)) {
      try all.names(in: Array(model[...3].filter { $0 != model[2] }))
    }
  }
}
