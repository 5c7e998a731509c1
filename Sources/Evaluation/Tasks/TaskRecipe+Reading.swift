internal import Settings

extension TaskRecipe {
  /// Reads a recipe; `path` names it in errors.
  ///
  /// - Throws: ``EvaluationError/invalidRecipe(path:line:reason:)``
  public init(yaml: String, path: String) throws {
    do {
      try self.init(SettingsNode(yaml: yaml, path: path, name: "recipe"), text: yaml)
    } catch let error as SettingsError {
      throw EvaluationError.invalidRecipe(path: error.path, line: error.line, reason: error.reason)
    }
  }

  private init(_ root: SettingsNode, text: String) throws {
    self.text = text
    let members = try root.members(known: [
      "name", "summary", "prompt", "completion", "target", "empty", "choices", "max_tokens", "stop", "metrics",
    ])
    name = try members.required("name", of: root).string()
    summary = try members["summary"]?.string() ?? ""
    prompt = try members.required("prompt", of: root).template()
    completion = try members["completion"]?.template()
    target = try members["target"]?.template() ?? completion
    emptyFields = try members["empty"]?.strings() ?? []
    choices = try members["choices"]?.elements().map(Choice.init) ?? []
    maximumTokens = try members["max_tokens"]?.integer(atLeast: 1) ?? Self.defaultMaximumTokens
    stops = try members["stop"]?.strings() ?? []
    metrics = try members["metrics"]?.elements().map(Metric.init) ?? []
    let names = metrics.map(\.name)
    guard Set(names).count == names.count else { throw root.invalid("two metrics have one name") }
  }
}

extension TaskRecipe.Choice {
  init(_ node: SettingsNode) throws {
    let members = try node.members(known: ["label", "text"])
    label = try members.required("label", of: node).string()
    text = try members.required("text", of: node).template()
  }
}

extension Metric {
  private static let scorers = ["match", "sql_match", "rouge1", "rougeL", "refusal", "perplexity"]
  private static let extractions = ["text", "first_line", "number", "final_answer", "choice"]

  init(_ node: SettingsNode) throws {
    let known = ["name", "score", "extract", "marker", "choices", "whole_words", "prefixes", "keywords", "with_prompt"]
    let members = try node.members(known: known)
    let scorer = try members.required("score", of: node)
    let kind = try scorer.string()
    let uses: [String]
    switch kind {
    case "match":
      let (extraction, keys) = try Self.extraction(members, of: node)
      self.init(name: try members["name"]?.string() ?? kind, scorer: .match(extraction))
      uses = keys
    case "sql_match", "rouge1", "rougeL", "perplexity":
      let simple: Scorer =
        kind == "sql_match"
        ? .sqlMatch
        : kind == "perplexity"
          ? .perplexity
          : .rouge(longestCommonSubsequence: kind == "rougeL")
      self.init(name: try members["name"]?.string() ?? kind, scorer: simple)
      uses = []
    case "refusal":
      let words = RefusalWords(
        prefixes: try members["prefixes"]?.strings() ?? [], keywords: try members["keywords"]?.strings() ?? [])
      guard !(words.prefixes + words.keywords).isEmpty, !(words.prefixes + words.keywords).contains("") else {
        throw node.invalid("refusal needs prefixes or keywords, none of them empty")
      }
      let withPrompt = try members["with_prompt"]?.bool() ?? false
      self.init(name: try members["name"]?.string() ?? kind, scorer: .refusal(words, withPrompt: withPrompt))
      uses = ["prefixes", "keywords", "with_prompt"]
    default: throw scorer.invalid("unknown score '\(kind)'; use \(Self.scorers.joined(separator: ", "))")
    }
    for key in members.keys.sorted() where !(["name", "score"] + uses).contains(key) {
      throw (members[key] ?? node).unknown(in: node, known: ["name", "score"] + uses)
    }
  }

  private static func extraction(
    _ members: [String: SettingsNode], of node: SettingsNode
  ) throws -> (AnswerExtraction, keys: [String]) {
    let extract = try members.required("extract", of: node)
    let marker = try members["marker"]?.string()
    guard marker != "" else { throw node.invalid("marker is empty") }
    switch try extract.string() {
    case "text": return (.text, ["extract"])
    case "first_line": return (.firstLine, ["extract"])
    case "number": return (.number(marker: marker), ["extract", "marker"])
    case "final_answer":
      guard let marker else { throw node.invalid("final_answer lacks the key 'marker'") }
      return (.finalAnswer(marker: marker), ["extract", "marker"])
    case "choice":
      let choices = try members.required("choices", of: node).strings()
      guard !choices.isEmpty, !choices.contains("") else { throw node.invalid("choices must be texts, none empty") }
      let wholeWords = try members["whole_words"]?.bool() ?? false
      return (.choice(choices, wholeWords: wholeWords), ["extract", "choices", "whole_words"])
    case let other:
      throw extract.invalid("unknown extract '\(other)'; use \(extractions.joined(separator: ", "))")
    }
  }
}

extension SettingsNode {
  fileprivate func template() throws -> TextTemplate {
    do {
      return try TextTemplate(try string())
    } catch let error as TextTemplate.Malformed {
      throw invalid("\(key): \(error.reason)")
    }
  }
}
