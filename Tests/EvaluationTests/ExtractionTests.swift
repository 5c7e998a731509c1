import Evaluation
import Testing

struct ExtractionTests {
  @Test(arguments: [
    ("The total is 1,234,567.", ["1234567"]), ("$1,250.50 and 25%", ["1250.5", "25"]),
    ("16-3 = 13", ["16", "3", "13"]),
    ("-5, -$5, $-5.0, \u{2212}5", ["-5", "-5", "-5", "-5"]), ("1,23 and 1,2345", ["1", "23", "1", "2345"]),
    ("1234,567", ["1234", "567"]), ("007.500", ["7.5"]), ("-0.0", ["0"]), (".5 and 1.2.3", ["0.5", "1.2", "3"]),
    ("1/2", ["1", "2"]), ("x-1 (2)-3", ["1", "2", "3"]), ("no number", []), ("", []), ("\u{661}\u{662}", []),
    ("123456789012345678901234567890.1", ["123456789012345678901234567890.1"]),
  ])
  func numbers(text: String, expected: [String]) {
    #expect(AnswerNumber.all(in: text).map(\.description) == expected)
  }

  @Test(arguments: [
    ("so 3 + 4 = 7\n#### 7", "7"), ("#### 18\n\nQuestion: 5 apples\n#### 3", "18"), ("#### $1,000.00.", "1000"),
    ("the answer is 12. I used 3 steps", "3"), ("12 apples ####", "12"), ("####\nnothing", nil),
  ])
  func finalNumber(text: String, expected: String?) {
    #expect(AnswerExtraction.number(marker: "####").answer(in: text) == expected)
  }

  @Test(arguments: [
    ("The answer is 42.", "42"), ("the answer is 1. No, THE ANSWER IS: $-3.50$", "-3.5"), ("The answer is (B) 5", "B"),
    ("The answer is C", "C"), ("The answer is A dog.", "a dog"), ("The answer is\n5", nil), ("so 3 and 4", "4"),
    ("none", nil), ("The answer is True.", "true"),
  ])
  func finalAnswer(text: String, expected: String?) {
    #expect(AnswerExtraction.finalAnswer(marker: "the answer is").answer(in: text) == expected)
  }

  @Test(arguments: [
    ("the correct answer is answer2", "answer2", "answer2"), ("not answer3 but answer1", "answer3", "answer3"),
    ("Answer2", "answer2", nil), ("answer12 or answer2", "answer2", "answer1"), ("none", nil, nil),
  ])
  func choice(text: String, strict: String?, compatible: String?) {
    let choices = ["answer1", "answer2", "answer3"]
    #expect(AnswerExtraction.choice(choices, wholeWords: true).answer(in: text) == strict)
    #expect(AnswerExtraction.choice(choices, wholeWords: false).answer(in: text) == compatible)
  }

  @Test func lines() {
    #expect(AnswerExtraction.firstLine.answer(in: "\n  a b \r\nc") == "a b")
    #expect(AnswerExtraction.text.answer(in: "\n  a b \r\nc ") == "a b \r\nc")
    #expect(AnswerExtraction.text.answer(in: " ") == "")
  }

  @Test(arguments: [
    ("SELECT  Name\n FROM t ;", "select name from t"), ("select 'A  b;' ;; ", "select 'A  b;'"),
    (#"SELECT "It''s" FROM `T`"#, #"select "It''s" from `T`"#), ("SELECT 'open  A ", "select 'open  A "),
    ("  ;", ""), ("a;b", "a;b"), ("x ='A' ", "x ='A'"),
  ])
  func sql(statement: String, expected: String) {
    #expect(SQLNormalForm.of(statement) == expected)
  }

  @Test(arguments: [
    ("  sorry, no", "Sorry"), ("I\u{2019}M SORRY", "i'm sorry"), ("I am sorry", nil), ("so sorry", nil),
    ("well, i'm sorry", "i'm sorry"),
  ])
  func refusals(text: String, expected: String?) {
    #expect(RefusalWords(prefixes: ["Sorry"], keywords: ["i'm sorry"]).match(in: text) == expected)
  }
}
