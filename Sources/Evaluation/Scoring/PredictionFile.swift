internal import Primitives

/// Answers that exist already: rows of `target` and `prediction`, and perhaps `prompt`; for perplexity rows of
/// `logprob` and `count`, as `lota score --json` prints them.
public enum PredictionFile {
  /// - Throws: ``EvaluationError``
  public static func answers(path: String) throws -> [Answer] { try DataFile.rows(path: path).map { try Answer($0) } }
}
