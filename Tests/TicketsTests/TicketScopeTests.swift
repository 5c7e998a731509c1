import Testing
import Tickets

struct TicketScopeTests {
  @Test(arguments: [
    ("model.layers.0.self_attn.q_proj.weight", 0, TicketScope.Projection.query),
    ("model.layers.12.self_attn.k_proj.weight", 12, .key),
    ("model.layers.3.self_attn.v_proj.weight", 3, .value),
    ("model.layers.3.self_attn.o_proj.weight", 3, .output),
    ("model.layers.100.mlp.gate_proj.weight", 100, .gate),
    ("model.layers.7.mlp.up_proj.weight", 7, .up),
    ("model.layers.7.mlp.down_proj.weight", 7, .down),
  ])
  func parsesProjectionNames(name: String, layer: Int, projection: TicketScope.Projection) {
    let weight = TicketScope.Weight(name: name)
    #expect(weight == TicketScope.Weight(layer: layer, projection: projection))
    #expect(weight?.name == name)
  }

  @Test(arguments: [
    "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight", "model.layers.0.input_layernorm.weight",
    "model.layers.0.self_attn.q_proj.bias", "model.layers.x.self_attn.q_proj.weight",
    "model.layers.01.self_attn.q_proj.weight", "model.layers.-1.self_attn.q_proj.weight",
    "model.layers.+1.self_attn.q_proj.weight", "model.layers..self_attn.q_proj.weight", "model.layers.weight",
    "model.layers.0.mlp.q_proj.weight", "layers.0.self_attn.q_proj.weight", "",
    "model.layers.99999999999999999999.mlp.up_proj.weight",
  ])
  func leavesOtherNamesOut(name: String) { #expect(TicketScope.Weight(name: name) == nil) }

  @Test func ordersByLayerNumberThenProjection() {
    let names = [
      "model.norm.weight", "model.layers.10.self_attn.q_proj.weight", "model.layers.2.mlp.down_proj.weight",
      "model.layers.2.mlp.gate_proj.weight", "lm_head.weight", "model.layers.2.self_attn.o_proj.weight",
      "model.layers.2.self_attn.k_proj.weight", "model.layers.2.mlp.up_proj.weight",
      "model.layers.2.self_attn.v_proj.weight", "model.layers.2.self_attn.q_proj.weight",
    ]
    let scoped =
      ["q", "k", "v", "o"].map { "model.layers.2.self_attn.\($0)_proj.weight" }
      + ["gate", "up", "down"].map { "model.layers.2.mlp.\($0)_proj.weight" }
      + ["model.layers.10.self_attn.q_proj.weight"]
    #expect(TicketScope.scopedNames(of: names) == scoped)
    #expect(TicketScope.canonicalOrder(names.reversed()) == scoped + ["lm_head.weight", "model.norm.weight"])
  }
}
