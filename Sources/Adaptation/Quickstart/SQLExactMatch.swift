/// Whether a statement is the expected one, word for word.
///
/// White space at the ends is ignored, every run of it counts as one space, and one semicolon at the end is allowed.
/// Letter case and quotes count: the written style is part of what is learned.
public enum SQLExactMatch {
  public static func matches(_ prediction: String, _ target: String) -> Bool {
    normalize(prediction) == normalize(target)
  }

  public static func normalize(_ statement: String) -> String {
    var text = statement.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    if text.hasSuffix(";") {
      text.removeLast()
      if text.hasSuffix(" ") { text.removeLast() }
    }
    return text
  }
}
