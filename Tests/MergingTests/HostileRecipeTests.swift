import Merging
import TestSupport
import Testing

struct HostileRecipeTests {
  /// Conditions of conditions, each named twice: written out they are 2^40.
  @Test func aliasesOfConditionsAreCounted() throws {
    var text =
      "merge_method: ties\nbase_model: base\nmodels: [{model: one}]\nparameters:\n  p0: &p0 [{value: 1}, {value: 2}]\n"
    for level in 1..<40 {
      text += "  p\(level): &p\(level) [{value: *p\(level - 1)}, {value: *p\(level - 1)}]\n"
    }
    let error = try expectEnds {
      try #require(throws: MergeError.self) { try MergeRecipe(yaml: text, path: "merge.yaml") }
    }
    #expect("\(error)".contains("its aliases stand for more than 10000 values"))
  }
}
