internal import Primitives

/// Answers that exist already: rows of `target` and `prediction`, and perhaps `prompt`; for perplexity rows of
/// `logprob` and `count`, as `lota score --json` prints them.
public enum PredictionFile {
  /// - Throws: ``EvaluationError``
  public static func answers(path: String) throws -> [Answer] {
    try DataFile.rows(path: path).map { row in
      var answer = Answer(place: row.place)
      answer.prompt = try row.optionalText("prompt")
      answer.target = try row.optionalText("target")
      answer.prediction = try row.optionalText("prediction")
      if let logprob = row.value["logprob"] {
        guard let number = logprob.doubleValue, number.isFinite else {
          throw row.wrongType("logprob", expected: "a number")
        }
        answer.logprob = number
      }
      if let count = row.value["count"] {
        guard let number = count.integerValue, number >= 0 else {
          throw row.wrongType("count", expected: "a whole number of tokens")
        }
        answer.tokenCount = number
      }
      return answer
    }
  }
}
