import Foundation
import Primitives
import Testing

@Suite struct JSONParserTests {
  func parse(_ text: String) throws -> JSONValue {
    try Array(text.utf8).withUnsafeBytes { bytes in try JSONParser.parse(bytes) }
  }

  @Test func keepsIntegersFractionsAndBooleansApart() throws {
    let value = try parse(
      #" { "i" : -12, "f": 1.0, "e":1e3, "big":123456789012345678901, "t":true, "n":null, "l":[[],{}, "x"] } "#)
    #expect(value["i"] == .integer(-12))
    #expect(value["f"] == .number(1) && value["f"]?.integerValue == 1)
    #expect(value["e"] == .number(1000))
    #expect(value["big"] == .number(123_456_789_012_345_683_968))
    #expect(value["big"]?.integerValue == nil)
    #expect(value["t"]?.boolValue == true && value["t"]?.integerValue == nil)
    #expect(value["n"] == .null)
    #expect(value["l"] == .array([.array([]), .object([]), .string("x")]))
    #expect(value["missing"] == nil)
  }

  @Test(arguments: ["", "plain", "\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}", "é 中 \u{1F600} \u{10FFFF}", "\u{2028}"])
  func quotedTextReadsBack(_ text: String) throws {
    #expect(try parse(JSONValue.quoted(text)) == .string(text))
    // The other direction and another implementation.
    let foundation = try JSONSerialization.data(withJSONObject: [text])
    #expect(try parse(String(decoding: foundation, as: UTF8.self)) == .array([.string(text)]))
    #expect(
      try JSONSerialization.jsonObject(with: Data("[\(JSONValue.quoted(text))]".utf8)) as? [String] == [text])
  }

  @Test func readsEscapes() throws {
    #expect(try parse(#""\u00e9\ud83d\ude00\/\b\f""#) == .string("é\u{1F600}/\u{8}\u{c}"))
  }

  @Test(arguments: [
    "", " ", "-", "+1", ".5", "1.", "1e", "1e+", "00", "-01", "tru", "nulll", "[1,]", "[1 2]", "{1:2}", "{\"a\"}",
    "'a'",
    "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "[", "{\"a\":", "// c\n1",
  ])
  func refuses(_ text: String) {
    #expect(throws: JSONParser.Failure.self) { try parse(text) }
  }

  @Test func rulesKeepWhatIsRefusedElsewhere() throws {
    let text = "{\"\u{e9}\": 1e999, \"e\u{301}\": 1.50, \"a\": 1, \"a\": [[2]]}"
    let rules = JSONParser.Rules(allowsDuplicateKeys: true, keepsNumerals: true, maximumDepth: 3)
    let value = try Array(text.utf8).withUnsafeBytes { try JSONParser.parse($0, rules: rules) }
    #expect(value["\u{e9}"] == .numeral("1e999") && value["e\u{301}"] == .numeral("1.50"))
    #expect(value["a"] == [[2]], "the last counts")
    guard case .object(let members) = value else { return #expect(Bool(false), "\(value)") }
    #expect(members.map { Array($0.key.utf8) } == [[0xC3, 0xA9], [0x65, 0xCC, 0x81], [0x61], [0x61]])
    #expect(throws: JSONParser.Failure.self) { try parse(text) }
    let error = #expect(throws: JSONParser.Failure.self) {
      try Array("[[[]]]".utf8).withUnsafeBytes { try JSONParser.parse($0, rules: .init(maximumDepth: 1)) }
    }
    #expect(error?.problem == .tooDeep(limit: 1) && error?.offset == 2)
  }
}
