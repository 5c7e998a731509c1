import TestSupport
import Testing
import Tickets

/// Patterns of PEFT's configurations, with the results of Python's `re.match(rf"(.*\.)?({pattern})$", name)`.
struct ModulePatternTests {
  private static let name = "model.layers.10.self_attn.q_proj"

  @Test(
    arguments: [
      ("q_proj", true), ("proj", false), ("self_attn.q_proj", true), ("attn.q_proj", false),
      ("layers.1.self_attn.q_proj", false),
      ("layers.10.self_attn.q_proj", true), ("model.layers.10.self_attn.q_proj", true), ("^q_proj", false),
      ("^model.layers.10.self_attn.q_proj", true), (#"layers\.\d+\.self_attn\.(q|k|v)_proj"#, true),
      (#"layers\.[0-9]\.self_attn\.q_proj"#, false), (#"layers\.1?0\..*"#, true), ("q_proj|k_proj", true),
      ("k_proj|v_proj", false),
      (".*proj$", true), (".*", true), ("", false), ("[a-z]_proj", true), ("[^q]_proj", false), (#"\w_proj"#, true),
      (#"layers\.(?:[02468]|10)\.self_attn\.[qv]_proj"#, true), ("q_pro{1}j", true), ("q_pro{2,}j", false),
      ("q{,2}_proj", true),
      ("q_proj{", false), (#"[\d]+\.self_attn\.q_proj"#, true), ("Q_PROJ", false), (#"q_proj\Z?"#, nil),
      ("(?i)Q_PROJ", nil),
      (#"(q)_proj\1"#, nil), (#"\bq_proj"#, nil), ("(?<=x)q_proj", nil), ("(q_proj", nil), ("q_proj)", nil),
      ("[q_proj", nil),
      ("*q_proj", nil), ("q**", nil), ("q{3,2}", nil), (#"q_proj\"#, nil), ("(?P<x>q_proj)", nil),
      (".{1000}{1000}", nil),
      ("(?:x{999}){999}", nil), (String(repeating: "(", count: 400) + String(repeating: ")", count: 400), nil),
      ("(((){1000}){1000}){1000}", nil),
    ] as [(String, Bool?)])
  func pythonsResults(_ pattern: String, _ matches: Bool?) throws {
    guard let matches else {
      #expect(throws: ModulePattern.Malformed.self) { try ModulePattern(pattern) }
      return
    }
    #expect(try ModulePattern(pattern).matches(Self.name) == matches)
  }

  /// Backtracking would try exponentially many ways.
  @Test(arguments: [
    "(a*)*b", "(.*)*x", #"(?:.*\.)*(?:.*\.)*x_proj"#, #"(([a-z]+_?)+)+\d"#, "(a|a)+b", "(.+)+(.+)+(.+)+z",
  ])
  func timeIsLinear(_ pattern: String) throws {
    let name = String(repeating: "a", count: 5000) + "." + String(repeating: "ab_", count: 2000)
    let compiled = try ModulePattern(pattern)
    #expect(!expectEnds(within: 5, pattern) { compiled.matches(name) })
  }
}
