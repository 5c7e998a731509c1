import Checkpoints
import TestSupport
import Testing

/// A temporary directory with a model in `model` and rows in `rows.jsonl`.
struct Workspace {
  let directory: TemporaryDirectory
  let model: TinyModel

  init(_ model: TinyModel = TinyModel()) throws {
    directory = try TemporaryDirectory()
    self.model = model
    try model.write(to: directory.file("model"))
    try directory.write(Self.rows.joined(separator: "\n") + "\n", to: "rows.jsonl")
  }

  /// Twelve rows of prompt and completion.
  static let rows = (1...12).map { number in
    #"{"prompt": "List the names of table t\#(number)\n", "completion": "SELECT name FROM t\#(number)"}"#
  }

  /// Short phases with a rate at which every weight moves.
  static let schedule = ["--batch-size", "4", "--learning-rate", "1e-3", "--seed", "7"]

  /// A run with little of everything; its adapter lies in `RUN/adapter`.
  func trainingArguments(_ run: String, _ more: String...) -> [String] {
    ["train", "--model", "model", "--data", "rows.jsonl", "--out", run] + Self.schedule
      + ["--steps", "3", "--calibration-steps", "2"] + more
  }

  @discardableResult
  func train(_ run: String, _ more: [String] = [], sourceLocation: SourceLocation = #_sourceLocation) throws
    -> LotaResult
  {
    let result = try Lota.run(trainingArguments(run) + more, in: directory)
    try #require(result.code == 0, "\(result.errors)", sourceLocation: sourceLocation)
    return result
  }

  func checkpoint(_ name: String) throws -> Checkpoint { try Checkpoint(directory: directory.file(name)) }
}

/// Expects one clear line on standard error, exit status 1, nothing on standard output, and nothing left on disk.
///
/// - Parameters:
///   - mentions: what the line must hold: the file, row or tensor, and what to do.
///   - leaves: whether files may stay, because training had begun.
func expectRefusal(
  _ arguments: [String], in directory: TemporaryDirectory, mentions: [String], leavesFiles: Bool = false,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let before = directory.everything()
  let result = try Lota.run(arguments, in: directory)
  let shown = "lota \(arguments.joined(separator: " ")): \(result.errors)"
  #expect(
    result.code == 1 && !result.wasSignalled, "ended with \(result.code); \(shown)", sourceLocation: sourceLocation)
  #expect(result.output.isEmpty, "printed \(result.output); \(shown)", sourceLocation: sourceLocation)
  let lines = result.errors.split(separator: "\n", omittingEmptySubsequences: false)
  if leavesFiles {
    #expect(lines.filter { $0.hasPrefix("Error: ") }.count == 1, "\(shown)", sourceLocation: sourceLocation)
  } else {
    #expect(lines.count == 2 && lines.last == "", "not one line: \(shown)", sourceLocation: sourceLocation)
    #expect(result.errors.hasPrefix("Error: "), "\(shown)", sourceLocation: sourceLocation)
    #expect(directory.everything() == before, "left files behind: \(shown)", sourceLocation: sourceLocation)
  }
  result.expectMentions(mentions, sourceLocation)
  for text in ["operation could not be completed", "The operation couldn", "Error Domain", "NSCocoa", "Fatal error"] {
    #expect(!result.errors.contains(text), "\(shown)", sourceLocation: sourceLocation)
  }
}

/// Expects exit status 64 with the usage line.
func expectUsageError(
  _ arguments: [String], in directory: TemporaryDirectory, mentions: [String],
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let before = directory.everything()
  let result = try Lota.run(arguments, in: directory)
  let shown = "lota \(arguments.joined(separator: " ")): \(result.errors)"
  #expect(
    result.code == 64 && !result.wasSignalled, "ended with \(result.code); \(shown)", sourceLocation: sourceLocation)
  #expect(result.output.isEmpty, "\(shown)", sourceLocation: sourceLocation)
  #expect(
    result.errors.hasPrefix("Error: ") && result.errors.contains("Usage: lota "), "\(shown)",
    sourceLocation: sourceLocation)
  result.expectMentions(mentions, sourceLocation)
  #expect(directory.everything() == before, "left files behind: \(shown)", sourceLocation: sourceLocation)
}

extension LotaResult {
  fileprivate func expectMentions(_ texts: [String], _ sourceLocation: SourceLocation) {
    for text in texts {
      #expect(
        errors.contains(text), "lota \(arguments.joined(separator: " ")) does not mention '\(text)': \(errors)",
        sourceLocation: sourceLocation)
    }
  }
}
